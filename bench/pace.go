package bench

import (
	"math"
	"time"
)

// Pacer is a schedule of arrivals at a constant rate, or every Step-th of them beginning with First, which is
// the share of one of several drivers. It is a pure function of the arrival's number: it does not drift, and a
// late arrival does not move the next one.
type Pacer struct {
	Rate  float64 // arrivals a second of the whole schedule
	First int64   // below Step
	Step  int64   // 0 is 1
}

// Due is when arrival n of this share is due, after the beginning of the schedule. It is never before an earlier one.
func (p Pacer) Due(n int64) time.Duration {
	at := float64(p.First+n*max(p.Step, 1)) / p.Rate * float64(time.Second)
	if !(at < math.MaxInt64) { // a rate of zero: never
		return math.MaxInt64
	}
	return time.Duration(at)
}

// Before is how many arrivals of this share are due before t.
func (p Pacer) Before(t time.Duration) int64 {
	if t <= 0 || p.Rate <= 0 {
		return 0
	}
	n := int64(t.Seconds()*p.Rate-float64(p.First))/max(p.Step, 1) - 1
	n = max(n, 0)
	for p.Due(n) < t {
		n++
	}
	return n
}
