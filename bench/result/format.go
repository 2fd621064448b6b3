package result

import (
	"fmt"
	"math"
	"strconv"
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
