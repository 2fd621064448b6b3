package bench

import (
	"time"

	"github.com/msgserver/msgserver/bench/result"
)

// Phase is a part of a run.
type Phase int

// The phases, in their order.
const (
	Preparing Phase = iota // connecting, and what the scenario needs to be there
	Warming
	Measuring
	Settling // nothing is sent any more, but not everything has arrived
	Ended
)

var phaseNames = []string{"preparing", "warming up", "measuring", "settling", "ended"}

// String is the phase for people.
func (p Phase) String() string { return phaseNames[p] }

// tally is what came in during a second, or what is left of one where a phase ends. Latencies are of what was
// due while measuring.
type tally struct {
	Phase  Phase                        `json:"phase"`
	Second int                          `json:"second"` // since measuring began; below 0 before
	Length time.Duration                `json:"length"`
	Conns  int64                        `json:"conns"`
	Counts [events]int64                `json:"counts"`
	Errors map[string]int64             `json:"errors,omitempty"`
	Hist   map[string]*result.Histogram `json:"hist,omitempty"`
	CPU    float64                      `json:"cpu"` // seconds
}

func newTally() *tally {
	return &tally{Errors: map[string]int64{}, Hist: map[string]*result.Histogram{}}
}

// lagName is how the generator's own lag is called in tally.Hist.
const lagName = "lag"

// kindName is how a latency is called in tally.Hist.
func kindName(k int) string {
	if k == kindLag {
		return lagName
	}
	return string(result.Kinds[k])
}

func (t *tally) histogram(k int) *result.Histogram {
	h := t.Hist[kindName(k)]
	if h == nil {
		h = result.NewHistogram()
		t.Hist[kindName(k)] = h
	}
	return h
}

// merge adds another generator's tick of the same second.
func (t *tally) merge(o *tally) {
	t.Conns += o.Conns
	t.CPU += o.CPU
	t.Length = max(t.Length, o.Length)
	for e, n := range o.Counts {
		t.Counts[e] += n
	}
	for name, n := range o.Errors {
		t.Errors[name] += n
	}
	for name, h := range o.Hist {
		if mine := t.Hist[name]; mine != nil {
			mine.Merge(h)
			continue
		}
		t.Hist[name] = result.NewHistogram()
		t.Hist[name].Merge(h)
	}
}
