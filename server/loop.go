package server

import (
	"context"
	"sync"

	"github.com/panjf2000/gnet/v2"

	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

// coalesce is how many bytes of one session's frames go out in one write.
const coalesce = 64 << 10

// loop is what belongs to one event loop of gnet: the sessions with frames to write, and scratch space.
type loop struct {
	events gnet.EventLoop // static

	// Owned by the loop.
	turn    service.Turn
	request codec.MessageRequest
	frames  [][]byte
	scratch []byte
	spare   []*session

	mu     sync.Mutex
	dirty  []*session // guarded by mu: sessions with frames that nobody has written yet
	called bool       // guarded by mu: run is on its way
}

// add has the loop write what s has waiting. It may be called from anywhere.
func (l *loop) add(s *session) {
	l.mu.Lock()
	l.dirty = append(l.dirty, s)
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
	l.mu.Unlock()
	for _, s := range dirty {
		l.flush(s)
	}
	clear(dirty)
	l.spare = dirty[:0]
	return nil
}

// flush writes the frames that wait for s, in as few writes as is sensible.
func (l *loop) flush(s *session) {
	frames, last := s.take(l.frames[:0])
	if len(frames) > 0 {
		l.write(s, frames)
	}
	clear(frames)
	l.frames = frames[:0]
	if last {
		s.linger()
	}
}

func (l *loop) write(s *session, frames [][]byte) {
	if len(frames) == 1 {
		s.write(frames[0])
		return
	}
	out := l.scratch[:0]
	for _, f := range frames {
		if len(out)+len(f) > coalesce && len(out) > 0 {
			s.write(out)
			out = out[:0]
		}
		out = append(out, f...)
	}
	s.write(out)
	if cap(out) <= 4*coalesce {
		l.scratch = out[:0]
	}
}
