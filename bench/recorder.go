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

// noKind is for what has no latency.
const noKind = -1

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
	unanswered
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

// waited is took for what was given up: only its latency counts, which is the time that it waited.
func (r *recorder) waited(shard, kind int, due, now time.Duration) {
	if kind == noKind || int64(due) < r.from.Load() || int64(due) >= r.to.Load() {
		return
	}
	s := r.shard(shard)
	s.mu.Lock()
	s.hist[kind].Record(now - due)
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
func (r *recorder) take(t *tally) {
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
