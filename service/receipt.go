package service

import (
	"cmp"
	"context"
	"math"
	"slices"
	"unsafe"
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
	s.store.Mark([]Mark{{User: c.User, Conv: v.conv, State: r.State, Seq: seq, Holds: holds(named), Done: func(m Marked, err error) {
		if err == nil {
			s.tellSenders(c, v.conv, r.State, m, named)
		}
		done(err)
	}}})
	return nil
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
// which it confirms: for a former member that is at most the entry that removed him. By seq it names everything
// since the old mark, of a long stretch the newest page.
func (s *Service) confirmed(ctx context.Context, v view, r Confirmation) ([]Stamp, Seq, error) {
	if len(r.MsgIDs) > 0 {
		return s.confirmedByID(ctx, v, r.MsgIDs)
	}
	seq := v.upTo(r.Seq)
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
	window := seq - old
	if _, group := v.conv.Group(); group {
		window = min(window, confirmWindow)
	}
	named, err := s.stamps(ctx, v, StampQuery{
		From: seq, Dir: Backward, Limit: s.limits.Page, Window: int(min(window, math.MaxInt32)), Messages: true, Others: true, User: v.user,
	})
	if err != nil {
		return nil, 0, err
	}
	slices.Reverse(named)
	named, err = s.toldOf(ctx, v.conv, named)
	return named, seq, err
}

// confirmWindow is how far back in a group the messages of others that a receipt covers are looked for: those of
// the user himself have to be read to be told apart. In a pair they need not.
const confirmWindow = 1 << 16

func (s *Service) confirmedByID(ctx context.Context, v view, ids []string) (named []Stamp, seq Seq, err error) {
	for _, id := range ids {
		found, err := s.store.Find(ctx, v.conv, id)
		if err != nil {
			return nil, 0, err
		}
		for _, e := range found {
			if v.sees(e.Seq, e.Seq) && e.From != v.user {
				named = append(named, Stamp{Seq: e.Seq, From: e.From, Kind: e.Kind, MsgID: e.MsgID})
				seq = max(seq, e.Seq)
			}
		}
	}
	if len(named) == 0 {
		return nil, 0, Errorf(NotFound, "none of the msgIds is a message of someone else among the last of this conversation: confirm by seq")
	}
	slices.SortFunc(named, func(a, b Stamp) int { return cmp.Compare(a.Seq, b.Seq) })
	named = slices.CompactFunc(named, func(a, b Stamp) bool { return a.Seq == b.Seq })
	named, err = s.toldOf(ctx, v.conv, named)
	return named, seq, err
}

// holds is about how many bytes stamps take while their receipt is on its way.
func holds(named []Stamp) (bytes int) {
	for i := range named {
		bytes += int(unsafe.Sizeof(named[i])) + len(named[i].MsgID)
	}
	return bytes
}

// toldOf is the messages whose senders hear of a receipt. In large groups nobody does, the counts are there to be
// queried; in others those who are members now.
func (s *Service) toldOf(ctx context.Context, c ConvID, named []Stamp) ([]Stamp, error) {
	id, group := c.Group()
	if !group || len(named) == 0 {
		return named, nil
	}
	g, err := s.store.Group(ctx, id)
	if err != nil || len(g.Members) > s.limits.ReceiptGroup {
		return nil, ignoreGone(err)
	}
	return slices.DeleteFunc(named, func(stamp Stamp) bool { return !contains(g.Members, stamp.From) }), nil
}

// tellSenders signals the messages among named that the marks have moved over.
func (s *Service) tellSenders(c Caller, conv ConvID, state State, m Marked, named []Stamp) {
	before, after := m.Before.Delivered, m.After.Delivered
	if state == StateRead {
		before, after = m.Before.Read, m.After.Read
	}
	for i := range named {
		e := &named[i]
		if e.Kind != KindMessage || e.From == c.User || e.Seq <= before || e.Seq > after {
			continue
		}
		s.router.Signal(Target{Users: []UserID{e.From}, Except: c.Session},
			Receipt{MsgID: e.MsgID, State: state, Seq: e.Seq, User: c.User, Conv: conv})
	}
}
