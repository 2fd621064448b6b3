package bench

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/msgserver/msgserver/client"
	"github.com/msgserver/msgserver/codec"
)

// This file holds what becomes of pushes that the server has dropped, which it says with missedNoti. They are not lost
// if they can still be fetched; they are not delivered either. So a session that was told fetches, when the load has ended,
// what it lacks: that counts as missed, with the latency until then, and what is not there is lost like anything else.

// told notes a missedNoti.
func (s *session) told() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notices++
}

const (
	fetchLimit  = 30 * time.Second // of all fetching
	fetchAtOnce = 16               // sessions
)

// fetchMissed lets the sessions that were told fetch what they lack.
func (r *run) fetchMissed() {
	ctx, cancel := context.WithTimeout(r.ctx, fetchLimit)
	defer cancel()
	places := make(chan struct{}, fetchAtOnce)
	var all sync.WaitGroup
	for _, s := range r.all() {
		s.mu.Lock()
		notices, absent := s.notices, s.absent
		s.fetching = notices > 0
		s.mu.Unlock()
		r.ledger.noticed(notices)
		if notices == 0 || absent {
			continue
		}
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			for v, begin := range s.lacking() {
				if err := r.fetch(ctx, s, v, begin); err != nil {
					r.failed(s, "fetch what was missed", noKind, r.now(), err)
				}
			}
		})
	}
	all.Wait()
}

// noticed counts missedNoti.
func (l *ledger) noticed(n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.notices += n
}

// lacking is where what the session lacks begins, in each conversation: behind which seq.
func (s *session) lacking() map[client.Conversation]uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	behind := map[client.Conversation]uint64{}
	for _, r := range s.readings {
		for _, hole := range r.lacks(r.flow) {
			n := hole.lo
			for n < hole.hi && r.flow.seq(n) == 0 {
				n++ // never acknowledged
			}
			seq := r.flow.seq(n)
			if n == hole.hi || seq == 0 {
				continue
			}
			v := s.conversation(r.flow.from.user, r.flow.to)
			if at, some := behind[v]; !some || seq-1 < at {
				behind[v] = seq - 1
			}
			break
		}
	}
	return behind
}

// fetch reads a conversation from behind a seq to its end.
func (r *run) fetch(ctx context.Context, s *session, v client.Conversation, after uint64) error {
	for {
		conn := s.connection()
		if conn == nil {
			return errAway
		}
		t, err := conn.HistoryPage(ctx, client.HistoryPage{Conversation: v, After: after, HasAfter: true, Limit: pageSize})
		if err != nil {
			return err
		}
		before := after
		for _, item := range t.Messages {
			if m, ok := item.Content.(*codec.MessageBody); ok {
				after = max(after, m.Seq)
				s.fetched(m)
			}
		}
		if !t.More {
			return nil
		}
		if after == before {
			return fmt.Errorf("%w: behind seq %d", errBadPage, after)
		}
	}
}

// fetched takes a message that may have been missed.
func (s *session) fetched(m *codec.MessageBody) {
	s.mu.Lock()
	defer s.mu.Unlock()
	reading, n := s.reading(m)
	if reading == nil || n < reading.next && !reading.missing.has(n) {
		return // it came, or it is its own
	}
	late := reading.reordered
	if due, ok := s.take(m, false); ok {
		reading.reordered = late // no push has come too late
		reading.missed++
		s.run.rec.took(s.index, delivered, kindDeliver, due, s.run.now())
	}
}
