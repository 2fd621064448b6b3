package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/msgserver/msgserver/service"
)

// model is what a store should hold, in the simplest way. Dates and revisions are the store's to choose: they
// are learnt from its answers.
type model struct {
	timelines map[service.ConvID][]service.Entry
	marks     map[membership]service.Marks
	groups    map[service.GroupID]service.Group // without those that are dissolved
	dissolved map[service.GroupID]bool
	spans     map[membership][]service.Span // in groups
}

type membership struct {
	user service.UserID
	conv service.ConvID
}

func newModel() *model {
	return &model{
		timelines: map[service.ConvID][]service.Entry{}, marks: map[membership]service.Marks{},
		groups: map[service.GroupID]service.Group{}, dissolved: map[service.GroupID]bool{},
		spans: map[membership][]service.Span{},
	}
}

func (m *model) last(c service.ConvID) service.Seq { return service.Seq(len(m.timelines[c])) }

// append judges the answer to a message and takes it over.
func (m *model) append(msg service.Message, a answer[service.Appended]) error {
	var members []service.UserID
	if id, isGroup := msg.Conv.Group(); isGroup {
		g, ok := m.groups[id]
		if !ok {
			return refused(a.err, service.ErrNotFound)
		}
		if _, in := slices.BinarySearch(g.Members, msg.From); !in {
			return refused(a.err, service.ErrDenied)
		}
		members = g.Members
	}
	for _, e := range m.timelines[msg.Conv] {
		if e.Kind != service.KindMessage || e.From != msg.From || e.MsgID != msg.MsgID {
			continue
		}
		if e.Content != msg.Content || e.ContentType != msg.ContentType {
			return refused(a.err, service.ErrConflict)
		}
		return differs(a, service.Appended{Entry: e, Duplicate: true, State: m.state(e), Members: members})
	}
	e := service.Entry{Message: msg, Seq: m.last(msg.Conv) + 1, Kind: service.KindMessage, ServerDate: a.value.Entry.ServerDate}
	m.add(e)
	return differs(a, service.Appended{Entry: e, State: service.StateStored, Members: members})
}

func (m *model) add(e service.Entry) { m.timelines[e.Conv] = append(m.timelines[e.Conv], e) }

// state is how far a message has come.
func (m *model) state(e service.Entry) service.State {
	marks := m.marks[membership{e.To, e.Conv}]
	switch _, isGroup := e.Conv.Group(); {
	case isGroup || marks.Delivered < e.Seq:
		return service.StateStored
	case marks.Read < e.Seq:
		return service.StateDelivered
	}
	return service.StateRead
}

// mark judges the answer to a mark and takes it over.
func (m *model) mark(mark service.Mark, a answer[service.Marked]) error {
	key := membership{mark.User, mark.Conv}
	before := m.marks[key]
	after := before
	seq := min(mark.Seq, m.last(mark.Conv))
	after.Delivered = max(after.Delivered, seq)
	if mark.State == service.StateRead {
		after.Read = max(after.Read, seq)
	}
	m.marks[key] = after
	return differs(a, service.Marked{Before: before, After: after})
}

// change judges the answer to a change of a group and takes it over.
func (m *model) change(ch service.GroupChange, a answer[service.GroupChanged]) error {
	g, exists := m.groups[ch.ID]
	switch {
	case ch.Revision == 0 && exists:
		return refused(a.err, service.ErrConflict)
	case ch.Revision > 0 && !exists:
		return refused(a.err, service.ErrNotFound)
	case ch.Revision != g.Revision:
		return refused(a.err, service.ErrConflict)
	}
	for _, u := range ch.Add {
		if ch.UserLimit > 0 && m.groupsOf(u) >= ch.UserLimit {
			return refused(a.err, service.ErrTooLarge)
		}
	}
	got := a.value.Group
	if a.err == nil && got.Revision <= g.Revision {
		return fmt.Errorf("revision %d follows %d", got.Revision, g.Revision)
	}
	e := service.Entry{
		Message: service.Message{Conv: ch.ID.Conv(), From: ch.By}, Seq: m.last(ch.ID.Conv()) + 1,
		Kind: ch.Kind, ServerDate: a.value.Entry.ServerDate,
	}
	next := service.Group{
		ID: ch.ID, Name: ch.Name, HeadImage: ch.HeadImage, Creator: ch.Creator, Members: changedMembers(g.Members, ch),
		CreateDate: g.CreateDate, UpdateDate: got.UpdateDate, Revision: got.Revision,
	}
	switch ch.Kind {
	case service.KindGroupCreated:
		next.CreateDate = got.CreateDate
		e.Group = &next
	case service.KindGroupUpdated:
		e.Group = &next
	case service.KindMembersAdded:
		e.Members = ch.Add
	case service.KindMembersGone:
		e.Members = ch.Remove
	}
	m.follow(e, g.Members, next)
	return differs(a, service.GroupChanged{Group: next, Entry: e})
}

// follow takes over what an entry of a group means.
func (m *model) follow(e service.Entry, before []service.UserID, next service.Group) {
	m.add(e)
	m.groups[next.ID] = next
	if e.Kind == service.KindGroupDissolved {
		delete(m.groups, next.ID)
		m.dissolved[next.ID] = true
	}
	for _, u := range before {
		if key := (membership{u, e.Conv}); !slices.Contains(next.Members, u) {
			m.spans[key] = slices.Clone(m.spans[key])
			m.spans[key][len(m.spans[key])-1].To = e.Seq
		}
	}
	for _, u := range next.Members {
		if key := (membership{u, e.Conv}); !slices.Contains(before, u) {
			m.spans[key] = append(slices.Clone(m.spans[key]), service.Span{From: e.Seq, To: service.MaxSeq})
		}
	}
}

// changedMembers are the members after a change.
func changedMembers(before []service.UserID, ch service.GroupChange) []service.UserID {
	if ch.Kind == service.KindGroupDissolved {
		return nil
	}
	after := slices.Concat(before, ch.Add)
	after = slices.DeleteFunc(after, func(u service.UserID) bool { return slices.Contains(ch.Remove, u) })
	slices.Sort(after)
	return after
}

// groupsOf is in how many groups a user is.
func (m *model) groupsOf(u service.UserID) (n int) {
	for _, g := range m.groups {
		if slices.Contains(g.Members, u) {
			n++
		}
	}
	return n
}

// ref is a conversation from a user's side.
func (m *model) ref(u service.UserID, c service.ConvID) service.ConvRef {
	ref := service.ConvRef{Conv: c}
	if _, isGroup := c.Group(); isGroup {
		ref.Spans = m.spans[membership{u, c}]
	} else if lower, higher := c.Users(); (u == lower || u == higher) && m.last(c) > 0 {
		ref.Spans = []service.Span{{From: 1, To: service.MaxSeq}}
	}
	return ref
}

// refs lists a user's conversations.
func (m *model) refs(u service.UserID) []service.ConvRef {
	var refs []service.ConvRef
	for c := range m.timelines {
		if ref := m.ref(u, c); len(ref.Spans) > 0 {
			refs = append(refs, ref)
		}
	}
	slices.SortFunc(refs, func(a, b service.ConvRef) int { return bytes.Compare(a.Conv[:], b.Conv[:]) })
	return refs
}

// unread counts the messages of others.
func (m *model) unread(u service.UserID, c service.ConvID, after service.Seq, spans []service.Span, limit int) (n int) {
	for _, e := range m.timelines[c] {
		in := slices.ContainsFunc(spans, func(s service.Span) bool { return s.From <= e.Seq && e.Seq <= s.To })
		if in && e.Seq > after && e.Kind == service.KindMessage && e.From != u && n < limit {
			n++
		}
	}
	return n
}

// users is everyone who has a conversation, a mark or a group.
func (m *model) users() []service.UserID {
	seen := map[service.UserID]bool{}
	for c := range m.timelines {
		if _, isGroup := c.Group(); !isGroup {
			lower, higher := c.Users()
			seen[lower], seen[higher] = true, true
		}
	}
	for key := range m.spans {
		seen[key.user] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

func (m *model) convs() []service.ConvID {
	return slices.SortedFunc(maps.Keys(m.timelines), func(a, b service.ConvID) int { return bytes.Compare(a[:], b[:]) })
}

// refused compares what an operation was refused with.
func refused(got, want error) error {
	if !errors.Is(got, want) {
		return fmt.Errorf("the answer is %v, want %v", got, want)
	}
	return nil
}

// differs compares an answer with what it should be.
func differs[T any](got answer[T], want T) error {
	return equal("the answer", want, got.value, got.err)
}
