package storage_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msgserver/msgserver/service"
	"github.com/msgserver/msgserver/storage"
)

// creation makes a group of n users, the first of whom is by.
func creation(t testing.TB, by service.UserID, n int) service.GroupChange {
	members := make([]service.UserID, n)
	for i := range members {
		members[i] = by + service.UserID(3*i)
	}
	return service.GroupChange{ID: newGroup(t), Kind: service.KindGroupCreated, By: by, Name: "g", Creator: by, Add: members, UserLimit: 2000}
}

// until makes a change again while the store is busy.
func until(t *testing.T, db *storage.DB, ch service.GroupChange) service.GroupChanged {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); ; <-tick.C {
		done, err := change(db, ch)
		if err == nil {
			return done
		}
		if !errors.Is(err, service.ErrBusy) || time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// Twenty such groups took one apply up to a minute: the keys went into one leaf of bbolt in no order.
func TestLargeGroupsAreAppliedInAMinute(t *testing.T) {
	dir, ctx := t.TempDir(), context.Background()
	o := small()
	o.JournalSize = 16 << 20
	db := open(t, dir, o)
	const groups, size = 20, 10_000
	start := time.Now()
	made := make([]service.GroupChanged, groups)
	var all sync.WaitGroup
	for i := range made {
		ch := creation(t, 1, size)
		all.Go(func() { made[i] = until(t, db, ch) })
	}
	all.Wait()
	await(t, "applied", func() bool { return db.Stats().TailEntries == 0 })
	if n := db.Stats().Applies; n < groups {
		t.Errorf("%d groups of %d members went into %d applies", groups, size, n)
	}
	closeDB(t, db)
	if took := time.Since(start); took > time.Minute { // 5 s without the race detector
		t.Errorf("%d groups of %d members took %v", groups, size, took)
	}
	db = open(t, dir, o)
	for _, m := range made {
		if g, err := db.Group(ctx, m.Group.ID); err != nil || !cmp.Equal(g, m.Group) {
			t.Fatal(len(g.Members), err)
		}
	}
	last := service.UserID(1 + 3*(size-1))
	if refs, _, err := db.Conversations(ctx, last, "", 100); err != nil || len(refs) != groups {
		t.Fatal(len(refs), err)
	}
	closeDB(t, db)
	if _, err := storage.Check(dir, nil); err != nil {
		t.Fatal(err)
	}
}

// Changes were bounded by the bytes of the queue only: of large groups the applier got minutes behind, and Close with it.
func TestChangesThatAreNotAppliedAreBounded(t *testing.T) {
	stall := make(chan struct{})
	db := openFaulty(t, t.TempDir(), small(), storage.Faults{Apply: func() error {
		<-stall
		return nil
	}})
	taken := 0
	for ; ; taken++ {
		if _, err := change(db, creation(t, 1, 5000)); errors.Is(err, service.ErrBusy) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if taken > 100 {
			t.Fatal("no bound")
		}
	}
	if taken < 4 || db.Stats().Refused == 0 {
		t.Errorf("%d changes of 5,000 members were taken", taken)
	}
	if o := send(db, message(1, 2, "a"))[0]; o.err != nil {
		t.Fatal(o.err) // messages go on
	}
	close(stall)
	until(t, db, creation(t, 1, 10_000))
	until(t, db, creation(t, 1, 10_000))
	await(t, "applied", func() bool { return db.Stats().TailEntries == 0 })
	if _, err := change(db, creation(t, 1, 100_000)); err != nil {
		t.Fatal(err) // one may be of any size when there is no other
	}
}

// A change that dissolves names nobody, and costs what the group has.
func TestDissolvingWeighsWhatTheGroupHas(t *testing.T) {
	var hold sync.Mutex
	db := openFaulty(t, t.TempDir(), small(), storage.Faults{Apply: func() error {
		hold.Lock()
		defer hold.Unlock()
		return nil
	}})
	var made []service.GroupChanged
	for range 12 {
		made = append(made, until(t, db, creation(t, 1, 4000)))
	}
	await(t, "applied", func() bool { return db.Stats().TailEntries == 0 })
	hold.Lock()
	var busy int
	for _, m := range made {
		_, err := change(db, service.GroupChange{ID: m.Group.ID, Revision: m.Group.Revision, Kind: service.KindGroupDissolved, By: 1})
		switch {
		case errors.Is(err, service.ErrBusy):
			busy++
		case err != nil:
			t.Fatal(err)
		}
	}
	hold.Unlock()
	if busy == 0 || busy > 4 {
		t.Errorf("%d of 12 were refused", busy)
	}
}

// What one apply does to a user is written once: it must be the same as one by one.
func TestAUserWhoMovesOftenInOneApply(t *testing.T) {
	dir, ctx := t.TempDir(), context.Background()
	var hold sync.Mutex
	db := openFaulty(t, dir, small(), storage.Faults{Apply: func() error {
		hold.Lock()
		defer hold.Unlock()
		return nil
	}})
	hold.Lock()
	var ids []service.GroupID
	want := map[service.GroupID][]service.Span{}
	for i := range 6 {
		ch := creation(t, 1, 3)
		id := ch.ID
		ids = append(ids, id)
		done := until(t, db, ch)
		spans := []service.Span{{From: 1, To: service.MaxSeq}}
		for range i {
			ch = service.GroupChange{ID: id, Revision: done.Group.Revision, Kind: service.KindMembersGone, By: 1, Name: "g", Creator: 1, Remove: []service.UserID{4}}
			if len(done.Group.Members) == 2 {
				ch.Kind, ch.Add, ch.Remove = service.KindMembersAdded, ch.Remove, nil
			}
			done = until(t, db, ch)
			if ch.Add != nil {
				spans = append(spans, service.Span{From: done.Entry.Seq, To: service.MaxSeq})
			} else {
				spans[len(spans)-1].To = done.Entry.Seq
			}
		}
		want[id] = spans
	}
	look := func(when string) {
		t.Helper()
		for i, id := range ids {
			ref, err := db.Conversation(ctx, 4, id.Conv())
			if err != nil || !cmp.Equal(ref.Spans, want[id]) {
				t.Fatal(when, ref.Spans, err)
			}
			g, err := db.Group(ctx, id)
			if n := 3 - i%2; err != nil || len(g.Members) != n || g.Revision != uint64(i+1) {
				t.Fatal(when, i, g, err)
			}
		}
	}
	look("before the apply")
	hold.Unlock()
	closeDB(t, db)
	db = open(t, dir, small())
	look("after it")
	for i := range 4 { // he is in three
		ch := creation(t, 4, 1)
		ch.UserLimit = 6
		if _, err := change(db, ch); (err == nil) != (i < 3) {
			t.Fatal(i, err)
		}
	}
	closeDB(t, db)
	if _, err := storage.Check(dir, nil); err != nil {
		t.Fatal(fmt.Errorf("check: %w", err))
	}
}
