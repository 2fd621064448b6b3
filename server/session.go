package server

import (
	"context"
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
	need      int    // bytes the frame that has begun will have in all; 0 between frames
	discarded int    // bytes thrown away so far
	handed    uint64 // bytes given to the network engine
	taken     uint64 // of them, those that the socket had taken when it was looked at last
	counted   int    // bytes of this connection in Stats.WaitingBytes
	pushes    int    // of them, those of pushes, in Server.waitingPushes
	unacked   int    // bytes that the kernel had and the client had not acknowledged, when it was asked last
	parked    bool   // it is in loop.parked

	// Written by the loop when the session binds, before bound is set; static from then on.
	user   service.UserID
	device string
	format codec.Format // of pushes
	bound  atomic.Bool

	deaf     atomic.Bool  // the connection is ending: what comes in is thrown away
	lastSeen atomic.Int64 // tick of the last bytes that came in
	halfAt   atomic.Int64 // tick at which the frame began that is not complete yet; 0 is none
	lingerAt atomic.Int64 // tick at which lingering began; 0 is not lingering
	inFlight atomic.Int32 // messages and receipts that are not answered yet

	stuckAt atomic.Int64 // tick since which the socket takes nothing although something waits; 0 is not waiting

	mu        sync.Mutex
	out       outbox   // guarded by mu: frames to write
	buffered  int      // guarded by mu, written by the loop: bytes that the network engine has and the socket has not
	scheduled bool     // guarded by mu: the loop knows that there is something to write, or has the session parked
	last      bool     // guarded by mu: after what is in out the connection is closed
	closed    bool     // guarded by mu: nothing is taken any more
	requests  requests // guarded by mu: requests that wait for a worker
}

// push queues a frame that the client may miss: it is told so. It reports false if the client misses it. The frame
// must not be changed afterwards. push may be called from anywhere and never blocks, as the others here.
func (s *session) push(frame []byte) bool { return s.queue(frame, push, false) }

// acknowledge queues the answer to something that cost little, as messages do.
func (s *session) acknowledge(frame []byte) { s.queue(frame, ack, false) }

// sendLast queues a frame and has the connection closed behind it. It reports false if it is closing already.
func (s *session) sendLast(frame []byte) bool { return s.queue(frame, answer, true) }

func (s *session) queue(frame []byte, k kind, last bool) bool {
	s.mu.Lock()
	if s.closed || s.last {
		s.mu.Unlock()
		return false
	}
	if k == push && s.mustDrop(len(frame)) {
		s.out.behind = true
		s.mu.Unlock()
		s.srv.stats.Dropped.Add(1)
		return false
	}
	if k == ack && s.out.bytes[ack]+len(frame) > s.srv.cfg.AckBytes {
		s.mu.Unlock()
		s.slow("acknowledgements are not read")
		return false
	}
	s.out.add(frame, k)
	if last {
		s.last = true
		s.deaf.Store(true)
	}
	add := !s.scheduled
	s.scheduled = true
	s.mu.Unlock()
	if add {
		s.loop.add(s)
	}
	return true
}

// mustDrop reports whether one more push is too much. After the first that was dropped all are, until missedNoti
// is on its way. The caller holds mu.
func (s *session) mustDrop(n int) bool {
	limit, waits := s.srv.cfg.PendingBytes, s.out.bytes[push]
	if s.buffered == 0 {
		limit *= burst
	}
	return s.out.behind || waits > 0 && waits+n > limit || waits > fairShare && s.srv.overBudget()
}

const (
	// burst is how many times more may wait for our own loop than for a socket that takes no more.
	burst = 8
	// fairShare is what may wait for a connection even when all together are over their budget.
	fairShare = 64 << 10
	// flushRounds is how many writes a session has before others have theirs.
	flushRounds = 16
)

// take moves some of what waits behind pieces, and first queues missedNoti if there is room for it. last says
// that the connection ends after all this.
func (s *session) take(pieces [][]byte, most int) (all [][]byte, last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		s.scheduled = false
		return pieces, false
	}
	if s.out.behind && !s.last && s.out.bytes[push] <= s.srv.cfg.PendingBytes/2 {
		s.out.behind = false
		s.out.add(missed[s.format], push)
		s.srv.stats.Missed.Add(1)
	}
	pieces = s.out.take(pieces, most)
	if len(pieces) == 0 {
		s.scheduled = false
		return pieces, s.last
	}
	return pieces, false
}

// flush writes what waits until there is nothing more or the socket takes no more; on the loop only. It reports
// whether something is left, for which the loop has to come again.
func (s *session) flush(l *loop) (left bool) {
	for range flushRounds {
		if s.isClosed() || s.conn.OutboundBuffered() > 0 {
			break
		}
		pieces, last := s.take(l.pieces[:0], coalesce)
		n := l.write(s, pieces)
		clear(pieces)
		l.pieces = pieces[:0]
		s.handed += uint64(n)
		if last {
			s.linger()
		}
		if n == 0 {
			break
		}
	}
	return s.pause()
}

// pause notes what is left and whether the socket has taken anything since the last time, and lets the next
// request begin if enough has left; on the loop only.
func (s *session) pause() (left bool) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		s.recount(0, 0)
		return false
	}
	s.buffered = s.conn.OutboundBuffered()
	if s.buffered > 0 {
		s.srv.stats.Dropped.Add(int64(s.out.trim(s.srv.cfg.PendingBytes)))
	}
	left = s.buffered > 0 || !s.out.empty()
	waits := s.out.size() + s.buffered
	s.scheduled = left
	if s.requests.gated && waits <= s.srv.cfg.PendingBytes {
		s.resume()
	}
	taken, pushes := s.handed-uint64(s.buffered), s.out.bytes[push]
	s.mu.Unlock()
	s.noteProgress(left, taken)
	s.taken = taken
	if !left {
		waits, pushes = 0, 0
	}
	s.recount(waits, pushes)
	return left
}

// stuckFor is for how many ticks the client has taken nothing although something waits.
func (s *session) stuckFor() int64 {
	since := s.stuckAt.Load()
	if since == 0 {
		return 0
	}
	return s.srv.wheel.now() - since
}

// judge closes the connection if its client still takes nothing. It looks first: it may have been our loop that did
// not look for so long.
func (s *session) judge() {
	_ = s.loop.events.Execute(context.Background(), gnet.RunnableFunc(func(context.Context) error {
		if s.loop.serve(s); s.stuckFor() >= ticksOf(s.srv.cfg.SlowTimeout) {
			s.slow("it reads nothing")
		}
		return nil
	}))
}

// recount notes what waits for this connection in what waits for all; on the loop only.
func (s *session) recount(waits, pushes int) {
	s.srv.stats.WaitingBytes.Add(int64(waits - s.counted))
	s.srv.waitingPushes.Add(int64(pushes - s.pushes))
	s.counted, s.pushes = waits, pushes
}

// noteProgress notes since when the client has taken nothing although something waits.
func (s *session) noteProgress(left bool, taken uint64) {
	now, since := max(1, s.srv.wheel.now()), s.stuckAt.Load()
	switch {
	case !left:
		s.stuckAt.Store(0)
	case taken != s.taken || since == 0:
		s.stuckAt.Store(now)
	case now-since > s.srv.cfg.lookEvery():
		// The kernel takes more only when a third of its buffer is free: what the client has taken until then
		// shows in what is not acknowledged. To ask is a system call, so it is not done each time.
		if n := unacked(s.conn.Fd()); n != s.unacked {
			s.unacked = n
			s.stuckAt.Store(now)
		}
	}
}

// shed throws away the pushes that wait. It returns how many bytes that were.
func (s *session) shed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	bytes := s.out.bytes[push]
	s.srv.stats.Dropped.Add(int64(s.out.trim(0)))
	return bytes
}

// slow closes the connection of a client that does not read what it is sent.
func (s *session) slow(why string) {
	if s.kill() {
		s.srv.stats.SlowConsumers.Add(1)
		s.srv.log.Info("slow consumer closed", append(s.fields(), zap.String("why", why))...)
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
	s.srv.stats.Waiting.Add(-int64(len(s.requests.tasks)))
	s.srv.bodies.Give(s.requests.bytes)
	s.srv.drop(s)
	s.out, s.requests = outbox{}, requests{receipts: s.requests.receipts}
	return true
}

func (s *session) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// end has the connection closed behind what waits.
func (s *session) end() {
	s.mu.Lock()
	add := !s.closed && !s.last && !s.scheduled
	s.last = true
	s.scheduled = s.scheduled || add
	s.mu.Unlock()
	s.deaf.Store(true)
	if add {
		s.loop.add(s)
	}
}

// linger ends the connection gently, on the loop: our side is closed, and what the client still sends is
// thrown away for a moment. Closing at once with bytes unread would make the kernel send a reset, which
// takes from the client the very frame that says what was wrong.
func (s *session) linger() {
	if s.isClosed() {
		return // the last write failed: the descriptor may be somebody else's by now
	}
	s.deaf.Store(true)
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
