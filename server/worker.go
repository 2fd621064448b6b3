package server

import (
	"container/list"
	"context"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/msgserver/msgserver/service"
)

// task is a request that may wait for the disk. Of one with a large body only decode is there at first; it gives
// the rest.
type task struct {
	run     func(ctx context.Context)
	receipt bool // the next receipt need not wait until this one is on the disk
	decode  func() (t task, ok bool)
	bytes   int // of the body that decode reads
}

// requests is what a connection has asked for and no worker has answered yet. It is guarded by its session's mu.
type requests struct {
	tasks    []task // the first may be running
	bytes    int    // of all tasks
	receipts int    // on their way to the disk: what reads has to wait for them
	busy     bool   // a worker has the session or will have
	gated    bool   // the first task waits for receipts, or until the client has read more

	line *line         // where it waits for a worker; nil if it does not
	at   *list.Element // in line
}

// pool runs the requests that may wait for the disk on a few goroutines. A session's requests are run one
// after another, in the order they came; sessions take turns. Large bodies are decoded by few, so that there is
// always a processor left for the loops.
type pool struct {
	timeout time.Duration
	light   *line // sessions with tasks that no worker has
	heavy   *line // those whose next task has a large body
	wg      sync.WaitGroup
}

// newPool starts the workers.
func newPool(workers int, timeout time.Duration) *pool {
	p := &pool{timeout: timeout, light: newLine(), heavy: newLine()}
	for range workers {
		p.wg.Go(func() { p.run(p.light) })
	}
	for range max(1, runtime.GOMAXPROCS(0)/4) {
		p.wg.Go(func() { p.run(p.heavy) })
	}
	return p
}

// stop ends the workers after what they are doing. What still waits is dropped.
func (p *pool) stop() {
	p.light.close()
	p.heavy.close()
	p.wg.Wait()
}

// put has a worker come for a session, which is with none and has tasks. The caller holds its mu.
func (p *pool) put(s *session) {
	s.requests.line = p.light
	if s.requests.tasks[0].decode != nil {
		s.requests.line = p.heavy
	}
	s.requests.at = s.requests.line.add(s)
}

// drop takes a session that was closed out of its line. The caller holds its mu.
func (srv *Server) drop(s *session) {
	if l := s.requests.line; l != nil {
		l.remove(s.requests.at)
	}
}

// line is the sessions that wait for a worker. It holds each at most once, so open connections bound it.
type line struct {
	mu       sync.Mutex
	waits    sync.Cond
	sessions list.List // guarded by mu
	closed   bool      // guarded by mu
}

func newLine() *line {
	l := &line{}
	l.waits.L = &l.mu
	return l
}

func (l *line) add(s *session) *list.Element {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waits.Signal()
	return l.sessions.PushBack(s)
}

// remove does nothing if the element was taken before.
func (l *line) remove(e *list.Element) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sessions.Remove(e)
}

// take waits for a session; nil: the line is closed.
func (l *line) take() *session {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.sessions.Len() == 0 && !l.closed {
		l.waits.Wait()
	}
	if l.closed {
		return nil
	}
	return l.sessions.Remove(l.sessions.Front()).(*session)
}

func (l *line) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.waits.Broadcast()
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
	case w.bytes+t.bytes > maxBodies, t.bytes > 0 && s.unread() > s.srv.cfg.PendingBytes:
		return service.Errorf(service.Busy, "large requests of this connection wait already, or answers that are not read: read before sending more")
	case !s.srv.bodies.Take(t.bytes):
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

// unread is how many bytes wait for the client. The caller holds mu.
func (s *session) unread() int { return s.out.size() + s.buffered }

// resume has a worker come for the session. The caller holds mu.
func (s *session) resume() {
	s.requests.gated = false
	if !s.requests.busy && len(s.requests.tasks) > 0 {
		s.requests.busy = true
		s.srv.pool.put(s)
	}
}

// mustWait reports whether it is too early to begin t. The caller holds mu.
func (s *session) mustWait(t *task) bool {
	return s.requests.receipts > 0 && !t.receipt || s.unread() > s.srv.cfg.PendingBytes
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
func (p *pool) run(l *line) {
	for s := l.take(); s != nil; s = l.take() {
		s.runTask(p.timeout)
	}
}

// runTask runs the session's oldest task, or decodes it, and has a worker come for what is next, behind other sessions.
func (s *session) runTask(timeout time.Duration) {
	t, ok := s.beginTask()
	if !ok {
		return
	}
	var next task
	more := false // next takes the place of t
	s.guard(func() {
		if t.decode != nil {
			next, more = t.decode()
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		t.run(ctx)
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	w := &s.requests
	w.busy = false
	if s.closed {
		return
	}
	w.bytes -= t.bytes
	s.srv.bodies.Give(t.bytes)
	if w.tasks[0] = next; !more {
		w.tasks = w.tasks[1:]
		s.srv.stats.Waiting.Add(-1)
	}
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
	w.line, w.at = nil, nil
	if len(w.tasks) > 0 {
		w.gated = w.tasks[0].decode == nil && s.mustWait(&w.tasks[0])
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
