package bench

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/msgserver/msgserver/bench/result"
	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

// generate makes the load of a spec from this process. Ticks are given to tick as they come. start, if not nil, is
// called when everything is prepared, and returns when the load may begin.
func generate(ctx context.Context, spec result.Spec, start func(context.Context) error, tick func(*tally)) (*outcome, error) {
	kind, err := kindOf(spec.Scenario)
	if err != nil {
		return nil, err
	}
	r, err := newRun(spec)
	if err != nil {
		return nil, err
	}
	defer r.close()
	r.begins, r.user = kind.begins, ctx
	return r.do(ctx, kind.build(r), start, tick)
}

// outcome is what a generator has to say when a run has ended.
type outcome struct {
	Check  result.Check   `json:"check"`
	Memory *result.Memory `json:"memory,omitempty"`
	RSS    int64          `json:"rss"`
	CPU    float64        `json:"cpuCores"` // that it kept busy while measuring
	Cores  int            `json:"cores"`    // of its machine
}

// run is one run of a scenario by this process.
type run struct {
	// Static after newRun.
	spec    result.Spec
	format  codec.Format
	base    time.Time // when its clock began
	rec     *recorder
	ledger  *ledger
	padding string
	first   service.UserID // of this run's users
	sources []net.IP
	begins  int             // the latency that begins when an arrival is due
	user    context.Context // ended when whoever began the run wants its end
	tasks   chan struct{}   // a place for each request that waits for an answer
	ctx     context.Context
	cancel  context.CancelFunc // ends everything

	stopped context.Context // ended when no more load is made; static once it begins
	began   time.Duration   // static once the load begins

	running sync.WaitGroup // of the goroutines that were begun, most of which wait for answers
	confirm atomic.Int64   // goroutines that confirm what came, and wait for the answers
	loading atomic.Bool    // the load has begun
	closing atomic.Bool    // connections are being closed: what is refused now was not
	hasty   atomic.Bool    // although there was something on its way still

	mu       sync.Mutex
	sessions []*session // guarded by mu
}

func newRun(spec result.Spec) (*run, error) {
	r := &run{spec: spec, base: time.Now(), rec: newRecorder(), tasks: make(chan struct{}, tasks), sources: sourcesOf(spec)}
	switch spec.Format {
	case "json":
		r.format = codec.JSON
	case "msgpack":
		r.format = codec.MsgPack
	default:
		return nil, fmt.Errorf("format %q is neither json nor msgpack", spec.Format)
	}
	var name [10]byte
	rand.Read(name[:])
	r.ledger = &ledger{run: base32.StdEncoding.EncodeToString(name[:5])}
	// Users of this run only, so that nothing of an earlier run waits for them: 2^20 ids in a range of 2^52.
	r.first = 1<<52 + service.UserID(binary.BigEndian.Uint32(name[5:9]))<<20
	r.padding = strings.Repeat("x", max(0, spec.Payload-stampLen))
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r, nil
}

// now is the time on the run's clock.
func (r *run) now() time.Duration { return time.Since(r.base) }

// do runs a scenario through all its phases.
func (r *run) do(ctx context.Context, sc scenario, start func(context.Context) error, tick func(*tally)) (*outcome, error) {
	t := newTicker(r, tick)
	defer t.stop()
	defer context.AfterFunc(ctx, func() {
		if !r.loading.Load() {
			r.cancel() // while preparing there is nothing to be kept
		}
	})()
	if err := r.enoughDescriptors(); err != nil {
		return nil, err
	}
	if err := r.probe(r.ctx); err != nil {
		return nil, err
	}
	if err := sc.prepare(r.ctx); err != nil {
		return nil, fmt.Errorf("prepare %s: %w", r.spec.Scenario, err)
	}
	if start != nil {
		if err := start(r.ctx); err != nil {
			return nil, err
		}
	}
	r.loading.Store(true)
	if err := r.measure(ctx, sc, t); err != nil {
		return nil, err
	}
	r.settle(ctx, t)
	o := &outcome{RSS: residentBytes(), CPU: t.busy(), Cores: runtime.NumCPU()}
	if m, ok := sc.(interface{ memory() *result.Memory }); ok {
		o.Memory = m.memory()
	}
	r.fetchMissed()
	r.lookAtConnections()
	r.close()
	t.end()
	o.Check = r.ledger.check()
	return o, nil
}

// measure makes the load: warm-up, and what counts.
func (r *run) measure(ctx context.Context, sc scenario, t *ticker) error {
	var stop context.CancelFunc
	r.stopped, stop = context.WithCancel(ctx)
	var watch sync.WaitGroup
	defer watch.Wait()
	defer stop()
	r.began = r.now()
	from := r.began + r.spec.Warmup
	until := from + r.spec.Duration
	r.rec.measure(from, until)
	t.begin(from, until)
	if m, ok := sc.(interface{ measuring(context.Context) }); ok {
		r.running.Go(func() {
			if sleep(r.stopped, from-r.now()) == nil {
				m.measuring(r.stopped)
			}
		})
	}
	watch.Go(func() { r.giveUp(r.stopped, until, t, stop) })
	if err := r.load(r.stopped, sc, until); err != nil {
		return err
	}
	if sc.arrivals() == unlimited {
		_ = sleep(r.stopped, until-r.now()) // the last arrival may have been well before; interrupted it ends here
	} else {
		r.waitForTasks(until)
	}
	t.pass(Settling)
	return nil
}

// waitForTasks returns when nothing that was spawned runs any more, or at a time.
func (r *run) waitForTasks(until time.Duration) {
	done := make(chan struct{})
	go func() {
		r.running.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(until - r.now()):
	}
}

// How long a run waits for what is on its way: as long as something comes in, up to a bound.
const (
	settleSilence = 5 * time.Second
	settleLimit   = 60 * time.Second
)

// settle waits until everything that was acknowledged has arrived, or nothing comes in any more.
func (r *run) settle(ctx context.Context, t *ticker) {
	limit, silence := settleLimit, settleSilence
	if ctx.Err() != nil {
		limit, silence = 5*time.Second, 3*time.Second // interrupted: someone waits
	}
	began, last, seen := r.now(), r.now(), int64(-1)
	for r.now()-began < limit {
		if r.settled() {
			return
		}
		if n := t.arrived(); n != seen {
			seen, last = n, r.now()
		}
		if r.now()-last > silence {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	r.hasty.Store(ctx.Err() != nil)
}

func (r *run) settled() bool {
	if len(r.tasks) > 0 {
		return false
	}
	for _, f := range r.ledger.flows {
		if !f.settled() {
			return false
		}
	}
	return r.confirm.Load() == 0 // what has come is being confirmed already
}

// lookAtConnections counts those that ended although nobody closed them. That fails the run; what the session
// lacks is not called lost, for it may well be on the server.
func (r *run) lookAtConnections() {
	for _, s := range r.all() {
		if c := s.connection(); c != nil && c.Err() != nil {
			r.lostConnection(s, c.Err())
			s.absence(true)
		}
	}
}

// lostConnection notes a connection that ended although nobody closed it.
func (r *run) lostConnection(s *session, err error) {
	r.rec.failed(s.index, "connection lost")
	r.ledger.violation("the connection of user %d ended by itself: %v", s.user, err)
}

// close ends all connections and everything that still waits.
func (r *run) close() {
	r.closing.Store(true)
	r.cancel()
	for _, s := range r.all() {
		if c := s.connection(); c != nil {
			c.Close()
		}
	}
	r.running.Wait()
}
