package server

import (
	"context"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/msgserver/msgserver/service"
)

// task is a request that may wait for the disk.
type task struct {
	run     func(ctx context.Context)
	receipt bool // the next receipt need not wait until this one is on the disk
	bytes   int  // of a body that is not decoded yet
}

// requests is what a connection has asked for and no worker has answered yet. It is guarded by its session's mu.
type requests struct {
	tasks    []task // the first may be running
	bytes    int    // of all tasks
	receipts int    // on their way to the disk: what reads has to wait for them
	busy     bool   // a worker has the session or will have
	gated    bool   // the first task waits for receipts, or until the client has read more
}

// pool runs the requests that may wait for the disk on a few goroutines. A session's requests are run one
// after another, in the order they came; sessions take turns. Large bodies are decoded by few, so that there is
// always a processor left for the loops.
type pool struct {
	timeout time.Duration
	light   chan *session // sessions with tasks that no worker has
	heavy   chan *session // those whose next task has a large body
	quit    chan struct{} // closed when the workers shall end
	wg      sync.WaitGroup
}

// newPool starts the workers; at most sessions sessions can wait at once.
func newPool(workers, sessions int, timeout time.Duration) *pool {
	p := &pool{timeout: timeout, light: make(chan *session, sessions), heavy: make(chan *session, sessions), quit: make(chan struct{})}
	for range workers {
		p.wg.Go(func() { p.run(p.light) })
	}
	for range max(1, runtime.GOMAXPROCS(0)/4) {
		p.wg.Go(func() { p.run(p.heavy) })
	}
	return p
}

// put has a worker come for a session, which is with none and has tasks. The caller holds its mu.
func (p *pool) put(s *session) {
	if s.requests.tasks[0].bytes > 0 {
		p.heavy <- s
	} else {
		p.light <- s
	}
}

// stop ends the workers after what they are doing. What still waits is dropped.
func (p *pool) stop() {
	close(p.quit)
	p.wg.Wait()
}

// maxBodies is how many bytes of bodies that are not decoded yet may wait for one connection.
const maxBodies = 1 << 20

// enqueue has a worker run t, or says that too much waits already. It never blocks.
func (s *session) enqueue(t task) error {
	if s.srv.draining.Load() {
		return service.Errorf(service.Unavailable, "the server is shutting down: send it again after connecting anew")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w := &s.requests
	switch {
	case s.closed:
		return nil
	case len(w.tasks) >= s.srv.cfg.Queue:
		return service.Errorf(service.Busy, "%d requests of this connection wait already: wait for answers before sending more", len(w.tasks))
	case w.bytes+t.bytes > maxBodies:
		return service.Errorf(service.Busy, "large requests of this connection wait already: wait for answers before sending more")
	case !s.srv.reads.Take(t.bytes):
		return service.Errorf(service.Busy, "too many large requests wait: send it again later")
	}
	w.tasks = append(w.tasks, t)
	w.bytes += t.bytes
	s.srv.stats.Waiting.Add(1)
	if !w.gated {
		s.resume()
	}
	return nil
}

// resume has a worker come for the session. The caller holds mu. There is room for every session once.
func (s *session) resume() {
	s.requests.gated = false
	if !s.requests.busy && len(s.requests.tasks) > 0 {
		s.requests.busy = true
		s.srv.pool.put(s)
	}
}

// mustWait reports whether it is too early to begin t. The caller holds mu.
func (s *session) mustWait(t *task) bool {
	return s.requests.receipts > 0 && !t.receipt || s.out.size()+s.buffered > s.srv.cfg.PendingBytes
}

// receiptBegins and receiptEnds surround the time that a receipt needs to get to the disk.
func (s *session) receiptBegins() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests.receipts++
}

func (s *session) receiptEnds() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.requests.receipts--; s.requests.receipts == 0 && s.requests.gated && !s.closed {
		s.resume()
	}
}

// run serves sessions until the pool stops.
func (p *pool) run(ready <-chan *session) {
	for {
		select {
		case <-p.quit:
			return
		case s := <-ready:
			s.runTask(p.timeout)
		}
	}
}

// runTask runs the session's oldest task and has a worker come for the next one, behind other sessions.
func (s *session) runTask(timeout time.Duration) {
	t, ok := s.beginTask()
	if !ok {
		return
	}
	s.guard(func() {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		t.run(ctx)
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	w := &s.requests
	w.busy = false
	if len(w.tasks) == 0 { // closed meanwhile
		return
	}
	w.tasks[0] = task{}
	w.tasks = w.tasks[1:]
	w.bytes -= t.bytes
	s.srv.reads.Give(t.bytes)
	s.srv.stats.Waiting.Add(-1)
	if len(w.tasks) == 0 {
		w.tasks = nil
	}
	s.resume()
}

// beginTask is the task to run now; none if the session was closed, or somebody will call resume when it is time.
func (s *session) beginTask() (t task, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := &s.requests
	if len(w.tasks) > 0 {
		w.gated = s.mustWait(&w.tasks[0])
	}
	if len(w.tasks) == 0 || w.gated {
		w.busy = false
		return task{}, false
	}
	return w.tasks[0], true
}

// guard makes a panic cost the connection, not the server.
func (s *session) guard(f func()) {
	defer func() {
		if r := recover(); r != nil {
			s.srv.stats.Panics.Add(1)
			s.srv.log.Error("panic in a worker", append(s.fields(), zap.Any("panic", r), zap.ByteString("stack", debug.Stack()))...)
			s.kill()
		}
	}()
	f()
}
