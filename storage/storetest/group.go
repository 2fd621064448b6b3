package storetest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/msgserver/msgserver/service"
)

// testGroup makes groups and changes them.
func (s Subject) testGroup(t *testing.T) {
	t.Run("life", s.testGroupLife)
	t.Run("conflict", s.testGroupConflict)
	t.Run("user limit", s.testUserLimit)
	t.Run("large", s.testLargeGroup)
}

// testGroupLife goes through every kind of change and looks at the group and the notice each time.
func (s Subject) testGroupLife(t *testing.T) {
	h := s.open(t)
	id := groupID(1)
	_, err := h.Group(context.Background(), id)
	wantError(t, "a group that is not there", err, service.ErrNotFound)
	var g service.Group // as it should be
	var timeline []service.Entry
	step := func(name string, ch service.GroupChange, members ...service.UserID) {
		t.Helper()
		before := g
		done, err := h.change(ch)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got := done.Group
		if got.Revision <= before.Revision || got.CreateDate == 0 || got.UpdateDate < before.UpdateDate {
			t.Errorf("%s: revision %d after %d, made %d, changed %d after %d",
				name, got.Revision, before.Revision, got.CreateDate, got.UpdateDate, before.UpdateDate)
		}
		g = service.Group{
			ID: id, Name: ch.Name, HeadImage: ch.HeadImage, Creator: ch.Creator, Members: members,
			CreateDate: got.CreateDate, UpdateDate: got.UpdateDate, Revision: got.Revision,
		}
		if before.CreateDate != 0 {
			g.CreateDate = before.CreateDate
		}
		same(t, name+": group", g, got)
		e := service.Entry{
			Message: service.Message{Conv: id.Conv(), From: ch.By}, Seq: service.Seq(len(timeline) + 1), Kind: ch.Kind,
			ServerDate: done.Entry.ServerDate,
		}
		switch ch.Kind {
		case service.KindGroupCreated, service.KindGroupUpdated:
			e.Group = &g
		case service.KindMembersAdded:
			e.Members = ch.Add
		case service.KindMembersGone:
			e.Members = ch.Remove
		}
		same(t, name+": notice", e, done.Entry)
		timeline = append(timeline, done.Entry)
		now, err := h.Group(context.Background(), id)
		if ch.Kind == service.KindGroupDissolved {
			wantError(t, name, err, service.ErrNotFound)
			return
		}
		wantError(t, name, err, nil)
		same(t, name+": group as it is read", g, now)
	}
	step("create", create(id, 3, 1, 2), 1, 2, 3)
	step("add", adding(g, 0, 5), 0, 1, 2, 3, 5)
	ch := removing(g, 1, 5)
	ch.By = 2
	step("remove", ch, 0, 2, 3)
	ch = from(g, service.KindGroupUpdated)
	ch.Name, ch.HeadImage = strings.Repeat("名", 85), ""
	step("rename", ch, 0, 2, 3)
	ch = from(g, service.KindGroupUpdated)
	ch.Creator = 2
	step("other creator", ch, 0, 2, 3)
	h.reopen()
	step("add after reopening", adding(g, 1), 0, 1, 2, 3)
	h.reopen()
	now, err := h.Group(context.Background(), id)
	wantError(t, "reopened", err, nil)
	same(t, "group after reopening", g, now)
	step("dissolve", dissolving(g))
	h.reopened(func(t *testing.T) {
		_, err := h.Group(context.Background(), id)
		wantError(t, "a dissolved group", err, service.ErrNotFound)
		same(t, "timeline", timeline, h.read(id.Conv()))
	})
}

// testGroupConflict makes changes from revisions that are not the present one.
func (s Subject) testGroupConflict(t *testing.T) {
	h := s.open(t)
	g := h.newGroup(1, 1, 2)
	gone := h.newGroup(2, 1, 2)
	h.mustChange(dissolving(gone))
	stale := g
	ch := from(g, service.KindGroupUpdated)
	ch.Name = "another"
	g = h.mustChange(ch).Group
	ahead := g
	ahead.Revision++
	h.reopened(func(t *testing.T) {
		for _, c := range []struct {
			name string
			ch   service.GroupChange
			want error
		}{
			{"made again", create(g.ID, 1, 5), service.ErrConflict},
			{"older revision", adding(stale, 5), service.ErrConflict},
			{"older revision, dissolved", dissolving(stale), service.ErrConflict},
			{"future revision", adding(ahead, 5), service.ErrConflict},
			{"no such group", adding(service.Group{ID: groupID(9), Revision: 1}, 5), service.ErrNotFound},
			{"dissolved", adding(gone, 5), service.ErrNotFound},
			{"dissolved again", dissolving(gone), service.ErrNotFound},
		} {
			_, err := h.change(c.ch)
			wantError(t, c.name, err, c.want)
		}
		now, err := h.Group(context.Background(), g.ID)
		wantError(t, "group", err, nil)
		same(t, "group after refusals", g, now)
		if n := len(h.read(g.ID.Conv())); n != 2 {
			t.Errorf("refused changes have left entries: %d, want 2", n)
		}
		ref, err := h.Conversation(context.Background(), 5, g.ID.Conv())
		wantError(t, "conversation", err, nil)
		same(t, "spans of someone who was never added", service.ConvRef{Conv: g.ID.Conv()}, ref)
	})
	h.run("race", func(t *testing.T) {
		a := &answers[service.GroupChanged]{t: t}
		for u := service.UserID(10); u < 20; u++ {
			h.ChangeGroup(adding(g, u), a.next())
		}
		won := 0
		for _, one := range a.get() {
			if one.err == nil {
				won++
			} else {
				wantError(t, "the losers", one.err, service.ErrConflict)
			}
		}
		if now, err := h.Group(context.Background(), g.ID); won != 1 || err != nil || len(now.Members) != 3 {
			t.Errorf("%d changes from the same revision were made, members are %d, %v", won, now.Members, err)
		}
	})
}

// testUserLimit adds users to more groups than they may be in: then nobody is added.
func (s Subject) testUserLimit(t *testing.T) {
	h := s.open(t)
	limited := func(ch service.GroupChange, limit int) service.GroupChange {
		ch.UserLimit = limit
		return ch
	}
	one := h.mustChange(limited(create(groupID(1), 1, 2), 2)).Group
	two := h.mustChange(limited(create(groupID(2), 1, 3), 2)).Group
	h.reopened(func(t *testing.T) { // user 1 is in two groups, 2 and 3 in one
		_, err := h.change(limited(create(groupID(3), 2, 1, 5), 2))
		wantError(t, "create with a user over the limit", err, service.ErrTooLarge)
		_, err = h.Group(context.Background(), groupID(3))
		wantError(t, "the group that was refused", err, service.ErrNotFound)
		refs, _, err := h.Conversations(context.Background(), 5, "", 10)
		wantError(t, "conversations", err, nil)
		same(t, "conversations of one who was to be added with him", []service.ConvRef(nil), refs)
	})
	a := &answers[service.GroupChanged]{t: t} // at once: the second sees the first
	h.ChangeGroup(limited(create(groupID(4), 2), 2), a.next())
	h.ChangeGroup(limited(create(groupID(5), 3, 2), 2), a.next())
	h.ChangeGroup(limited(adding(two, 2), 2), a.next())
	refused := 0
	for _, one := range a.get() {
		if one.err != nil {
			wantError(t, "one too many", one.err, service.ErrTooLarge)
			refused++
		}
	}
	if refused != 2 {
		t.Errorf("%d of 3 groups at once were refused, want 2", refused)
	}
	for _, other := range []service.Group{one, two} { // who leaves or sees the group dissolved may come elsewhere
		h.mustChange(dissolving(other))
		h.reopen()
	}
	g := h.mustChange(limited(create(groupID(6), 1), 2)).Group
	g = h.mustChange(removing(g, 1)).Group
	h.mustChange(limited(adding(g, 1), 1))
	g = h.mustChange(create(groupID(7), 1)).Group // no limit
	_, err := h.change(limited(adding(g, 2, 8), 0))
	wantError(t, "no limit", err, nil)
}

// testLargeGroup has as many members as one may have by default.
func (s Subject) testLargeGroup(t *testing.T) {
	const size = 10000
	h := s.open(t)
	members := make([]service.UserID, size)
	for i := range members {
		members[i] = service.MaxUserID - size + 1 + service.UserID(i)
	}
	g := h.newGroup(1, members...)
	g = h.mustChange(removing(g, members[5000:]...)).Group
	g = h.mustChange(adding(g, members[5000:]...)).Group
	a := h.send(groupText(g.ID, members[9999], "a"))[0]
	wantError(t, "append", a.err, nil)
	same(t, "members of the answer", members, a.value.Members)
	h.reopened(func(t *testing.T) {
		now, err := h.Group(context.Background(), g.ID)
		wantError(t, "group", err, nil)
		same(t, "group", g, now)
		for i, want := range map[int][]service.Span{0: {{From: 1, To: service.MaxSeq}}, 9999: {{From: 1, To: 2}, {From: 3, To: service.MaxSeq}}} {
			ref, err := h.Conversation(context.Background(), members[i], g.ID.Conv())
			wantError(t, "conversation", err, nil)
			same(t, fmt.Sprint("spans of member ", i), want, ref.Spans)
		}
	})
}

// testSpan lets users come and go: each sees from the entry that added him to the one that removed him.
func (s Subject) testSpan(t *testing.T) {
	h := s.open(t)
	g := h.newGroup(1, 1, 2, 3) // entry 1
	c := g.ID.Conv()
	id := 0
	say := func(n int) {
		for range n {
			id++
			h.mustSend(groupText(g.ID, 1, fmt.Sprint("m", id)))
		}
	}
	say(2)                                    // 2, 3
	g = h.mustChange(removing(g, 2)).Group    // 4
	g = h.mustChange(adding(g, 2, 4)).Group   // 5: without a gap
	say(1)                                    // 6
	g = h.mustChange(removing(g, 2, 3)).Group // 7
	say(3)                                    // 8, 9, 10
	g = h.mustChange(adding(g, 3)).Group      // 11
	want := map[service.UserID][]service.Span{
		1: {{From: 1, To: service.MaxSeq}},
		2: {{From: 1, To: 4}, {From: 5, To: 7}},
		3: {{From: 1, To: 7}, {From: 11, To: service.MaxSeq}},
		4: {{From: 5, To: service.MaxSeq}},
		5: nil,
	}
	check := func(t *testing.T) {
		for u, spans := range want {
			ref, err := h.Conversation(context.Background(), u, c)
			wantError(t, "conversation", err, nil)
			same(t, fmt.Sprintf("spans of user %d", u), service.ConvRef{Conv: c, Spans: spans}, ref)
			refs, _, err := h.Conversations(context.Background(), u, "", 10)
			wantError(t, "conversations", err, nil)
			if spans == nil {
				same(t, "conversations of a stranger", []service.ConvRef(nil), refs)
			} else {
				same(t, fmt.Sprintf("conversations of user %d", u), []service.ConvRef{{Conv: c, Spans: spans}}, refs)
			}
		}
	}
	h.reopened(check)
	h.mustChange(dissolving(g)) // 12
	want[1] = []service.Span{{From: 1, To: 12}}
	want[3][1].To = 12
	want[4] = []service.Span{{From: 5, To: 12}}
	h.reopened(check)
}
