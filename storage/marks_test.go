package storage_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msgserver/msgserver/service"
)

func TestMarksMoveForwardOnlyAndSurviveReopening(t *testing.T) {
	dir, ctx := t.TempDir(), context.Background()
	db := open(t, dir, small())
	c := service.Pair(1, 2)
	send(db, message(1, 2, "a"), message(1, 2, "b"), message(1, 2, "c"))
	for _, step := range []struct {
		state         service.State
		seq           service.Seq
		before, after service.Marks
	}{
		{service.StateDelivered, 2, service.Marks{}, service.Marks{Delivered: 2}},
		{service.StateDelivered, 1, service.Marks{Delivered: 2}, service.Marks{Delivered: 2}},
		{service.StateRead, 1, service.Marks{Delivered: 2}, service.Marks{Delivered: 2, Read: 1}},
		{service.StateRead, 99, service.Marks{Delivered: 2, Read: 1}, service.Marks{Delivered: 3, Read: 3}},
	} {
		m, err := mark(db, service.Mark{User: 2, Conv: c, State: step.state, Seq: step.seq})
		if want := (service.Marked{Before: step.before, After: step.after}); err != nil || m != want {
			t.Fatal(m, err, want)
		}
	}
	closeDB(t, db)
	db = open(t, dir, small())
	ms, err := db.MemberMarks(ctx, c, []service.UserID{1, 2})
	if want := []service.Marks{{}, {Delivered: 3, Read: 3}}; err != nil || !cmp.Equal(ms, want) {
		t.Fatal(ms, err)
	}
	if o := send(db, message(1, 2, "a"))[0]; !o.Duplicate || o.State != service.StateRead {
		t.Fatal(o)
	}
}
