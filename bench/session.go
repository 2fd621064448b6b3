package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/msgserver/msgserver/bench/result"
	"github.com/msgserver/msgserver/client"
	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

// session is one device of a user: its connection, and what came in on it. When the connection is replaced
// the session goes on where it was.
type session struct {
	// Static.
	run    *run
	index  int
	user   service.UserID
	device string

	waiting atomic.Int64 // messages without an answer
	turn    sync.Mutex   // held while the connection is replaced

	// Static once the load begins.
	heard func(*codec.MessageBody) // called with every message that is new; must not block

	mu       sync.Mutex
	conn     *client.Conn                    // guarded by mu; nil while there is none
	readings map[int]*reading                // guarded by mu: by flow
	lasts    map[client.Conversation]*uint64 // guarded by mu: the highest seq that came of each
	cursors  map[client.Conversation]*cursor // guarded by mu; nil if the session never comes back
	away     bool                            // guarded by mu: what is pushed is kept until the catch-up is through
	early    []early                         // guarded by mu: what was pushed meanwhile
	flooded  bool                            // guarded by mu: it was too much to keep
	absent   bool                            // guarded by mu: see absence
	notices  int64                           // guarded by mu: how often the server said missedNoti
	fetching bool                            // guarded by mu: what was missed is being fetched, and what is pushed is in it

	marks      map[client.Conversation]uint64 // guarded by mu: what is to be confirmed
	confirming bool                           // guarded by mu: a goroutine does
}

// cursor is how far a session that comes back is in a conversation.
type cursor struct {
	last  uint64 // the highest seq that was taken
	paged uint64 // the highest that came in a page: it may be pushed, too
}

// early is a push that came during a catch-up.
type early struct {
	body *codec.MessageBody
	at   time.Duration
}

// maxEarly bounds what is pushed during one catch-up.
const maxEarly = 100_000

// expect prepares for the messages of a flow.
func (s *session) expect(f *flow) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readings == nil {
		s.readings, s.lasts = map[int]*reading{}, map[client.Conversation]*uint64{}
	}
	v := s.conversation(f.from.user, f.to)
	if s.lasts[v] == nil {
		s.lasts[v] = new(uint64)
	}
	s.readings[f.index] = &reading{flow: f, last: s.lasts[v]}
	if s.cursors != nil && s.cursors[v] == nil {
		s.cursors[v] = &cursor{}
	}
}

// conversation is how this user calls a conversation that from writes to.
func (s *session) conversation(from service.UserID, to client.Conversation) client.Conversation {
	if to.Group != "" || from == s.user {
		return to
	}
	return client.Conversation{Peer: from}
}

// settled and judge look at what came of a flow; f.mu is held.
func (s *session) settled(f *flow) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.absent || s.notices > 0 || s.readings[f.index].settled(f)
}

// absence notes whether the session is not there, or could not fetch what it missed: then what it lacks may still be
// on the server, and is not lost.
func (s *session) absence(absent bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.absent = absent
}

// open connects and binds. The connect latency counts from due, if that is while measuring.
func (s *session) open(ctx context.Context, due time.Duration) error {
	r := s.run
	conn, err := client.Dial(ctx, r.spec.Addr, client.Options{
		Format: r.format, DeviceID: s.device, OnPush: s.push, Window: window, Dial: r.dialer(s.index),
	})
	if err == nil {
		if err = conn.Bind(ctx, s.user); err != nil {
			conn.Close()
		}
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.conn = conn
	s.mu.Unlock()
	if r.closing.Load() { // and this one may have been missed
		conn.Close()
		return client.ErrClosed
	}
	r.rec.took(s.index, connected, kindConnect, due, r.now())
	return nil
}

// connection is the present one; it may have ended, and is nil before the first.
func (s *session) connection() *client.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conn
}

// alive reports whether it is connected.
func (s *session) alive() bool {
	c := s.connection()
	return c != nil && c.Err() == nil
}

// leave ends a session's connection, after a look at whether it had ended by itself.
func (r *run) leave(s *session) {
	if c := s.connection(); c != nil && c.Err() != nil {
		r.lostConnection(s, c.Err())
	}
	s.leave()
}

// leave ends the connection. What was pushed and not read yet is dropped: whoever comes back finds it.
func (s *session) leave() {
	s.mu.Lock()
	conn := s.conn
	s.conn = nil
	s.away = s.cursors != nil
	s.absent = s.away
	s.mu.Unlock()
	if conn != nil {
		conn.Close()
	}
}

// push takes what the server sends unasked, on the goroutine that reads.
func (s *session) push(p client.Push) {
	switch body := p.Body.(type) {
	case *codec.MessageBody:
		s.message(body, s.run.now())
	case *codec.StatusBody:
		s.receipt(body)
	case *codec.Empty:
		s.told()
	case *codec.ErrorBody:
		s.run.rec.failed(s.index, fmt.Sprintf("%s: %s", p.Label, service.Code(body.Code)))
	}
}

// message takes a pushed message.
func (s *session) message(m *codec.MessageBody, at time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fetching {
		return
	}
	if s.away {
		s.early = append(s.early, early{m, at})
		if len(s.early) > maxEarly {
			s.early, s.flooded = nil, true
		}
		return
	}
	s.pushed(m, at)
}

// pushed takes a message that came by itself; s.mu is held.
func (s *session) pushed(m *codec.MessageBody, at time.Duration) {
	if r, _ := s.reading(m); s.cursors != nil && r != nil {
		c := s.cursors[s.conversation(r.flow.from.user, r.flow.to)]
		if c != nil && m.Seq <= c.paged {
			return
		}
		if c != nil {
			c.last = max(c.last, m.Seq)
		}
	}
	if due, ok := s.take(m, true); ok {
		s.run.rec.took(s.index, delivered, kindDeliver, due, at)
	}
}

// reading is where a message belongs, and its number there; nil if it is not for this session. s.mu is held.
func (s *session) reading(m *codec.MessageBody) (r *reading, n int64) {
	index, n, ours := s.run.ledger.parse(m.MsgID)
	if !ours {
		return nil, 0
	}
	return s.readings[index], n
}

// take notes a message in the ledger; ok is false if it is not new. s.mu is held.
func (s *session) take(m *codec.MessageBody, push bool) (due time.Duration, ok bool) {
	r := s.run
	reading, n := s.reading(m)
	if reading == nil {
		r.ledger.violation("user %d got message %q of user %d, which was not for it", s.user, m.MsgID, m.FromUserID)
		return 0, false
	}
	due, ok = r.stamp(m.ContentStr)
	if !ok {
		r.ledger.violation("user %d got message %q with other content than it was sent with", s.user, m.MsgID)
		return 0, false
	}
	if flaw := reading.flow.flaw(n, m, push); flaw != "" {
		r.ledger.violation("message %q, as user %d got it, %s", m.MsgID, s.user, flaw)
		if n >= reading.flow.begun.Load() {
			return 0, false
		}
	}
	late := reading.reordered
	if !reading.take(n) {
		return 0, false
	}
	if m.Seq < *reading.last && reading.reordered == late {
		reading.reordered++ // in order among its flow, and not among the conversation
	}
	*reading.last = max(*reading.last, m.Seq)
	if s.heard != nil {
		s.heard(m)
	}
	return due, true
}

// stampLen is how many bytes of a content say when it was due.
const stampLen = 16

// content is a message that was due at a time: the time, and padding.
func (r *run) content(due time.Duration) string {
	b := make([]byte, 0, stampLen+len(r.padding))
	b = strconv.AppendUint(b, 1<<63|uint64(due), 16)
	return string(append(b, r.padding...))
}

// stamp is when a message with this content was due; ok is false if it is not what was sent.
func (r *run) stamp(content string) (due time.Duration, ok bool) {
	if len(content) < stampLen || content[stampLen:] != r.padding {
		return 0, false
	}
	n, err := strconv.ParseUint(content[:stampLen], 16, 64)
	return time.Duration(n &^ (1 << 63)), err == nil && n>>63 == 1
}

// failed notes a request that was not done: refused, cut off or not answered. One without an answer has waited from due
// until now, which is in the latencies of its kind.
func (r *run) failed(s *session, what string, kind int, due time.Duration, err error) {
	switch now := r.now(); {
	case !silent(err):
		if !r.closing.Load() {
			r.rec.failed(s.index, what+": "+errorName(err))
		}
	case r.user.Err() != nil && (!r.closing.Load() || r.hasty.Load()):
		// Whoever interrupted the run did not let it be asked, or did not wait for the answer.
	default:
		r.rec.waited(s.index, kind, due, now)
		r.rec.count(s.index, unanswered, 1)
		r.ledger.unanswered("a %s of user %d, for which it waited %s", what, s.user, result.Latency(now-due))
	}
}

// silent reports whether no answer came, be it because the connection ended or nobody waited any longer.
func silent(err error) bool {
	return errors.Is(err, client.ErrUnknownOutcome) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// errAway refuses what a session cannot do while it is not connected.
var errAway = errors.New("not connected")

// errorName is how an error is counted.
func errorName(err error) string {
	var op *net.OpError
	code, refused := client.CodeOf(err)
	switch {
	case refused:
		return code.String()
	case errors.Is(err, client.ErrClosed):
		return "connection closed"
	case errors.As(err, &op):
		return op.Op + ": " + op.Err.Error()
	case errors.Is(err, errFlooded), errors.Is(err, errBadPage), errors.Is(err, errAway):
		return err.Error()
	}
	return "other"
}

// judge adds what the session got of a flow to the check; f.mu is held.
func (s *session) judge(f *flow, c *result.Check, l *ledger) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.judge(s.readings[f.index], fmt.Sprintf("user %d", s.user), s.absent, c, l)
}
