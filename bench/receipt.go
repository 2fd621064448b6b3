package bench

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/msgserver/msgserver/client"
	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

// receipts is what a flow's sender hears of its messages: for each a push that says that it was delivered.
type receipts struct {
	mu      sync.Mutex
	reading                         // guarded by mu
	at      map[int64]time.Duration // guarded by mu: when messages that no receipt came of were confirmed
}

// wantReceipts makes the flow expect a receipt for each message.
func (f *flow) wantReceipts() { f.receipts = &receipts{at: map[int64]time.Duration{}} }

// confirmed notes that the receiver confirms message n now.
func (r *receipts) confirmed(n int64, at time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at[n] = at
}

// arrived notes the receipt of message n; first is false for one that is not new. at is when n was to be
// confirmed, whether its own confirmation or a later one caused the receipt.
func (r *receipts) arrived(n int64) (at time.Duration, first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, confirmed := r.at[n]
	delete(r.at, n)
	return at, r.take(n) && confirmed
}

func (r *receipts) settled(acked int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got >= acked
}

// confirm says that a message has been delivered. As clients do, one request is under way at a time, and the next
// one says how far the session is by then. s.mu is held.
func (s *session) confirm(m *codec.MessageBody) {
	r := s.run
	if r.closing.Load() {
		return // close, which waits for the goroutines, may have passed
	}
	reading, n := s.reading(m)
	f := reading.flow
	if f.receipts != nil {
		f.receipts.confirmed(n, r.now())
	}
	if s.marks == nil {
		s.marks = map[client.Conversation]uint64{}
	}
	s.marks[s.conversation(f.from.user, f.to)] = m.Seq
	if !s.confirming {
		s.confirming = true
		r.running.Add(1)
		r.confirm.Add(1)
		go s.confirmAll()
	}
}

// confirmAll confirms until there is nothing left.
func (s *session) confirmAll() {
	defer s.run.running.Done()
	defer s.run.confirm.Add(-1)
	for {
		s.mu.Lock()
		marks, conn := s.marks, s.conn
		s.marks = nil
		if s.confirming = len(marks) > 0 && conn != nil; !s.confirming {
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		for v, seq := range marks {
			s.confirmOne(conn, v, seq)
		}
	}
}

func (s *session) confirmOne(conn *client.Conn, v client.Conversation, seq uint64) {
	ctx, cancel := context.WithTimeout(s.run.ctx, requestTimeout)
	defer cancel()
	began := s.run.now()
	err := conn.Confirm(ctx, v, service.StateDelivered, seq)
	if err != nil && s.connection() == conn { // otherwise it was this session that left
		s.run.failed(s, "confirm", noKind, began, err)
	}
}

// receipt takes the push that tells a sender that a message was delivered.
func (s *session) receipt(b *codec.StatusBody) {
	r := s.run
	index, n, ours := r.ledger.parse(b.MsgID)
	f := r.ledger.at(index)
	if !ours || f == nil || f.from.user != s.user {
		r.ledger.violation("user %d got a receipt of message %q, which it did not send", s.user, b.MsgID)
		return
	}
	wrong := f.wrongSeq(n, b.Seq)
	switch {
	case wrong != "":
	case b.State != int(service.StateDelivered):
		wrong = fmt.Sprintf("says state %d, and was confirmed with 2", b.State)
	case b.SessionID != f.to.Group:
		wrong = fmt.Sprintf("is of group %q instead of %q", b.SessionID, f.to.Group)
	case f.to.Group == "" && (!b.UserID.Set || service.UserID(b.UserID.ID) != f.to.Peer):
		wrong = fmt.Sprintf("is by user %d, and it was sent to user %d", b.UserID.ID, f.to.Peer)
	}
	if wrong != "" {
		r.ledger.violation("a receipt of message %q %s", b.MsgID, wrong)
		if n >= f.begun.Load() {
			return
		}
	}
	if f.from != s || f.receipts == nil {
		return // another device of the sender keeps count, or nobody does
	}
	if at, first := f.receipts.arrived(n); first {
		r.rec.took(s.index, synced, kindSync, at, r.now())
	}
}
