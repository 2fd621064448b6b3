package report

import (
	"math"
	"strings"
	"time"

	"github.com/msgserver/msgserver/bench/result"
)

// unit is that of a value. script.js writes values of the same units, by the same names.
type unit string

const (
	millis  unit = "ms"
	rate    unit = "rate" // a second
	cores   unit = "cores"
	size    unit = "bytes"
	moment  unit = "time"    // seconds since the measurement began
	decades unit = "decades" // of 1/(1-q): 1 is 90%, 2 is 99%, 3 is 99.9%
)

// write writes a value for people.
func (u unit) write(v float64) string {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "–"
	case u == millis:
		return latency(v)
	case u == size:
		return result.Bytes(int64(v))
	case u == moment:
		return seconds(v)
	}
	return result.Number(v)
}

// latency writes milliseconds; below 0.01 as microseconds, of which result.Latency would leave nothing.
func latency(ms float64) string {
	if ms > 0 && ms < 0.01 {
		return result.Number(math.Round(ms*1000)) + " µs"
	}
	return result.Latency(time.Duration(ms * float64(time.Millisecond)))
}

func seconds(v float64) string {
	switch {
	case v >= 7200 && math.Mod(v, 3600) == 0:
		return result.Number(v/3600) + " h"
	case v >= 120 && math.Mod(v, 60) == 0:
		return result.Number(v/60) + " min"
	}
	return result.Number(math.Round(v*10)/10) + " s"
}

func whole(n int64) string { return result.Number(float64(n)) }

// short drops the zeros that a tick does not need: 0.10 ms is 0.1 ms, 2.50 GiB is 2.5 GiB.
func short(s string) string {
	number, name, _ := strings.Cut(s, " ")
	if strings.Contains(number, ".") {
		number = strings.TrimRight(strings.TrimRight(number, "0"), ".")
	}
	if name == "" {
		return number
	}
	return number + " " + name
}
