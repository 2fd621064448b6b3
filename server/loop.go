package server

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"

	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

// coalesce is how many bytes of one session's frames go out in one write, and about how many the network engine
// keeps for a socket that takes no more.
const coalesce = 64 << 10

// A loop looks again at sessions whose socket was full: the network engine does not say when it has room.
const (
	lookSoon = time.Millisecond
	lookLate = 50 * time.Millisecond
	lookCost = 2 * time.Microsecond // for each session, several times what it takes: many slow clients do not fill the loop
)

// loop is what belongs to one event loop of gnet: the sessions with frames to write, and scratch space.
type loop struct {
	events gnet.EventLoop // static
	srv    *Server        // static
	turns  atomic.Int64   // questions of watchLoops that were answered

	// Owned by the loop.
	turn    service.Turn
	request codec.MessageRequest
	pieces  [][]byte
	scratch []byte
	spare   []*session
	parked  []*session    // with frames that their sockets did not take
	look    time.Duration // until the loop looks at the parked again

	mu     sync.Mutex
	dirty  []*session    // guarded by mu: sessions with frames that nobody has written yet
	called bool          // guarded by mu: Run is on its way
	timer  *time.Timer   // guarded by mu: calls ring
	timed  bool          // guarded by mu: timer is set
	waits  time.Duration // guarded by mu: what it was set to
}

// add has the loop write what s has waiting. It may be called from anywhere.
func (l *loop) add(s *session) {
	l.mu.Lock()
	l.dirty = append(l.dirty, s)
	l.mu.Unlock()
	l.call()
}

// call has Run run.
func (l *loop) call() {
	l.mu.Lock()
	call := !l.called
	l.called = true
	l.mu.Unlock()
	if call {
		// It fails only when the engine has shut down, and then there is nobody to write to.
		_ = l.events.Execute(context.Background(), l)
	}
}

// Run writes what is waiting, on the event loop.
func (l *loop) Run(context.Context) error {
	l.mu.Lock()
	dirty := l.dirty
	l.dirty, l.spare = l.spare[:0], nil
	l.called = false
	due := !l.timed
	l.mu.Unlock()
	if due {
		l.visitParked()
	}
	for _, s := range dirty {
		l.serve(s)
	}
	clear(dirty)
	l.spare = dirty[:0]
	if due && l.srv.overBudget() {
		l.relieve()
	}
	l.setTimer()
	return nil
}

// serve writes what waits for a session, and remembers it if something is left.
func (l *loop) serve(s *session) {
	if s.flush(l) && !s.parked {
		s.parked = true
		l.parked = append(l.parked, s)
		l.look = lookSoon
	}
}

// visitParked tries the sessions whose sockets were full again. While none of them moves it looks less often.
func (l *loop) visitParked() {
	kept, moved := l.parked[:0], false
	for _, s := range l.parked {
		before := s.taken
		left := s.flush(l)
		moved = moved || s.taken != before
		if s.parked = left; left {
			kept = append(kept, s)
		}
	}
	clear(l.parked[len(kept):])
	l.parked = kept
	if l.look = min(2*l.look, lookLate); moved {
		l.look = lookSoon
	}
}

// setTimer has Run come again if there are sessions parked.
func (l *loop) setTimer() {
	if len(l.parked) == 0 {
		return
	}
	wait := max(l.look, lookSoon, time.Duration(len(l.parked))*lookCost)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.timer == nil:
		l.timer = time.AfterFunc(wait, l.ring)
	case !l.timed:
		l.timer.Reset(wait)
	case wait < l.waits && l.timer.Stop(): // somebody new is parked, and it is set for later
		l.timer.Reset(wait)
	default:
		return
	}
	l.timed, l.waits = true, wait
}

// ring has Run visit the parked sessions.
func (l *loop) ring() {
	l.mu.Lock()
	l.timed = false
	l.mu.Unlock()
	l.call()
}

// relieve makes what waits for all connections fit into its budget again: of this loop's, those for which most
// waits lose their pushes first. Where no pushes are left to be dropped, here and on other loops, and it is still
// far too much, those who take nothing at the moment are closed.
func (l *loop) relieve() {
	slices.SortFunc(l.parked, func(a, b *session) int { return cmp.Compare(b.counted, a.counted) })
	for _, s := range l.parked {
		if !l.srv.overBudget() {
			return
		}
		if s.shed() > 0 {
			s.pause()
		}
	}
	for _, s := range l.parked {
		if !l.srv.farOverBudget() || l.srv.waitingPushes.Load() > 0 {
			return
		}
		if s.stuckFor() >= ticksOf(closeStuck) {
			s.slow("the memory for what waits is used up")
			s.recount(0, 0)
		}
	}
}

// closeStuck is how long somebody has taken nothing who is closed when memory runs out.
const closeStuck = time.Second

// write writes pieces in one go and returns their bytes.
func (l *loop) write(s *session, pieces [][]byte) (n int) {
	switch len(pieces) {
	case 0:
		return 0
	case 1:
		_, _ = s.conn.Write(pieces[0]) // after an error gnet has closed the connection
		return len(pieces[0])
	}
	out := l.scratch[:0]
	for _, p := range pieces {
		out = append(out, p...)
	}
	_, _ = s.conn.Write(out)
	l.scratch = out[:0]
	return len(out)
}
