package service

import "context"

// Limit is the number of entries a request asks for, if it does.
type Limit struct {
	N   int64
	Set bool
}

// Stated is an entry with the present state of a message: of a personal one what its receiver has
// confirmed, otherwise StateStored.
type Stated struct {
	Entry
	State State
}

// Page is a piece of one or more timelines.
type Page struct {
	Entries []Stated
	More    bool
	First   Seq // of a history: the oldest seq that still exists; 0 for an empty conversation
}

// HistoryQuery asks for a page before or after a seq, or for the newest.
type HistoryQuery struct {
	Where
	Before, After       Seq
	HasBefore, HasAfter bool
	Limit               Limit
}

// pageCost is how many times the size of a page a request holds: the entries, the bodies made of them, the answer.
const pageCost = 4

// History reads a page of a conversation, ascending.
func (s *Service) History(ctx context.Context, c Caller, q HistoryQuery) (Page, error) {
	if err := c.verify(); err != nil {
		return Page{}, err
	}
	if q.HasBefore && q.HasAfter {
		return Page{}, Errorf(Invalid, "give beforeSeq or afterSeq, not both")
	}
	limit, err := s.pageLimit(q.Limit.N, q.Limit.Set)
	if err != nil {
		return Page{}, err
	}
	v, err := s.view(ctx, c.User, q.Where)
	if err != nil || v.head.Last == 0 {
		return Page{}, err
	}
	if err := c.Reads.Take(pageCost * s.limits.PageBytes); err != nil {
		return Page{}, err
	}
	from, dir := MaxSeq, Backward
	switch {
	case q.HasAfter && q.After == MaxSeq, q.HasBefore && q.Before == 0:
		return Page{First: v.head.First}, nil
	case q.HasAfter:
		from, dir = q.After+1, Forward
	case q.HasBefore:
		from = q.Before - 1
	}
	entries, err := s.read(ctx, v, from, limit, s.limits.PageBytes, dir)
	if err != nil {
		return Page{}, err
	}
	page := Page{First: v.head.First, More: v.more(entries, dir)}
	page.Entries, err = s.state(ctx, v.conv, entries)
	return page, err
}

// more reports whether there is anything behind a page that was read in direction dir.
func (v view) more(page []Entry, dir Direction) bool {
	if len(page) == 0 {
		return false
	}
	if dir == Forward {
		return v.sees(page[len(page)-1].Seq+1, v.head.Last)
	}
	return v.sees(v.head.First, page[0].Seq-1)
}

// state adds to entries of one conversation what their receivers have confirmed.
func (s *Service) state(ctx context.Context, c ConvID, entries []Entry) ([]Stated, error) {
	stated := make([]Stated, len(entries))
	for i, e := range entries {
		stated[i] = Stated{Entry: e, State: StateStored}
	}
	if _, group := c.Group(); group || len(entries) == 0 {
		return stated, nil
	}
	lower, higher := c.Users()
	marks, err := s.store.MemberMarks(ctx, c, []UserID{lower, higher})
	if err != nil {
		return nil, err
	}
	for i := range stated {
		m := marks[0]
		if stated[i].To == higher {
			m = marks[1]
		}
		stated[i].State = m.state(stated[i].Seq)
	}
	return stated, nil
}

// state is that of a message whose receiver has these marks.
func (m Marks) state(seq Seq) State {
	switch {
	case m.Read >= seq:
		return StateRead
	case m.Delivered >= seq:
		return StateDelivered
	}
	return StateStored
}
