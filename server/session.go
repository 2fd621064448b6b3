package server

import (
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/panjf2000/gnet/v2"
	"go.uber.org/zap"

	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

// lingerBytes is what a connection that is being closed may still send before it is cut off.
const lingerBytes = 1 << 20

// session is one connection.
type session struct {
	id       service.SessionID // static
	srv      *Server           // static
	loop     *loop             // static
	openedAt int64             // static: tick

	// Owned by the loop.
	conn      gnet.Conn
	need      int  // bytes the frame that has begun will have in all; 0 between frames
	deaf      bool // the connection is ending: what comes in is thrown away
	discarded int  // bytes thrown away so far

	// Written by the loop when the session binds, before bound is set; static from then on.
	user   service.UserID
	device string
	format codec.Format // of pushes
	bound  atomic.Bool

	lastSeen atomic.Int64 // tick of the last bytes that came in
	halfAt   atomic.Int64 // tick at which the frame began that is not complete yet; 0 is none
	lingerAt atomic.Int64 // tick at which lingering began; 0 is not lingering
	inFlight atomic.Int32 // messages that are not answered yet

	mu        sync.Mutex
	out       [][]byte // guarded by mu: frames to write, immutable and shared
	queued    int      // guarded by mu: their bytes
	scheduled bool     // guarded by mu: the loop knows that there is something to write
	last      bool     // guarded by mu: after what is in out the connection is closed
	closed    bool     // guarded by mu: nothing is taken any more
	tasks     []task   // guarded by mu: requests that wait for a worker
	working   bool     // guarded by mu: a worker has the session or will have
}

// send queues a frame, which must not be changed afterwards. A client that does not read is closed when
// too much waits for it. send may be called from anywhere and never blocks.
func (s *session) send(frame []byte) { s.queue(frame, false) }

// sendLast queues a frame and has the connection closed behind it. It reports false if it is closing already.
func (s *session) sendLast(frame []byte) bool { return s.queue(frame, true) }

func (s *session) queue(frame []byte, last bool) bool {
	s.mu.Lock()
	if s.closed || s.last {
		s.mu.Unlock()
		return false
	}
	if s.queued+len(frame) > s.srv.cfg.PendingBytes && s.queued > 0 {
		s.mu.Unlock()
		s.slow()
		return false
	}
	s.out = append(s.out, frame)
	s.queued += len(frame)
	s.last = last
	add := !s.scheduled
	s.scheduled = true
	s.mu.Unlock()
	if add {
		s.loop.add(s)
	}
	return true
}

// take moves the waiting frames behind frames. last says that the connection ends after them.
func (s *session) take(frames [][]byte) (all [][]byte, last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scheduled = false
	if s.closed {
		return frames, false
	}
	frames = append(frames, s.out...)
	clear(s.out)
	if s.out = s.out[:0]; cap(s.out) > 64 {
		s.out = nil
	}
	s.queued = 0
	return frames, s.last
}

// write hands bytes to gnet, which keeps what the socket does not take; on the loop only. Too much kept from
// before ends the connection; one large answer does not.
func (s *session) write(b []byte) {
	if s.conn.OutboundBuffered() > s.srv.cfg.PendingBytes {
		s.slow()
	}
	if s.isClosed() {
		return
	}
	_, _ = s.conn.Write(b) // after an error gnet has closed the connection
}

// slow closes the connection of a client that does not read what it is sent.
func (s *session) slow() {
	if s.kill() {
		s.srv.stats.SlowConsumers.Add(1)
		s.srv.log.Info("slow consumer closed", s.fields()...)
	}
}

// kill closes the connection at once, from anywhere. It reports whether this call did it.
func (s *session) kill() bool {
	if !s.markClosed() {
		return false
	}
	// Close runs on the loop, behind what is queued there; the session is dead already.
	_ = s.conn.Close()
	return true
}

// markClosed lets go of everything that waits; it reports false if that was done before.
func (s *session) markClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.closed = true
	s.srv.stats.Waiting.Add(-int64(len(s.tasks)))
	s.out, s.queued, s.tasks = nil, 0, nil
	return true
}

func (s *session) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// linger ends the connection gently, on the loop: our side is closed, and what the client still sends is
// thrown away for a moment. Closing at once with bytes unread would make the kernel send a reset, which
// takes from the client the very frame that says what was wrong.
func (s *session) linger() {
	s.deaf = true
	s.lingerAt.Store(max(1, s.srv.wheel.now()))
	if s.conn.OutboundBuffered() == 0 {
		_ = syscall.Shutdown(s.conn.Fd(), syscall.SHUT_WR)
	}
	s.srv.wheel.soon(s)
}

func (s *session) caller(claimed codec.OptID) service.Caller {
	return service.Caller{User: s.user, Session: s.id, Claimed: service.UserID(claimed.ID), Claims: claimed.Set}
}

func (s *session) fields() []zap.Field {
	fields := []zap.Field{zap.Uint64("conn", uint64(s.id))}
	if s.bound.Load() {
		fields = append(fields, zap.Uint64("user", uint64(s.user)))
	}
	return fields
}
