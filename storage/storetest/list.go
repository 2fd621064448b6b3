package storetest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/msgserver/msgserver/service"
)

// testList lists the conversations of users, and their heads.
func (s Subject) testList(t *testing.T) {
	h := s.open(t)
	always := []service.Span{{From: 1, To: service.MaxSeq}}
	var want []service.ConvRef // of user 50
	for u := service.UserID(1); u < 100; u += 7 {
		h.mustSend(text(u, 50, "a"))
		want = append(want, service.ConvRef{Conv: service.Pair(u, 50), Spans: always})
	}
	h.mustSend(text(1, 2, "not his"))
	for n := byte(1); n <= 9; n++ {
		g := h.newGroup(n, 50, 60)
		ref := service.ConvRef{Conv: g.ID.Conv(), Spans: always}
		if n%3 == 0 { // a former group
			h.mustChange(removing(g, 50))
			ref.Spans = []service.Span{{From: 1, To: 2}}
		}
		want = append(want, ref)
	}
	h.newGroup(20, 60)
	slices.SortFunc(want, func(a, b service.ConvRef) int { return bytes.Compare(a.Conv[:], b.Conv[:]) })
	h.reopened(func(t *testing.T) {
		for _, limit := range []int{1, 2, 7, len(want) - 1, len(want), len(want) + 1, 1000} {
			same(t, fmt.Sprintf("conversations by %d", limit), want, h.conversations(t, 50, limit))
		}
		same(t, "conversations of somebody new", []service.ConvRef(nil), h.conversations(t, 77, 10))
	})
	h.mustSend(text(1, 50, "again"), text(50, 50, "notes"))
	want = append(want, service.ConvRef{Conv: service.Pair(50, 50), Spans: always})
	slices.SortFunc(want, func(a, b service.ConvRef) int { return bytes.Compare(a.Conv[:], b.Conv[:]) })
	h.reopened(func(t *testing.T) {
		want = slices.CompactFunc(want, func(a, b service.ConvRef) bool { return a.Conv == b.Conv })
		same(t, "conversations with one more", want, h.conversations(t, 50, 5))
	})
	t.Run("heads", s.testHeads)
	t.Run("one conversation", s.testConversation)
}

// conversations walks over all pages.
func (h *handle) conversations(t testing.TB, u service.UserID, limit int) []service.ConvRef {
	t.Helper()
	var all []service.ConvRef
	var after service.Cursor
	for range 10_000 {
		page, next, err := h.Conversations(context.Background(), u, after, limit)
		if err != nil {
			t.Fatalf("conversations of user %d: %v", u, err)
		}
		if len(page) > limit || next != "" && len(page) == 0 {
			t.Fatalf("a page of %d conversations, asked for %d, and a cursor %q", len(page), limit, next)
		}
		all = append(all, page...)
		if next == "" {
			return all
		}
		after = next
	}
	t.Fatalf("the conversations of user %d never end", u)
	return nil
}

func (s Subject) testHeads(t *testing.T) {
	h := s.open(t)
	var convs []service.ConvID
	var want []service.Head
	for u := service.UserID(2); u < 40; u++ {
		convs = append(convs, service.Pair(1, u))
		head := service.Head{First: 1}
		if n := int(u % 5); n > 0 {
			entries := h.mustSend(texts(1, u, 0, n)...)
			head.Last, head.Date = service.Seq(n), entries[n-1].ServerDate
		}
		want = append(want, head)
	}
	g := h.mustChange(create(groupID(1), 1))
	convs, want = append(convs, groupID(1).Conv()), append(want, service.Head{First: 1, Last: 1, Date: g.Entry.ServerDate})
	convs, want = append(convs, convs[1]), append(want, want[1]) // asked for twice
	h.reopened(func(t *testing.T) {
		got, err := h.Heads(context.Background(), convs)
		wantError(t, "heads", err, nil)
		same(t, "heads", want, got)
		got, err = h.Heads(context.Background(), nil)
		wantError(t, "no heads", err, nil)
		same(t, "no heads", []service.Head(nil), got)
	})
}

func (s Subject) testConversation(t *testing.T) {
	h := s.open(t)
	h.mustSend(text(1, 2, "a"), text(3, 3, "a"))
	always := []service.Span{{From: 1, To: service.MaxSeq}}
	h.reopened(func(t *testing.T) {
		for _, c := range []struct {
			name  string
			u     service.UserID
			conv  service.ConvID
			spans []service.Span
		}{
			{"sender", 1, service.Pair(1, 2), always},
			{"receiver", 2, service.Pair(1, 2), always},
			{"notes", 3, service.Pair(3, 3), always},
			{"stranger", 3, service.Pair(1, 2), nil},
			{"no such group", 1, groupID(1).Conv(), nil},
		} {
			got, err := h.Conversation(context.Background(), c.u, c.conv)
			wantError(t, c.name, err, nil)
			same(t, c.name, service.ConvRef{Conv: c.conv, Spans: c.spans}, got)
		}
	})
}
