package server

import (
	"context"
	"runtime/debug"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/msgserver/msgserver/service"
)

// task is a request that may wait for the disk.
type task func(ctx context.Context)

// pool runs the requests that may wait for the disk on a few goroutines. A session's requests are run one
// after another, in the order they came; sessions take turns.
type pool struct {
	timeout time.Duration
	ready   chan *session // sessions with tasks that no worker has
	quit    chan struct{} // closed when the workers shall end
	wg      sync.WaitGroup
}

// newPool starts the workers; at most sessions sessions can wait at once.
func newPool(workers, sessions int, timeout time.Duration) *pool {
	p := &pool{timeout: timeout, ready: make(chan *session, sessions), quit: make(chan struct{})}
	for range workers {
		p.wg.Go(p.run)
	}
	return p
}

// stop ends the workers after what they are doing. What still waits is dropped.
func (p *pool) stop() {
	close(p.quit)
	p.wg.Wait()
}

// enqueue has a worker run t, or says that too much waits already. It never blocks.
func (s *session) enqueue(t task) error {
	if s.srv.draining.Load() {
		return service.Errorf(service.Unavailable, "the server is shutting down: send it again after connecting anew")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	if len(s.tasks) >= s.srv.cfg.Queue {
		return service.Errorf(service.Busy, "%d requests of this connection wait already: wait for answers before sending more", len(s.tasks))
	}
	if !s.working {
		select {
		case s.srv.pool.ready <- s:
			s.working = true
		default:
			return service.Errorf(service.Busy, "too many requests wait for the disk: send it again later")
		}
	}
	s.tasks = append(s.tasks, t)
	s.srv.stats.Waiting.Add(1)
	return nil
}

// run serves sessions until the pool stops.
func (p *pool) run() {
	for {
		select {
		case <-p.quit:
			return
		case s := <-p.ready:
			for s.runTask(p.timeout) && !p.handOver(s) {
			}
		}
	}
}

// handOver puts the session behind those that wait; false if there is no room and this worker should go on with it.
func (p *pool) handOver(s *session) bool {
	select {
	case p.ready <- s:
		return true
	default:
		return false
	}
}

// runTask runs the session's oldest task and reports whether there are more.
func (s *session) runTask(timeout time.Duration) (more bool) {
	s.mu.Lock()
	if len(s.tasks) == 0 { // the session was closed
		s.working = false
		s.mu.Unlock()
		return false
	}
	t := s.tasks[0]
	s.mu.Unlock()

	s.guard(func() {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		t(ctx)
	})

	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.tasks) > 0 {
		s.tasks[0] = nil
		s.tasks = s.tasks[1:]
		s.srv.stats.Waiting.Add(-1)
	}
	if len(s.tasks) == 0 {
		s.tasks, s.working = nil, false
	}
	return s.working
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
