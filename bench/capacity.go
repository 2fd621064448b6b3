package bench

import (
	"context"
	"fmt"

	"github.com/msgserver/msgserver/bench/result"
)

// Climb finds the highest rate that passes, by doubling until one does not and then by halving what lies between.
// It is a pure function of what it was told.
type Climb struct {
	First     float64 // the rate to begin with
	Precision float64 // the answer is at most this share below the lowest rate that did not pass, for example 0.05
	Max       float64 // no rate above it is tried; 0: no bound

	good, bad float64
}

// lowest is where a climb that never passed gives up.
const lowest = 1

// Next is the rate to try; done says that the answer is known.
func (c *Climb) Next() (rate float64, done bool) {
	switch {
	case c.good == 0 && c.bad == 0:
		return c.First, false
	case c.bad == 0 && c.Max > 0 && c.good >= c.Max:
		return c.good, true
	case c.bad == 0 && c.Max > 0:
		return min(2*c.good, c.Max), false
	case c.bad == 0:
		return 2 * c.good, false
	case c.good == 0 && c.bad <= lowest:
		return 0, true
	case c.good == 0:
		return c.bad / 2, false
	case c.good >= c.bad*(1-c.Precision):
		return c.good, true
	}
	return (c.good + c.bad) / 2, false
}

// Tell notes whether a rate passed.
func (c *Climb) Tell(rate float64, passed bool) {
	switch {
	case passed:
		c.good = max(c.good, rate)
	case c.bad == 0 || rate < c.bad:
		c.bad = rate
	}
}

// Attempt is one rate that was tried.
type Attempt struct {
	Rate   float64      `json:"rate"`
	Passed bool         `json:"passed"`
	Why    []string     `json:"why,omitempty"` // what it did not pass by
	Trial  result.Trial `json:"trial"`
}

// Capacity is the highest rate of a scenario that meets its objectives.
type Capacity struct {
	Spec          result.Spec `json:"spec"`
	Rate          float64     `json:"rate"` // 0: none does
	ClientLimited bool        `json:"clientLimited"`
	Attempts      []Attempt   `json:"attempts"`
}

// keptUp is the share of the rate that must be done, for a rate to pass.
const keptUp = 0.97

// FindCapacity looks for the highest rate that meets opts.SLO, beginning with spec.Rate. tried, if not nil, is told of each
// attempt. What is known when ctx ends is the result, with ctx's error.
func FindCapacity(ctx context.Context, spec result.Spec, climb *Climb, opts Options, tried func(Attempt)) (*Capacity, error) {
	spec, err := Complete(spec)
	if err != nil {
		return nil, err
	}
	if spec.Closed() || spec.Rate == 0 || len(spec.Stages) > 0 {
		return nil, fmt.Errorf("%s has no rate to be found: capacity is about open loops", spec.Scenario)
	}
	climb.First = spec.Rate
	c := &Capacity{Spec: spec}
	for {
		rate, done := climb.Next()
		c.Rate = climb.good
		if done {
			return c, nil
		}
		spec.Rate = rate
		t, err := Run(ctx, spec, opts)
		if err != nil {
			return c, err
		}
		if ctx.Err() != nil {
			return c, ctx.Err()
		}
		a := Attempt{Rate: rate, Trial: *t, Why: fails(rate, t)}
		a.Passed = len(a.Why) == 0
		climb.Tell(rate, a.Passed)
		c.ClientLimited = c.ClientLimited || !a.Passed && len(t.Generator.Limited) > 0
		c.Attempts = append(c.Attempts, a)
		if tried != nil {
			tried(a)
		}
	}
}

// fails says what a trial did not pass by.
func fails(rate float64, t *result.Trial) []string {
	var why []string
	for _, v := range t.SLO {
		if !v.OK {
			why = append(why, fmt.Sprintf("%s %s", v.Objective, v))
		}
	}
	if !t.Check.OK() {
		why = append(why, fmt.Sprintf("%d lost, %d repeated, %d out of order, %d unanswered, %d other violations",
			t.Check.Lost, t.Check.Duplicated, t.Check.Reordered, t.Check.Unanswered, t.Check.Broken))
	}
	if n := t.Check.Missed; n > 0 {
		why = append(why, fmt.Sprintf("%d deliveries missed", n))
	}
	if n := t.Counts.Failed(); n > 0 {
		why = append(why, fmt.Sprintf("%d errors", n))
	}
	if did := t.PerSecond(max(t.Counts.Acked+t.Counts.Synced, t.Counts.Connects)); did < keptUp*rate {
		why = append(why, fmt.Sprintf("only %s/s were done", result.Number(did)))
	}
	return why
}
