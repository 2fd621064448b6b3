package storetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/msgserver/msgserver/service"
)

// testAppend stores one message of each shape and finds it again as it was.
func (s Subject) testAppend(t *testing.T) {
	g := groupID(1)
	long := strings.Repeat("界", 64<<10/3)
	cases := []struct {
		name string
		m    service.Message
	}{
		{"plain", text(1, 2, "a")},
		{"other direction", text(2, 1, "b")},
		{"to himself", text(7, 7, "a")},
		{"smallest id", text(0, 3, "a")},
		{"largest id", text(service.MaxUserID, 3, "a")},
		{"smallest and largest id", text(0, service.MaxUserID, "a")},
		{"empty content", service.Message{Conv: service.Pair(1, 3), From: 1, To: 3, MsgID: "empty"}},
		{"64 KiB of content", service.Message{Conv: service.Pair(1, 3), From: 3, To: 1, MsgID: "long", Content: long}},
		{"largest fields", service.Message{
			Conv: service.Pair(1, 3), From: 1, To: 3, MsgID: strings.Repeat("i", 128),
			ContentType: 1<<63 - 1, SendDate: strings.Repeat("9", 128), Content: "x",
		}},
		{"smallest content type", service.Message{
			Conv: service.Pair(1, 3), From: 1, To: 3, MsgID: "negative", ContentType: -1 << 63, SendDate: `"a string"`, Content: "\x00",
		}},
		{"to a group", groupText(g, 1, "a")},
		{"to a group, from another", groupText(g, 2, "a")},
	}
	h := s.open(t)
	h.newGroup(1, 1, 2)
	before := time.Now().Add(-time.Hour).UnixMilli() // the store may have a clock of its own, but no wild one
	seqs := map[service.ConvID]service.Seq{g.Conv(): 1}
	want := map[service.ConvID][]service.Entry{g.Conv(): h.read(g.Conv())}
	for _, c := range cases {
		h.run(c.name, func(t *testing.T) {
			a := h.send(c.m)[0]
			if a.err != nil {
				t.Fatal(a.err)
			}
			seqs[c.m.Conv]++
			e := service.Entry{Message: c.m, Seq: seqs[c.m.Conv], Kind: service.KindMessage, ServerDate: a.value.Entry.ServerDate}
			expected := service.Appended{Entry: e, State: service.StateStored}
			if c.m.Conv == g.Conv() {
				expected.Members = []service.UserID{1, 2}
			}
			same(t, "answer", expected, a.value)
			if e.ServerDate < before {
				t.Errorf("the entry's date is %d", e.ServerDate)
			}
			want[c.m.Conv] = append(want[c.m.Conv], e)
		})
	}
	h.reopened(func(t *testing.T) {
		for c, entries := range want {
			same(t, fmt.Sprintf("conversation %x", c), entries, h.read(c))
		}
	})
	t.Run("refusals", func(t *testing.T) { s.testRefusal(t) })
}

// testRefusal mixes messages that are refused with others that are not.
func (s Subject) testRefusal(t *testing.T) {
	h := s.open(t)
	g := h.newGroup(1, 1, 2)
	gone := h.newGroup(2, 1, 2)
	h.mustChange(dissolving(gone))
	batch := []service.Message{
		groupText(g.ID, 1, "a"), groupText(g.ID, 3, "stranger"), text(1, 2, "b"),
		groupText(groupID(9), 1, "no group"), groupText(g.ID, 2, "c"), groupText(gone.ID, 1, "dissolved"), text(1, 2, "d"),
	}
	want := []error{nil, service.ErrDenied, nil, service.ErrNotFound, nil, service.ErrNotFound, nil}
	for i, a := range h.send(batch...) {
		wantError(t, batch[i].MsgID, a.err, want[i])
	}
	h.reopened(func(t *testing.T) {
		for c, n := range map[service.ConvID]int{g.ID.Conv(): 3, service.Pair(1, 2): 2, groupID(9).Conv(): 0, gone.ID.Conv(): 2} {
			entries := h.read(c)
			dense(t, entries, 1)
			if len(entries) != n {
				t.Errorf("conversation %x has %d entries, want %d", c, len(entries), n)
			}
		}
	})
}

// testRepeat sends messages again: (From, MsgID) counts once in a conversation.
func (s Subject) testRepeat(t *testing.T) {
	t.Run("same and other", func(t *testing.T) {
		h := s.open(t)
		g := h.newGroup(1, 1, 2)
		first := text(1, 2, "a")
		entries := h.mustSend(first, groupText(g.ID, 1, "a"))
		otherContent, otherType := first, first
		otherContent.Content, otherType.ContentType = "other", 2
		otherGroupContent := groupText(g.ID, 1, "a")
		otherGroupContent.Content = ""
		h.mustSend(text(2, 1, "a"), text(1, 3, "a"), groupText(g.ID, 2, "a"), text(1, 2, "A")) // no repetitions
		h.reopened(func(t *testing.T) {
			before := len(h.read(first.Conv))
			cases := []struct {
				name  string
				m     service.Message
				err   error
				entry service.Entry
			}{
				{"the same", first, nil, entries[0]},
				{"other content", otherContent, service.ErrConflict, service.Entry{}},
				{"other type", otherType, service.ErrConflict, service.Entry{}},
				{"the same in a group", groupText(g.ID, 1, "a"), nil, entries[1]},
				{"other content in a group", otherGroupContent, service.ErrConflict, service.Entry{}},
			}
			for _, c := range cases {
				a := h.send(c.m)[0]
				wantError(t, c.name, a.err, c.err)
				if c.err == nil {
					want := service.Appended{Entry: c.entry, Duplicate: true, State: service.StateStored}
					if c.m.Conv == g.ID.Conv() {
						want.Members = g.Members
					}
					same(t, c.name, want, a.value)
				}
			}
			if after := len(h.read(first.Conv)); after != before {
				t.Errorf("repetitions were stored: %d entries, %d before", after, before)
			}
		})
	})
	t.Run("in one batch", func(t *testing.T) {
		h := s.open(t)
		other := text(1, 2, "a")
		other.Content = "other"
		got := h.send(text(1, 2, "a"), text(1, 2, "b"), text(1, 2, "a"), other, text(1, 2, "a"))
		for i, want := range []error{nil, nil, nil, service.ErrConflict, nil} {
			wantError(t, fmt.Sprint("message ", i), got[i].err, want)
		}
		for _, i := range []int{2, 4} {
			if v := got[i].value; !v.Duplicate || v.Entry.Seq != 1 {
				t.Errorf("repetition %d: duplicate %v, seq %d", i, v.Duplicate, v.Entry.Seq)
			}
		}
		if n := len(h.read(service.Pair(1, 2))); n != 2 {
			t.Errorf("%d entries, want 2", n)
		}
	})
	t.Run("state since then", func(t *testing.T) {
		h := s.open(t)
		h.mustSend(text(1, 2, "a"), text(1, 2, "b"))
		c := service.Pair(1, 2)
		state := func(id string, want service.State) {
			t.Helper()
			if a := h.send(text(1, 2, id))[0]; a.err != nil || !a.value.Duplicate || a.value.State != want {
				t.Errorf("message %s: duplicate %v with state %d, want %d; %v", id, a.value.Duplicate, a.value.State, want, a.err)
			}
		}
		h.mustMark(1, c, service.StateRead, 2) // the sender's own mark says nothing
		state("a", service.StateStored)
		h.mustMark(2, c, service.StateDelivered, 1)
		state("a", service.StateDelivered)
		state("b", service.StateStored)
		h.mustMark(2, c, service.StateRead, 2)
		state("a", service.StateRead)
		h.reopen()
		state("b", service.StateRead)
	})
	t.Run("1024 entries ago", s.testLongAgo)
}

// testLongAgo repeats the oldest messages that must still be known, notices counted.
func (s Subject) testLongAgo(t *testing.T) {
	const kept = 1024
	h := s.open(t)
	g := h.newGroup(1, 1, 2)
	old := groupText(g.ID, 1, "old")
	first := h.mustSend(old)[0]
	between := make([]service.Message, kept-2)
	for i := range between {
		between[i] = groupText(g.ID, service.UserID(1+i%2), fmt.Sprint("m", i))
	}
	h.mustSend(between...)
	ch := from(g, service.KindGroupUpdated)
	ch.Name = "renamed"
	h.mustChange(ch)
	if head := h.head(old.Conv); head.Last-first.Seq != kept-1 {
		t.Fatalf("%d entries follow the first, want %d", head.Last-first.Seq, kept-1)
	}
	other := old
	other.Content = "other"
	h.reopened(func(t *testing.T) {
		a := h.send(old, other)
		same(t, "answer", service.Appended{Entry: first, Duplicate: true, State: service.StateStored, Members: g.Members}, a[0].value)
		wantError(t, "the same", a[0].err, nil)
		wantError(t, "other content", a[1].err, service.ErrConflict)
	})
}
