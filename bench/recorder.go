package bench

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/msgserver/msgserver/bench/result"
)

// The latencies, as indexes; result.Kinds has their names in the same order.
const (
	kindConnect = iota
	kindAck
	kindDeliver
	kindSync
	kindLag // of the generator itself
	kinds
)

// event is something that is counted when it happens.
type event int

// The events.
const (
	connected event = iota
	sent
	acked
	delivered
	synced
	entries
	events
)

// recorder takes latencies and counts from many goroutines, and hands out what came since it was last asked.
type recorder struct {
	shards []recorderShard
	from   atomic.Int64 // latencies count for what was due from here …
	to     atomic.Int64 // … to before here, since the run's clock began
}

type recorderShard struct {
	mu     sync.Mutex
	hist   [kinds]*result.Histogram // guarded by mu
	counts [events]int64            // guarded by mu
	errors map[string]int64         // guarded by mu

	_ [64]byte // the next shard's lock is on another cache line
}

const never = 1<<63 - 1

func newRecorder() *recorder {
	r := &recorder{shards: make([]recorderShard, 2*runtime.GOMAXPROCS(0))}
	for i := range r.shards {
		s := &r.shards[i]
		s.errors = map[string]int64{}
		for k := range s.hist {
			s.hist[k] = result.NewHistogram()
		}
	}
	r.from.Store(never)
	r.to.Store(never)
	return r
}

// measure says which due times count.
func (r *recorder) measure(from, to time.Duration) {
	r.to.Store(int64(to))
	r.from.Store(int64(from))
}

func (r *recorder) shard(i int) *recorderShard { return &r.shards[i%len(r.shards)] }

// took counts an event and its latency.
func (r *recorder) took(shard int, e event, kind int, due, now time.Duration) {
	counts := int64(due) >= r.from.Load() && int64(due) < r.to.Load()
	s := r.shard(shard)
	s.mu.Lock()
	s.counts[e]++
	if counts {
		s.hist[kind].Record(now - due)
	}
	s.mu.Unlock()
}

// always is took for what counts whenever it is.
func (r *recorder) always(shard int, e event, kind int, d time.Duration) {
	s := r.shard(shard)
	s.mu.Lock()
	s.counts[e]++
	s.hist[kind].Record(d)
	s.mu.Unlock()
}

// count counts an event.
func (r *recorder) count(shard int, e event, n int64) {
	s := r.shard(shard)
	s.mu.Lock()
	s.counts[e] += n
	s.mu.Unlock()
}

// left counts something that was sent, and how late.
func (r *recorder) left(shard int, due, lag time.Duration) {
	counts := int64(due) >= r.from.Load() && int64(due) < r.to.Load()
	s := r.shard(shard)
	s.mu.Lock()
	if counts {
		s.hist[kindLag].Record(lag)
	}
	s.mu.Unlock()
}

// failed counts an error by its name.
func (r *recorder) failed(shard int, name string) {
	s := r.shard(shard)
	s.mu.Lock()
	s.errors[name]++
	s.mu.Unlock()
}

// take adds what came since the last call to a tick.
func (r *recorder) take(t *Tick) {
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		for k, h := range s.hist {
			if h.Count() > 0 {
				t.histogram(k).Merge(h)
				h.Reset()
			}
		}
		for e, n := range s.counts {
			t.Counts[e] += n
		}
		s.counts = [events]int64{}
		for name, n := range s.errors {
			t.Errors[name] += n
		}
		clear(s.errors)
		s.mu.Unlock()
	}
}

// pending is how many events were counted since the last take.
func (r *recorder) pending() (n int64) {
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		for _, count := range s.counts {
			n += count
		}
		s.mu.Unlock()
	}
	return n
}

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

// Tick is what came in during a second, or what is left of one where a phase ends. Latencies are of what was
// due while measuring.
type Tick struct {
	Phase  Phase                        `json:"phase"`
	Second int                          `json:"second"` // since measuring began; below 0 before
	Length time.Duration                `json:"length"`
	Conns  int64                        `json:"conns"`
	Counts [events]int64                `json:"counts"`
	Errors map[string]int64             `json:"errors,omitempty"`
	Hist   map[string]*result.Histogram `json:"hist,omitempty"`
	CPU    float64                      `json:"cpu"` // seconds
}

func newTick() *Tick { return &Tick{Errors: map[string]int64{}, Hist: map[string]*result.Histogram{}} }

// lagName is how the generator's own lag is called in Tick.Hist.
const lagName = "lag"

// kindName is how a latency is called in Tick.Hist.
func kindName(k int) string {
	if k == kindLag {
		return lagName
	}
	return string(result.Kinds[k])
}

func (t *Tick) histogram(k int) *result.Histogram {
	h := t.Hist[kindName(k)]
	if h == nil {
		h = result.NewHistogram()
		t.Hist[kindName(k)] = h
	}
	return h
}

// merge adds another generator's tick of the same second.
func (t *Tick) merge(o *Tick) {
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
