package bench

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/msgserver/msgserver/bench/result"
)

// Pacer is a schedule of arrivals at a rate, constant or in stages, or every Step-th of them beginning with First, which is
// the share of one of several drivers. It is a pure function of the arrival's number: it does not drift, and a
// late arrival does not move the next one.
type Pacer struct {
	Rate   float64        // arrivals a second of the whole schedule; with Stages the rate that they begin with
	Warmup time.Duration  // before the first stage, at Rate
	Stages []result.Stage // each goes evenly from the rate before it to its own
	First  int64          // below Step
	Step   int64          // 0 is 1
}

// Due is when arrival n of this share is due, after the beginning of the schedule. It is never before an earlier one.
func (p Pacer) Due(n int64) time.Duration {
	return p.at(float64(p.First + n*max(p.Step, 1)))
}

// at is when the schedule has come to so many arrivals.
func (p Pacer) at(arrivals float64) time.Duration {
	if len(p.Stages) > 0 {
		return p.staged(arrivals)
	}
	return inSeconds(arrivals / p.Rate)
}

// inSeconds is seconds as a duration; the longest there is when they never come.
func inSeconds(seconds float64) time.Duration {
	if at := seconds * float64(time.Second); at < math.MaxInt64 {
		return time.Duration(at)
	}
	return math.MaxInt64 // a rate of zero: never
}

// staged looks for the stage in which the schedule comes to so many arrivals.
func (p Pacer) staged(arrivals float64) time.Duration {
	rate, begun := p.Rate, p.Warmup.Seconds()
	warm := rate * begun
	if arrivals < warm {
		return inSeconds(arrivals / rate)
	}
	arrivals -= warm
	for _, s := range p.Stages {
		long := s.Duration.Seconds()
		if most := (rate + s.Rate) / 2 * long; arrivals >= most {
			arrivals, rate, begun = arrivals-most, s.Rate, begun+long
			continue
		}
		if arrivals <= 0 {
			return inSeconds(begun) // also where the rate begins with nothing
		}
		// rate·t + slope·t²/2 arrivals by t, solved for t without a difference of large numbers.
		slope := (s.Rate - rate) / long
		return inSeconds(begun + 2*arrivals/(rate+math.Sqrt(max(rate*rate+2*slope*arrivals, 0))))
	}
	return math.MaxInt64
}

// timetable is when the arrivals of one driver are due, one after the other: as the pacer says, or as often on average
// and by chance (a Poisson process, as many people who know nothing of each other make together).
type timetable struct {
	pacer   Pacer
	random  *rand.Rand // nil: as the pacer says
	n       int64
	elapsed float64 // of the pacer's arrivals, with random
}

func (t *timetable) next() time.Duration {
	if t.random != nil {
		t.elapsed += t.random.ExpFloat64() * float64(max(t.pacer.Step, 1))
		return t.pacer.at(t.elapsed)
	}
	t.n++
	return t.pacer.Due(t.n - 1)
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
