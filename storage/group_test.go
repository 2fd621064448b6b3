package storage_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msgserver/msgserver/service"
)

func newGroup(t testing.TB) service.GroupID {
	t.Helper()
	return service.NewGroupID(time.Now())
}

func TestGroupsAndSpansSurviveReopening(t *testing.T) {
	dir, ctx := t.TempDir(), context.Background()
	db := open(t, dir, small())
	id := newGroup(t)
	c := id.Conv()
	made, err := change(db, service.GroupChange{ID: id, Kind: service.KindGroupCreated, By: 1, Name: "g", Creator: 1, Add: []service.UserID{1, 2, 3}})
	if err != nil {
		t.Fatal(err)
	}
	if o := send(db, service.Message{Conv: c, From: 2, MsgID: "x", Content: "hello"})[0]; o.err != nil || o.Entry.Seq != 2 || !cmp.Equal(o.Members, []service.UserID{1, 2, 3}) {
		t.Fatal(o)
	}
	next := service.GroupChange{ID: id, Revision: made.Group.Revision, Kind: service.KindMembersGone, By: 1, Name: "g", Creator: 1, Remove: []service.UserID{2}}
	gone, err := change(db, next)
	if err != nil || !cmp.Equal(gone.Group.Members, []service.UserID{1, 3}) {
		t.Fatal(gone, err)
	}
	if _, err := change(db, next); !errors.Is(err, service.ErrConflict) {
		t.Fatal(err)
	}
	if o := send(db, service.Message{Conv: c, From: 2, MsgID: "y"})[0]; !errors.Is(o.err, service.ErrDenied) {
		t.Fatal(o)
	}
	check := func() {
		t.Helper()
		ref, err := db.Conversation(ctx, 2, c)
		if want := []service.Span{{From: 1, To: 3}}; err != nil || !cmp.Equal(ref.Spans, want) {
			t.Fatal(ref, err)
		}
		g, err := db.Group(ctx, id)
		if err != nil || !cmp.Equal(g, gone.Group) {
			t.Fatal(g, err)
		}
		refs, _, err := db.Conversations(ctx, 3, "", 10)
		if want := []service.ConvRef{{Conv: c, Spans: []service.Span{{From: 1, To: service.MaxSeq}}}}; err != nil || !cmp.Equal(refs, want) {
			t.Fatal(refs, err)
		}
		es := read(t, db, c)
		if len(es) != 3 || !cmp.Equal(es[0].Group, &made.Group) || !cmp.Equal(es[2].Members, []service.UserID{2}) {
			t.Fatal(es)
		}
	}
	check()
	closeDB(t, db)
	db = open(t, dir, small())
	check()
	if _, err := change(db, service.GroupChange{ID: id, Revision: gone.Group.Revision, Kind: service.KindGroupDissolved, By: 1, Name: "g", Creator: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Group(ctx, id); !errors.Is(err, service.ErrNotFound) {
		t.Fatal(err)
	}
	if o := send(db, service.Message{Conv: c, From: 1, MsgID: "z"})[0]; !errors.Is(o.err, service.ErrNotFound) {
		t.Fatal(o)
	}
}
