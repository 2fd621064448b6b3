package service

import (
	"context"
	"strings"
)

// Confirmation says that the caller has received or read a conversation up to a message. It names messages,
// or a seq.
type Confirmation struct {
	Where
	State  State
	MsgIDs []string
	Seq    Seq
}

// Confirm moves the caller's marks and tells the senders of the messages that it newly confirms. Receipts are
// cumulative and never go back; one that moves nothing is a success that nobody hears of. An error that is
// returned says that it was refused at once; otherwise done runs exactly once, when the marks are on the disk.
func (s *Service) Confirm(ctx context.Context, c Caller, r Confirmation, done func(error)) error {
	if err := c.verify(); err != nil {
		return err
	}
	if err := s.checkConfirmation(r); err != nil {
		return err
	}
	v, err := s.view(ctx, c.User, r.Where)
	if err != nil {
		return err
	}
	named, seq, err := s.confirmed(ctx, v, r)
	if err != nil {
		return err
	}
	told, holds := confirmedOf(named, c.User)
	s.store.Mark([]Mark{{User: c.User, Conv: v.conv, State: r.State, Seq: seq, Holds: holds, Done: func(m Marked, err error) {
		done(err)
		if err == nil {
			s.tellSenders(c, v.conv, r.State, m, told)
		}
	}}})
	return nil
}

// confirmedMessage is what is kept of a message until its receipt is stored. The page that it was read from may have a
// megabyte.
type confirmedMessage struct {
	seq   Seq
	from  UserID
	msgID string
}

// confirmedOf is what tellSenders needs of the messages that u confirms, and how many bytes that takes.
func confirmedOf(named []Entry, u UserID) (told []confirmedMessage, holds int) {
	for i := range named {
		e := &named[i]
		if e.Kind != KindMessage || e.From == u {
			continue
		}
		told = append(told, confirmedMessage{e.Seq, e.From, strings.Clone(e.MsgID)})
		holds += len(e.MsgID)
	}
	return told, holds + 32*cap(told) // two integers and a string each
}

func (s *Service) checkConfirmation(r Confirmation) error {
	switch {
	case r.State != StateDelivered && r.State != StateRead:
		return Errorf(Invalid, "state is %d: a receipt has state 2 (delivered) or 3 (read)", r.State)
	case len(r.MsgIDs) == 0 && r.Seq == 0:
		return Errorf(Invalid, "name what is confirmed: msgIds, or a seq")
	case len(r.MsgIDs) > 0 && r.Seq != 0:
		return Errorf(Invalid, "give msgIds or a seq, not both")
	case len(r.MsgIDs) > s.limits.Page:
		return Errorf(TooLarge, "%d msgIds in one receipt, the limit is %d: confirm by seq", len(r.MsgIDs), s.limits.Page)
	}
	return nil
}

// confirmed finds the messages that a receipt names and may be news to their senders, and the seq up to
// which it confirms. By seq that is everything since the old mark, of a long stretch the newest page.
func (s *Service) confirmed(ctx context.Context, v view, r Confirmation) ([]Entry, Seq, error) {
	if len(r.MsgIDs) > 0 {
		return s.confirmedByID(ctx, v, r.MsgIDs)
	}
	seq := min(r.Seq, v.head.Last)
	tell, err := s.tellsSenders(ctx, v.conv)
	if err != nil || !tell {
		return nil, seq, err
	}
	marks, err := s.store.Marks(ctx, v.user, []ConvID{v.conv})
	if err != nil {
		return nil, 0, err
	}
	old := marks[0].Delivered
	if r.State == StateRead {
		old = marks[0].Read
	}
	if seq <= old {
		return nil, seq, nil
	}
	from := max(old+1, seq-min(seq, Seq(s.limits.Page))+1)
	entries, err := s.read(ctx, v, from, int(seq-from+1), s.limits.PageBytes, Forward)
	return entries, seq, err
}

func (s *Service) confirmedByID(ctx context.Context, v view, ids []string) (named []Entry, seq Seq, err error) {
	for _, id := range ids {
		found, err := s.store.Find(ctx, v.conv, id)
		if err != nil {
			return nil, 0, err
		}
		for _, e := range found {
			if v.sees(e.Seq, e.Seq) && e.From != v.user {
				named = append(named, e)
				seq = max(seq, e.Seq)
			}
		}
	}
	if len(named) == 0 {
		return nil, 0, Errorf(NotFound, "none of the msgIds is a message of someone else among the last of this conversation: confirm by seq")
	}
	tell, err := s.tellsSenders(ctx, v.conv)
	if !tell {
		named = nil
	}
	return named, seq, err
}

// tellsSenders reports whether senders hear of each receipt: not in large groups, where the counts are there
// to be queried.
func (s *Service) tellsSenders(ctx context.Context, c ConvID) (bool, error) {
	id, group := c.Group()
	if !group {
		return true, nil
	}
	g, err := s.store.Group(ctx, id)
	if err != nil {
		return false, ignoreGone(err)
	}
	return len(g.Members) <= s.limits.ReceiptGroup, nil
}

// tellSenders signals the messages that the marks have moved over.
func (s *Service) tellSenders(c Caller, conv ConvID, state State, m Marked, told []confirmedMessage) {
	before, after := m.Before.Delivered, m.After.Delivered
	if state == StateRead {
		before, after = m.Before.Read, m.After.Read
	}
	for _, t := range told {
		if t.seq <= before || t.seq > after {
			continue
		}
		s.router.Signal(Target{Users: []UserID{t.from}, Except: c.Session},
			Receipt{MsgID: t.msgID, State: state, Seq: t.seq, User: c.User, Conv: conv})
	}
}
