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

func TestUsersAreInNoMoreGroupsThanTheLimit(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir, small())
	create := func(members ...service.UserID) (service.GroupID, error) {
		id := newGroup(t)
		_, err := change(db, service.GroupChange{ID: id, Kind: service.KindGroupCreated, By: members[0], Name: "g",
			Creator: members[0], Add: members, UserLimit: 3})
		return id, err
	}
	for range 2 {
		if _, err := create(1, 2); err != nil {
			t.Fatal(err)
		}
	}
	left, err := create(2, 3)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := create(1, 2); !errors.Is(err, service.ErrTooLarge) {
		t.Fatal(err) // 2 is in three
	}
	if _, err := create(1, 3); err != nil {
		t.Fatal(err)
	}
	if err := db.Crash(); err != nil {
		t.Fatal(err)
	}
	db = open(t, dir, small())
	if _, err := create(2, 4); !errors.Is(err, service.ErrTooLarge) {
		t.Fatal(err)
	}
	if _, err := change(db, service.GroupChange{ID: left, Revision: 1, Kind: service.KindGroupDissolved, By: 2}); err != nil {
		t.Fatal(err)
	}
	closeDB(t, db)
	db = open(t, dir, small())
	if _, err := create(2, 4); err != nil {
		t.Fatal(err)
	}
	if _, err := create(2, 4); !errors.Is(err, service.ErrTooLarge) {
		t.Fatal(err)
	}
}

func TestTheOldestSpansAreForgotten(t *testing.T) {
	dir, ctx := t.TempDir(), context.Background()
	db := open(t, dir, small())
	id := newGroup(t)
	ch := service.GroupChange{ID: id, Kind: service.KindGroupCreated, By: 1, Name: "g", Creator: 1, Add: []service.UserID{1}}
	step := func() {
		t.Helper()
		done, err := change(db, ch)
		if err != nil {
			t.Fatal(err)
		}
		ch = service.GroupChange{ID: id, Revision: done.Group.Revision, By: 1, Name: "g", Creator: 1}
	}
	step()
	var want []service.Span
	for i := range service.Seq(20) {
		ch.Kind, ch.Add = service.KindMembersAdded, []service.UserID{2}
		step()
		ch.Kind, ch.Remove = service.KindMembersGone, []service.UserID{2}
		step()
		want = append(want, service.Span{From: 2*i + 2, To: 2*i + 3})
		if i == 9 { // some applied, some not
			closeDB(t, db)
			db = open(t, dir, small())
		}
	}
	want = want[4:]
	check := func() {
		t.Helper()
		ref, err := db.Conversation(ctx, 2, id.Conv())
		if err != nil || !cmp.Equal(ref.Spans, want) {
			t.Fatal(ref.Spans, err)
		}
	}
	check()
	closeDB(t, db)
	db = open(t, dir, small())
	check()
}

func TestALargeGroup(t *testing.T) {
	dir, ctx := t.TempDir(), context.Background()
	db := open(t, dir, small())
	members := make([]service.UserID, 10_000)
	for i := range members {
		members[i] = service.UserID(3*i + 1)
	}
	id := newGroup(t)
	if _, err := change(db, service.GroupChange{ID: id, Kind: service.KindGroupCreated, By: 1, Name: "g", Creator: 1, Add: members, UserLimit: 2000}); err != nil {
		t.Fatal(err)
	}
	closeDB(t, db)
	o := small()
	o.GroupBytes = 1 // nothing stays in memory
	db = open(t, dir, o)
	if g, err := db.Group(ctx, id); err != nil || !cmp.Equal(g.Members, members) {
		t.Fatal(len(g.Members), err)
	}
	if o := send(db, service.Message{Conv: id.Conv(), From: 4, MsgID: "a"})[0]; o.err != nil || len(o.Members) != len(members) {
		t.Fatal(len(o.Members), o.err)
	}
	if o := send(db, service.Message{Conv: id.Conv(), From: 5, MsgID: "a"})[0]; !errors.Is(o.err, service.ErrDenied) {
		t.Fatal(o.err)
	}
}
