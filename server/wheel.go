package server

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/msgserver/msgserver/service"
)

const (
	tick       = 50 * time.Millisecond
	wheelSlots = 1024 // 51 s: whoever waits longer is looked at on the way
	lingerTime = time.Second
	maxTurn    = 20 // ticks that are made up for when the wheel is late
)

// wheel watches the deadlines of all sessions with one goroutine: the bind, silence, frames that stay
// incomplete, clients that read nothing, and connections that are being closed. A session stands in one slot; when its slot comes up
// it is closed or put into a later one, so a frame that arrives costs no more than noting the tick.
type wheel struct {
	start time.Time
	ticks atomic.Int64

	mu    sync.Mutex
	slots [wheelSlots][]*session // guarded by mu
}

func newWheel() *wheel { return &wheel{start: time.Now()} }

// now is the present tick.
func (w *wheel) now() int64 { return w.ticks.Load() }

// run turns the wheel until ctx ends.
func (w *wheel) run(ctx context.Context) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			// After a pause of the whole process time goes on from where it stopped: nobody was silent meanwhile
			// who could have been heard.
			now := int64(time.Since(w.start) / tick)
			if pause := now - w.now() - maxTurn; pause > 0 {
				w.start = w.start.Add(time.Duration(pause) * tick)
				now -= pause
			}
			w.turn(now)
		}
	}
}

// turn moves on to the tick now and looks at the sessions in the slots on the way.
func (w *wheel) turn(now int64) {
	for t := w.now() + 1; t <= now; t++ {
		w.ticks.Store(t)
		w.mu.Lock()
		due := w.slots[t%wheelSlots]
		w.slots[t%wheelSlots] = nil
		w.mu.Unlock()
		for _, s := range due {
			if next, alive := s.check(t); alive {
				w.put(s, next)
			}
		}
	}
}

// put has s looked at on the given tick, or earlier if that is further than the wheel reaches.
func (w *wheel) put(s *session, at int64) {
	now := w.now()
	at = min(max(at, now+1), now+wheelSlots-1)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.slots[at%wheelSlots] = append(w.slots[at%wheelSlots], s)
}

// soon has s looked at when a connection that began to linger now is due.
func (w *wheel) soon(s *session) { w.put(s, w.now()+ticksOf(lingerTime)) }

func ticksOf(d time.Duration) int64 { return max(1, int64(d/tick)) }

// check closes the session if one of its deadlines has passed, and otherwise says when to look again.
func (s *session) check(now int64) (next int64, alive bool) {
	if s.isClosed() {
		return 0, false
	}
	cfg, seen := &s.srv.cfg, s.lastSeen.Load()
	due := func(since int64, after time.Duration) bool { return now-since >= ticksOf(after) }
	half, stuck := s.halfAt.Load(), s.stuckAt.Load()
	switch lingerAt := s.lingerAt.Load(); {
	case lingerAt > 0:
		if due(lingerAt, lingerTime) {
			s.kill()
			return 0, false
		}
		return lingerAt + ticksOf(lingerTime), true
	case stuck > 0 && due(stuck, cfg.SlowTimeout):
		s.judge()
		return now + 1, true
	case !s.bound.Load():
		if due(s.openedAt, cfg.BindTimeout) {
			s.expire(service.Unauthenticated, "not bound in time: send getUserId first")
			return now + 1, true
		}
		return min(s.openedAt+ticksOf(cfg.BindTimeout), now+cfg.lookEvery()), true
	case half > 0 && due(half, cfg.FrameTimeout):
		s.expire(service.Invalid, "a frame has begun and none was completed in time")
		return now + 1, true
	case cfg.IdleTimeout > 0 && due(seen, cfg.IdleTimeout):
		s.expire(service.Invalid, "silent for too long: send a heartbeat about every 60 s")
		return now + 1, true
	}
	// What begins after this look is noticed by the next one, and meets its deadline then.
	next = now + cfg.lookEvery()
	if half > 0 {
		next = min(next, half+ticksOf(cfg.FrameTimeout))
	}
	if stuck > 0 {
		next = min(next, stuck+ticksOf(cfg.SlowTimeout))
	}
	if cfg.IdleTimeout > 0 {
		next = min(next, seen+ticksOf(cfg.IdleTimeout))
	}
	return next, true
}
