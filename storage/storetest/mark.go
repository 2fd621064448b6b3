package storetest

import (
	"context"
	"fmt"
	"testing"

	"github.com/msgserver/msgserver/service"
)

// testMark moves marks: only forward, a read message is delivered too, and not past the end.
func (s Subject) testMark(t *testing.T) {
	h := s.open(t)
	c := service.Pair(1, 2)
	h.mustSend(texts(1, 2, 0, 10)...)
	steps := []struct {
		name  string
		state service.State
		seq   service.Seq
		after service.Marks
	}{
		{"nothing", service.StateDelivered, 0, service.Marks{}},
		{"delivered", service.StateDelivered, 3, service.Marks{Delivered: 3}},
		{"the same again", service.StateDelivered, 3, service.Marks{Delivered: 3}},
		{"back", service.StateDelivered, 2, service.Marks{Delivered: 3}},
		{"read what is delivered", service.StateRead, 2, service.Marks{Delivered: 3, Read: 2}},
		{"read more than is delivered", service.StateRead, 5, service.Marks{Delivered: 5, Read: 5}},
		{"read back", service.StateRead, 1, service.Marks{Delivered: 5, Read: 5}},
		{"delivered on", service.StateDelivered, 8, service.Marks{Delivered: 8, Read: 5}},
		{"past the end", service.StateRead, 11, service.Marks{Delivered: 10, Read: 10}},
		{"far past the end", service.StateRead, service.MaxSeq, service.Marks{Delivered: 10, Read: 10}},
	}
	before := service.Marks{}
	for _, step := range steps {
		same(t, step.name, service.Marked{Before: before, After: step.after}, h.mustMark(2, c, step.state, step.seq))
		before = step.after
	}
	h.mustSend(texts(2, 1, 0, 5)...) // the end moves on, the marks stay
	same(t, "mark after more entries", service.Marked{Before: before, After: service.Marks{Delivered: 12, Read: 10}},
		h.mustMark(2, c, service.StateDelivered, 12))
	same(t, "mark of the other", service.Marked{After: service.Marks{Delivered: 15, Read: 15}}, h.mustMark(1, c, service.StateRead, 99))
	same(t, "mark without entries", service.Marked{}, h.mustMark(1, service.Pair(1, 9), service.StateRead, 5))
	h.reopened(func(t *testing.T) {
		same(t, "idle mark", service.Marked{Before: service.Marks{Delivered: 12, Read: 10}, After: service.Marks{Delivered: 12, Read: 10}},
			h.mustMark(2, c, service.StateRead, 10))
		h.wantMarks(t, 2, map[service.ConvID]service.Marks{
			c: {Delivered: 12, Read: 10}, service.Pair(1, 9): {}, service.Pair(2, 9): {},
		})
	})
	t.Run("batch", s.testMarkBatch)
}

// wantMarks asks for a user's marks in several conversations, together and one by one.
func (h *handle) wantMarks(t *testing.T, u service.UserID, want map[service.ConvID]service.Marks) {
	t.Helper()
	var cs []service.ConvID
	var marks []service.Marks
	for c, m := range want {
		cs, marks = append(cs, c), append(marks, m)
	}
	got, err := h.Marks(context.Background(), u, cs)
	wantError(t, "marks", err, nil)
	same(t, fmt.Sprint("marks of user ", u), marks, got)
	for i, c := range cs {
		got, err := h.MemberMarks(context.Background(), c, []service.UserID{u})
		wantError(t, "member marks", err, nil)
		same(t, fmt.Sprintf("marks of user %d in %x", u, c), marks[i:i+1], got)
	}
}

// testMarkBatch moves the marks of a group's members in few batches.
func (s Subject) testMarkBatch(t *testing.T) {
	const members = 200
	h := s.open(t)
	var users []service.UserID
	for u := service.UserID(1); u <= members; u++ {
		users = append(users, u)
	}
	g := h.newGroup(1, users...)
	for i := range 20 {
		h.mustSend(groupText(g.ID, 1, fmt.Sprint("m", i)))
	}
	var batch []service.Mark
	want := make([]service.Marks, members)
	for i, u := range users {
		delivered, read := service.Seq(i%22), service.Seq(i%7)
		batch = append(batch,
			service.Mark{User: u, Conv: g.ID.Conv(), State: service.StateDelivered, Seq: delivered},
			service.Mark{User: u, Conv: g.ID.Conv(), State: service.StateRead, Seq: read})
		want[i] = service.Marks{Delivered: max(delivered, read), Read: read}
	}
	for i, a := range h.mark(batch...) {
		wantError(t, fmt.Sprint("mark ", i), a.err, nil)
		if i%2 == 1 {
			same(t, fmt.Sprint("marks of user ", i/2+1), want[i/2], a.value.After)
		}
	}
	h.reopened(func(t *testing.T) {
		got, err := h.MemberMarks(context.Background(), g.ID.Conv(), users)
		wantError(t, "member marks", err, nil)
		same(t, "marks of the members", want, got)
	})
}
