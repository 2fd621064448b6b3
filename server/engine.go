package server

import (
	"github.com/panjf2000/gnet/v2"

	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

// framesPerTurn is how many frames of one connection are handled before the loop looks at the others.
const framesPerTurn = 512

// engine is what gnet calls, on its event loops.
type engine struct {
	gnet.BuiltinEventEngine
	srv *Server
}

// OnOpen makes a session of a new connection, unless there are too many.
func (e *engine) OnOpen(c gnet.Conn) ([]byte, gnet.Action) {
	srv := e.srv
	if srv.stats.Conns.Add(1) > int64(srv.cfg.MaxConns) || srv.draining.Load() {
		srv.stats.Refused.Add(1)
		return nil, gnet.Close
	}
	srv.stats.Accepted.Add(1)
	now := srv.wheel.now()
	s := &session{
		id: service.SessionID(srv.sessionID.Add(1)), srv: srv, loop: srv.loopOf(c.EventLoop()), conn: c, openedAt: now,
	}
	s.lastSeen.Store(now)
	c.SetContext(s)
	srv.wheel.put(s, now+srv.cfg.firstLook())
	return nil, gnet.None
}

// OnClose forgets the session.
func (e *engine) OnClose(c gnet.Conn, _ error) gnet.Action {
	e.srv.stats.Conns.Add(-1)
	if s, ok := c.Context().(*session); ok {
		s.markClosed()
		s.recount(0, 0)
		if s.bound.Load() {
			e.srv.hub.remove(s)
		}
	}
	return gnet.None
}

// OnTraffic handles the frames that have come in.
func (e *engine) OnTraffic(c gnet.Conn) gnet.Action {
	s, ok := c.Context().(*session)
	if !ok {
		return gnet.Close
	}
	s.lastSeen.Store(e.srv.wheel.now())
	if c.InboundBuffered() < s.need && !s.deaf.Load() {
		return gnet.None // looking at a frame that arrives byte by byte must not cost its length each time
	}
	b, err := c.Peek(-1)
	if err != nil || len(b) == 0 {
		return gnet.None
	}
	n, more := s.frames(b)
	s.submit()
	if s.deaf.Load() {
		return s.discard(c)
	}
	if n > 0 {
		_, _ = c.Discard(n) // never 0, which would discard everything
	}
	if more {
		// What is complete already does not make the socket readable again.
		_ = c.Wake(nil)
	}
	return gnet.None
}

// frames handles the complete frames at the start of b and gives their length. more says that the turn
// ended before the frames did.
func (s *session) frames(b []byte) (n int, more bool) {
	for range framesPerTurn {
		if s.deaf.Load() || n == len(b) {
			break
		}
		f, length, err := codec.ParseFrame(b[n:], s.frameLimit())
		if err != nil {
			s.malformedFrame(err)
			return len(b), false
		}
		if length == 0 {
			s.half(b[n:], n > 0)
			return n, false
		}
		s.handle(f)
		n += length
	}
	s.need = 0
	s.halfAt.Store(0)
	return n, n < len(b)
}

// half notes that a frame has begun. completed says that others came with it, so that its time begins now.
func (s *session) half(b []byte, completed bool) {
	s.need = codec.HeaderLen
	if len(b) >= codec.HeaderLen {
		s.need += int(b[1])<<16 | int(b[2])<<8 | int(b[3])
	}
	if completed || s.halfAt.Load() == 0 {
		s.halfAt.Store(max(1, s.srv.wheel.now()))
	}
}

// discard throws away what a connection that is ending still sends, up to a bound.
func (s *session) discard(c gnet.Conn) gnet.Action {
	n, _ := c.Discard(-1)
	if s.discarded += n; s.discarded > lingerBytes {
		s.kill()
	}
	return gnet.None
}

func (s *session) frameLimit() int {
	if s.bound.Load() {
		return s.srv.cfg.FrameAfterBind
	}
	return s.srv.cfg.FrameBeforeBind
}
