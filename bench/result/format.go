package result

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Number writes a number for people: three digits that count, thousands separated.
func Number(v float64) string {
	switch a := math.Abs(v); {
	case a >= 100 || v == math.Trunc(v):
		return thousands(int64(math.Round(v)))
	case a >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	first := 0
	if n < 0 {
		first = 1
	}
	for i := len(s) - 3; i > first; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Latency writes a duration for people, in milliseconds or seconds.
func Latency(d time.Duration) string {
	if d >= 10*time.Second {
		return Number(d.Seconds()) + " s"
	}
	return Number(Millis(d)) + " ms"
}

// Percent writes a share for people. What is not all is never written as 100%, and what is not nothing never as 0%.
func Percent(share float64) string {
	p := 100 * share
	switch {
	case p > 99.99 && p < 100:
		p = 99.99
	case p > 0 && p < 0.01:
		p = 0.01
	}
	return strings.TrimSuffix(strconv.FormatFloat(p, 'f', 2, 64), ".00") + "%"
}

// Bytes writes a size for people.
func Bytes(n int64) string {
	for _, u := range []struct {
		size int64
		name string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= u.size || -n >= u.size {
			return fmt.Sprintf("%s %s", Number(float64(n)/float64(u.size)), u.name)
		}
	}
	return thousands(n) + " B"
}

// entryBytes is about what a message takes on the disk beside its content: 350,000 messages of 200 bytes took 113 MiB.
const entryBytes = 138

// Stored is about what so many messages of the run take on the server's disk.
func (s Spec) Stored(messages int64) int64 { return messages * int64(s.Payload+entryBytes) }
