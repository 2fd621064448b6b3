package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/msgserver/msgserver/bench/result"
)

// Options says how a spec is run. The zero value is of use.
type Options struct {
	Version  string             // of this program, for the result
	Workers  []string           // addresses of the processes that make the load; none: this one does
	Token    string             // that the workers want
	SLO      []result.Objective // what the trial is judged by
	Progress func(Progress)     // called about once a second; must not block long
}

// Progress is what a run looks like at the moment.
type Progress struct {
	Phase   Phase
	Left    time.Duration // of warming up or measuring
	Rates   map[string]float64
	Latency map[result.Kind]*result.Histogram // of the last second
	Errors  int64                             // so far
	Conns   int64
}

// generator makes a share of the load.
type generator interface {
	generate(ctx context.Context, spec result.Spec, start func(context.Context) error, tick func(*tally)) (*outcome, error)
}

// here is this process.
type here struct{}

func (here) generate(ctx context.Context, spec result.Spec, start func(context.Context) error, tick func(*tally)) (*outcome, error) {
	return generate(ctx, spec, start, tick)
}

// Run runs a spec once. When ctx ends before the run does, what was measured until then is the result. An error means
// that there is none.
func Run(ctx context.Context, spec result.Spec, opts Options) (*result.Trial, error) {
	generators := []generator{here{}}
	if len(opts.Workers) > 0 {
		generators = nil
		for _, addr := range opts.Workers {
			generators = append(generators, remote{addr, opts.Token})
		}
	}
	spec.Workers = len(generators)
	spec, err := Complete(spec)
	if err != nil {
		return nil, err
	}
	c := &conductor{spec: spec, opts: opts, generators: generators, ticks: make(chan from, 64), began: time.Now()}
	if spec.Admin != "" {
		if c.server, err = openAdmin(ctx, spec.Admin, c.idle()); err != nil {
			return nil, fmt.Errorf("%w %s: %w", ErrAdmin, spec.Admin, err)
		}
	}
	return c.run(ctx)
}

// conductor lets the generators begin together, and gathers what they say.
type conductor struct {
	// Static.
	spec       result.Spec
	opts       Options
	generators []generator
	server     *admin // nil without --admin
	began      time.Time
	ticks      chan from

	lost []string // workers that were lost, and why; known when all have ended

	// Owned by gather.
	seconds []*second // in their order
	latest  []*tally  // of each generator
	total   *tally    // the histograms of all seconds that are complete
}

// from is a tick of one of the generators.
type from struct {
	generator int
	tick      *tally
}

// second is what all generators say of one second of a phase, and the server at its end.
type second struct {
	*tally                                // its histograms are there until it is complete
	has       []bool                      // which generators' ticks are in it
	server    *sample                     // nil without --admin
	quantiles map[string]result.Quantiles // of its histograms, once it is complete
}

func (c *conductor) run(ctx context.Context) (*result.Trial, error) {
	c.latest, c.total = make([]*tally, len(c.generators)), newTally()
	outcomes := make([]*outcome, len(c.generators))
	errs := make([]error, len(c.generators))
	together := newBarrier(len(c.generators))
	var all sync.WaitGroup
	for i, g := range c.generators {
		all.Go(func() {
			outcomes[i], errs[i] = g.generate(ctx, part(c.spec, i), together.arrive, func(t *tally) { c.ticks <- from{i, t} })
			if errs[i] != nil && !errors.Is(errs[i], errShare) {
				together.give(fmt.Errorf("worker %d: %w", i+1, errs[i]))
			}
		})
	}
	gathered := make(chan struct{})
	go func() {
		defer close(gathered)
		for t := range c.ticks {
			c.gather(ctx, t)
		}
	}()
	all.Wait()
	close(c.ticks)
	<-gathered
	if err := c.survive(outcomes, errs); err != nil {
		return nil, err
	}
	return c.trial(outcomes, ctx.Err() != nil), nil
}

// survive notes the workers that were lost with their load begun. It returns an error if a run without them is none.
func (c *conductor) survive(outcomes []*outcome, errs []error) error {
	left := 0
	for i, err := range errs {
		switch {
		case err == nil:
			left++
		case errors.Is(err, errShare):
			c.lost = append(c.lost, err.Error())
			outcomes[i] = nil
			errs[i] = nil
		}
	}
	if err := firstError(errs); err != nil {
		return err
	}
	if left == 0 {
		return errors.New(strings.Join(c.lost, "; "))
	}
	return nil
}

// firstError is the one that is the cause: what others say because of it tells nothing.
func firstError(errs []error) error {
	var first error
	for _, err := range errs {
		if err != nil && (first == nil || !errors.Is(err, errOthers)) {
			first = err
		}
	}
	return first
}

// gather adds a tick of a generator to what the others say of the same second.
func (c *conductor) gather(ctx context.Context, f from) {
	c.latest[f.generator] = f.tick
	s := c.secondOf(f)
	if s == nil {
		t := newTally()
		t.Phase, t.Second = f.tick.Phase, f.tick.Second
		s = &second{tally: t, has: make([]bool, len(c.generators)), server: c.server.take(ctx, c.last(), c.idle() && t.Phase == Measuring)}
		c.seconds = append(c.seconds, s)
	}
	s.merge(f.tick)
	s.has[f.generator] = true
	if !slices.Contains(s.has, false) {
		c.fold(s)
	}
	c.progress()
}

// fold adds the histograms of a second to the total and keeps their quantiles: over hours they would be too many.
func (c *conductor) fold(s *second) {
	if s.quantiles != nil {
		return
	}
	s.quantiles = map[string]result.Quantiles{}
	for name, h := range s.Hist {
		s.quantiles[name] = result.Quantiles{P50: result.Millis(h.Quantile(50)), P99: result.Millis(h.Quantile(99)), Max: result.Millis(h.Max())}
	}
	c.total.merge(&tally{Hist: s.Hist})
	s.Hist = nil
}

// secondOf gives the first second that a tick belongs to and that its generator has said nothing of; nil if there
// is none yet.
func (c *conductor) secondOf(f from) *second {
	var found *second
	for i := len(c.seconds) - 1; i >= 0 && c.seconds[i].Phase >= f.tick.Phase; i-- {
		if s := c.seconds[i]; s.Phase == f.tick.Phase && s.Second == f.tick.Second && !s.has[f.generator] {
			found = s
		}
	}
	return found
}

// idle reports whether memory is what counts.
func (c *conductor) idle() bool { return c.spec.Scenario == idleKind.Name }

func (c *conductor) last() *sample {
	if len(c.seconds) == 0 {
		return nil
	}
	return c.seconds[len(c.seconds)-1].server
}

// progress tells how the last second was.
func (c *conductor) progress() {
	if c.opts.Progress == nil {
		return
	}
	now := newTally()
	p := Progress{Rates: map[string]float64{}, Latency: map[result.Kind]*result.Histogram{}}
	for _, t := range c.latest {
		if t != nil {
			now.merge(t)
			p.Phase = max(p.Phase, t.Phase)
			now.Second = max(now.Second, t.Second)
		}
	}
	p.Conns = now.Conns
	for e, name := range eventNames {
		p.Rates[name] = float64(now.Counts[e]) / max(now.Length.Seconds(), 0.001)
	}
	for _, kind := range result.Kinds {
		if h := now.Hist[string(kind)]; h != nil {
			p.Latency[kind] = h
		}
	}
	for _, s := range c.seconds {
		p.Errors += s.failed()
	}
	switch p.Phase {
	case Warming:
		p.Left = c.spec.Duration - time.Duration(now.Second+1)*time.Second
	case Measuring:
		p.Left = c.spec.Duration - time.Duration(now.Second)*time.Second - now.Length
	}
	p.Left = max(p.Left, 0)
	c.opts.Progress(p)
}

// failed counts the errors of a tick.
func (t *tally) failed() (n int64) {
	n = t.Counts[unanswered]
	for name, count := range t.Errors {
		if name != slowClosed {
			n += count
		}
	}
	return n
}

// errOthers says that another generator has failed.
var errOthers = errors.New("another worker failed")

// barrier lets everyone go on when all have arrived, or one has given up.
type barrier struct {
	mu    sync.Mutex
	miss  int
	err   error
	ready chan struct{}
}

func newBarrier(n int) *barrier { return &barrier{miss: n, ready: make(chan struct{})} }

// arrive waits for the others.
func (b *barrier) arrive(ctx context.Context) error {
	b.mu.Lock()
	if b.miss--; b.miss == 0 {
		close(b.ready)
	}
	b.mu.Unlock()
	select {
	case <-b.ready:
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// give gives up for everyone.
func (b *barrier) give(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.miss > 0 {
		b.miss, b.err = 0, fmt.Errorf("%w: %w", errOthers, err)
		close(b.ready)
	}
}
