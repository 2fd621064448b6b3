package bench

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/msgserver/msgserver/client"
	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

// This file holds what an arrival can do: send a message, confirm one, read a page, come back and catch up.
// Nothing here waits for an answer, but for those functions that get a context.

const (
	// window is how many messages of a session may wait for their answers; the server allows 8,192.
	window = 8000
	// tasks is how many requests other than messages may wait for their answers.
	tasks = 4096
	// requestTimeout bounds each of them.
	requestTimeout = 30 * time.Second
)

// send sends the flow's next message. done, if not nil, is called when the answer is there. waited says that the
// server had so many to answer that this one had to wait.
func (r *run) send(f *flow, due time.Duration, done func()) (waited bool) {
	s, n := f.from, f.sent
	f.sent++
	f.begun.Store(f.sent)
	conn := s.connection()
	if conn == nil {
		r.unsent(f, n, due, errAway, done)
		return false
	}
	waited = s.waiting.Add(1) >= window
	m := client.Outgoing{To: f.to.Peer, Group: f.to.Group, MsgID: r.ledger.msgID(f, n), Text: r.content(due)}
	r.rec.count(s.index, sent, 1)
	err := conn.SendAsync(r.stopped, m, func(stored client.Sent, err error) {
		s.waiting.Add(-1)
		r.answered(f, n, due, stored, err)
		if done != nil {
			done()
		}
	})
	if err != nil {
		s.waiting.Add(-1)
		r.unsent(f, n, due, err, done)
	}
	return waited
}

// unsent notes a message that did not even leave.
func (r *run) unsent(f *flow, n int64, due time.Duration, err error, done func()) {
	f.fail(n, &f.refused)
	r.failed(f.from, "message", kindAck, due, err)
	r.breathe()
	if done != nil {
		done()
	}
}

// breathe keeps a closed loop whose requests fail at once from doing nothing but failing.
func (r *run) breathe() {
	if r.spec.Closed() {
		_ = sleep(r.stopped, 100*time.Millisecond) // no harm if it is cut short
	}
}

// answered notes the answer to a message.
func (r *run) answered(f *flow, n int64, due time.Duration, stored client.Sent, err error) {
	if err == nil {
		r.rec.took(f.from.index, acked, kindAck, due, r.now())
		if violation := f.acknowledge(n, stored.Seq); violation != "" {
			r.ledger.violation("%s", violation)
		}
		if wrong := f.wrongSeq(n, stored.Seq); wrong != "" {
			r.ledger.violation("message %d of flow %d, as its answer says, %s", n, f.index, wrong)
		}
		if i, k, ours := r.ledger.parse(stored.MsgID); !ours || i != f.index || k != n || stored.State != int(service.StateStored) {
			r.ledger.violation("the answer to message %d of flow %d is about %q with state %d", n, f.index, stored.MsgID, stored.State)
		}
		return
	}
	r.failed(f.from, "message", kindAck, due, err)
	outcome := &f.refused
	if code, refused := client.CodeOf(err); !refused || code == service.Internal {
		outcome = &f.unknown
	}
	if !f.fail(n, outcome) {
		r.ledger.violation("flow %d: too many messages failed to remember which", f.index)
	}
}

// spawn runs something that waits for an answer. waited says that too many did already. When the load ends before there
// is room, it runs with a context that has ended, to note that it was never done.
func (r *run) spawn(do func(context.Context), done func()) (waited bool) {
	select {
	case r.tasks <- struct{}{}:
	default:
		waited = true
		select {
		case r.tasks <- struct{}{}:
		case <-r.stopped.Done():
			do(r.stopped)
			if done != nil {
				done()
			}
			return waited
		}
	}
	r.running.Add(1)
	go func() {
		defer r.running.Done()
		ctx, cancel := context.WithTimeout(r.ctx, requestTimeout)
		defer cancel()
		do(ctx)
		<-r.tasks
		if done != nil {
			done()
		}
	}()
	return waited
}

// page reads a page of a conversation.
func (r *run) page(ctx context.Context, s *session, p client.HistoryPage, due time.Duration) (*codec.Timeline, error) {
	conn := s.connection()
	if conn == nil {
		return nil, errAway
	}
	t, err := conn.HistoryPage(ctx, p)
	if err != nil {
		return nil, err
	}
	r.rec.took(s.index, synced, kindSync, due, r.now())
	r.rec.count(s.index, entries, int64(len(t.Messages)))
	return t, nil
}

// comeBack connects a session that has left, and fetches what it missed. The connect latency counts from due, the
// sync latency from the bind.
func (r *run) comeBack(ctx context.Context, s *session, due time.Duration) {
	if err := r.bindAgain(ctx, s, due); err != nil {
		r.failed(s, "come back", kindConnect, due, err)
		return
	}
	bound := r.now()
	for v := range s.cursors {
		if err := r.catchUp(ctx, s, v); err != nil {
			r.failed(s, "catch up", kindSync, bound, err)
			return // it stays away
		}
	}
	r.rec.took(s.index, synced, kindSync, bound, r.now())
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flooded {
		r.failed(s, "catch up", kindSync, bound, errFlooded)
		return
	}
	s.away, s.absent = false, false
	for _, e := range s.early {
		s.pushed(e.body, e.at)
	}
	s.early = nil
}

// What ends a catch-up, beside what fails in its requests.
var (
	errFlooded = errors.New("more was pushed meanwhile than is kept")
	errBadPage = errors.New("a page that does not follow")
)

// bindAgain tries for as long as a client would.
func (r *run) bindAgain(ctx context.Context, s *session, due time.Duration) error {
	for wait := 50 * time.Millisecond; ; wait *= 2 {
		err := s.open(ctx, due)
		if err == nil || silent(err) || wait > 5*time.Second {
			return err
		}
		r.failed(s, "connect", noKind, due, err)
		if sleep(ctx, wait/2+rand.N(wait)) != nil {
			return err
		}
	}
}

// catchUp fetches what a conversation has behind the session's cursor.
func (r *run) catchUp(ctx context.Context, s *session, v client.Conversation) error {
	for {
		s.mu.Lock()
		after, conn := s.cursors[v].last, s.conn
		s.mu.Unlock()
		if conn == nil {
			return client.ErrClosed
		}
		t, err := conn.HistoryPage(ctx, client.HistoryPage{Conversation: v, After: after, HasAfter: true, Limit: pageSize})
		if err != nil {
			return err
		}
		r.rec.count(s.index, entries, int64(len(t.Messages)))
		if err := s.paged(v, t); err != nil {
			return err
		}
		if !t.More {
			return nil
		}
	}
}

// pageSize is the most that the server gives at once.
const pageSize = 200

// paged takes a page of a catch-up.
func (s *session) paged(v client.Conversation, t *codec.Timeline) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.cursors[v]
	for _, item := range t.Messages {
		m, ok := item.Content.(*codec.MessageBody)
		if !ok {
			continue
		}
		if m.Seq <= c.last {
			s.run.ledger.violation("user %d asked for what follows seq %d and got seq %d", s.user, c.last, m.Seq)
			return errBadPage
		}
		c.last, c.paged = m.Seq, m.Seq
		if service.UserID(m.FromUserID) == s.user && !s.reads(m) {
			continue // its own
		}
		if _, ok := s.take(m, false); ok {
			s.run.rec.count(s.index, delivered, 1)
		}
	}
	return nil
}

// reads reports whether the session waits for the message's flow.
func (s *session) reads(m *codec.MessageBody) bool {
	index, _, ours := s.run.ledger.parse(m.MsgID)
	return ours && s.readings[index] != nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
