package storage_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/msgserver/msgserver/service"
	"github.com/msgserver/msgserver/storage"
)

// meta reads a number that a closed store left in its file.
func meta(t *testing.T, dir, name string) (v uint64) {
	t.Helper()
	b, err := bbolt.Open(filepath.Join(dir, "msgserver.db"), 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	err = b.View(func(tx *bbolt.Tx) error {
		v = binary.BigEndian.Uint64(tx.Bucket([]byte("meta")).Get([]byte(name)))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// batchOf makes n messages of one conversation.
func batchOf(from, to service.UserID, name string, n int) []service.Message {
	ms := make([]service.Message, n)
	for i := range ms {
		ms[i] = message(from, to, fmt.Sprint(name, i))
	}
	return ms
}

func TestWhatIsPendingIsBounded(t *testing.T) {
	const bound, batch, rounds = 200, 100, 200
	for _, c := range []struct {
		name  string
		write func(round int) []service.Message
	}{
		{"one conversation is busier than all others", func(round int) []service.Message {
			ms := batchOf(1, 2, fmt.Sprint(round, "-"), batch-1)
			return append(ms, message(1000, service.UserID(2000+round%50), fmt.Sprint(round)))
		}},
		{"a busy one and many that never speak again", func(round int) []service.Message {
			if round < 2 {
				return batchOfPairs(round*batch, batch)
			}
			return batchOf(1, 2, fmt.Sprint(round, "-"), batch)
		}},
		{"always new conversations", func(round int) []service.Message { return batchOfPairs(round*batch, batch) }},
		{"all alike", func(round int) []service.Message {
			ms := make([]service.Message, batch)
			for i := range ms {
				ms[i] = message(1, service.UserID(10+i), fmt.Sprint(round))
			}
			return ms
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			o := small()
			o.PendingPostings = bound
			o.JournalSize = 64 << 10 // makes the applier hurry
			db := open(t, dir, o)
			for round := range rounds {
				for _, o := range send(db, c.write(round)...) {
					if o.err != nil {
						t.Fatal(o.err)
					}
				}
			}
			await(t, "no more pending than the bound", func() bool {
				s := db.Stats()
				return s.TailEntries == 0 && s.PendingPostings <= bound && s.PendingListings <= bound
			})
			closeDB(t, db)
			db = open(t, dir, o)
			// What opening makes pending is at most the rounds' span, counted in blocks, and one apply.
			const most = 4*bound + 1024 + 2000
			if n := db.Stats().PendingPostings; n > most {
				t.Errorf("opening makes %d entries pending, at most %d are allowed", n, most)
			}
			closeDB(t, db)
			if behind := meta(t, dir, "applied") + 1 - meta(t, dir, "indexed"); behind > most {
				t.Errorf("the index is %d entries behind, at most %d are allowed", behind, most)
			}
			if err := checkPages(dir); err != nil {
				t.Error(err)
			}
		})
	}
}

// batchOfPairs makes n messages of as many conversations.
func batchOfPairs(from, n int) []service.Message {
	ms := make([]service.Message, n)
	for i := range ms {
		ms[i] = message(7, service.UserID(100+from+i), "x")
	}
	return ms
}

func TestPendingEntriesSurviveACrash(t *testing.T) {
	dir := t.TempDir()
	for life := range 4 {
		db := open(t, dir, small())
		for _, o := range send(db, batchOf(1, 2, fmt.Sprint(life, "-"), 500)...) {
			if o.err != nil {
				t.Fatal(o.err)
			}
		}
		if err := db.Crash(); err != nil {
			t.Fatal(err)
		}
	}
	db := open(t, dir, small())
	es := read(t, db, service.Pair(1, 2))
	for i, e := range es {
		if e.Seq != service.Seq(i+1) || e.MsgID != fmt.Sprint(i/500, "-", i%500) {
			t.Fatalf("entry %d is %+v", i, e)
		}
	}
	if len(es) != 2000 {
		t.Fatalf("%d entries", len(es))
	}
	heads, err := db.Heads(context.Background(), []service.ConvID{service.Pair(1, 2), service.Pair(3, 4)})
	if err != nil || heads[0].Last != 2000 || heads[1] != (service.Head{First: 1}) {
		t.Fatal(heads, err)
	}
}

func TestReceiptsDoNotPileUp(t *testing.T) {
	dir := t.TempDir()
	o := small()
	o.PendingPostings, o.JournalSize = 100, 64<<10
	db := open(t, dir, o)
	const users, n = 50, 400
	for i := range n {
		ms := make([]service.Message, users)
		for u := range ms {
			ms[u] = message(1, service.UserID(10+u), fmt.Sprint(i))
		}
		send(db, ms...)
		done := make(chan error, users)
		marks := make([]service.Mark, users)
		for u := range marks {
			user := service.UserID(10 + u)
			marks[u] = service.Mark{User: user, Conv: service.Pair(1, user), State: service.StateRead, Seq: service.Seq(i + 1),
				Done: func(m service.Marked, err error) {
					if err == nil && m.After.Read != service.Seq(i+1) {
						err = fmt.Errorf("marks are %+v", m)
					}
					done <- err
				}}
		}
		db.Mark(marks)
		for range users {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
	}
	closeDB(t, db)
	if left := receipts(t, dir); left > users*n/2 {
		t.Errorf("%d of %d receipts are left", left, users*n)
	}
	db = open(t, dir, o)
	ms, err := db.MemberMarks(context.Background(), service.Pair(1, 10), []service.UserID{10})
	if want := (service.Marks{Delivered: n, Read: n}); err != nil || ms[0] != want {
		t.Fatal(ms, err)
	}
}

// All receipts of a round of the hand were deleted in one apply: 800,000 took more than a second.
func TestReceiptsAreDeletedALittleAtATime(t *testing.T) {
	dir := t.TempDir()
	o := small()
	o.PendingPostings = 30_000
	var seen atomic.Pointer[storage.DB]
	var most, before atomic.Int64
	db := openFaulty(t, dir, o, storage.Faults{Apply: func() error {
		if db := seen.Load(); db != nil {
			n, err := db.Receipts()
			if err != nil {
				return err
			}
			most.Store(max(most.Load(), before.Swap(int64(n))-int64(n)))
		}
		return nil
	}})
	seen.Store(db)
	const users, rounds = 20_000, 8
	for round := range rounds {
		done := make(chan error, users)
		marks := make([]service.Mark, users)
		var ms []service.Message
		for u := range marks {
			user := service.UserID(10 + u)
			ms = append(ms, message(1, user, fmt.Sprint(round)))
			marks[u] = service.Mark{User: user, Conv: service.Pair(1, user), State: service.StateRead, Seq: service.Seq(round + 1),
				Done: func(_ service.Marked, err error) { done <- err }}
		}
		send(db, ms...)
		db.Mark(marks)
		for range users {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
	}
	left := func() int {
		n, err := db.Receipts()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	const atOnce = 2*(6<<10) + 4096
	if most.Load() > atOnce || most.Load() == 0 {
		t.Errorf("an apply deleted %d receipts, at most %d may go", most.Load(), atOnce)
	}
	look := func() {
		t.Helper()
		for _, user := range []service.UserID{10, 10 + users/2, 9 + users} {
			ms, err := db.MemberMarks(context.Background(), service.Pair(1, user), []service.UserID{user})
			if want := (service.Marks{Delivered: rounds, Read: rounds}); err != nil || ms[0] != want {
				t.Fatal(user, ms, err)
			}
		}
	}
	look()
	if err := db.Crash(); err != nil {
		t.Fatal(err)
	}
	db = open(t, dir, o)
	look()
	if n := db.Stats().PendingMarks; n > users {
		t.Errorf("opening makes %d marks pending", n)
	}
	closeDB(t, db)
	db = open(t, dir, o)
	look()
	bound := 4*o.PendingPostings + 1024 + 4*users
	await(t, "an idle store has deleted the receipts that are in their table", func() bool { return left() <= bound })
}

// receipts counts those that a closed store left in its file.
func receipts(t *testing.T, dir string) (n int) { return keys(t, dir, "receipts") }

// keys counts what a closed store left in a bucket of its file.
func keys(t *testing.T, dir, bucket string) (n int) {
	t.Helper()
	b, err := bbolt.Open(filepath.Join(dir, "msgserver.db"), 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	err = b.View(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte(bucket)).ForEach(func(_, _ []byte) error {
			n++
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAMessageIsStoredOnceWithinTheWindow(t *testing.T) {
	const window = 1024
	dir := t.TempDir()
	db := open(t, dir, small())
	send(db, message(1, 2, "first"))
	send(db, batchOf(2, 1, "other", window-1)...)
	check := func() {
		t.Helper()
		again := send(db, message(1, 2, "first"))[0]
		if again.err != nil || !again.Duplicate || again.Entry.Seq != 1 {
			t.Fatal(again)
		}
		// The same id by the other user, or with other content, is something else.
		if o := send(db, service.Message{Conv: service.Pair(1, 2), From: 1, To: 2, MsgID: "first", Content: "other"})[0]; o.err != service.ErrConflict {
			t.Fatal(o)
		}
		if es := read(t, db, service.Pair(1, 2)); len(es) != window {
			t.Fatalf("%d entries", len(es))
		}
	}
	check()
	if err := db.Crash(); err != nil {
		t.Fatal(err)
	}
	db = open(t, dir, small())
	check()
	closeDB(t, db)
	db = open(t, dir, storage.Options{JournalSize: 1 << 20, MinFree: -1, PendingPostings: 1})
	check()
	twice := send(db, message(2, 1, "twice"), message(1, 2, "twice"), message(2, 1, "twice"), message(1, 2, ""), message(1, 2, ""))
	for i, want := range []struct {
		seq       service.Seq
		duplicate bool
	}{{1025, false}, {1026, false}, {1025, true}, {1027, false}, {1028, false}} {
		if o := twice[i]; o.err != nil || o.Entry.Seq != want.seq || o.Duplicate != want.duplicate {
			t.Errorf("message %d: %+v, want %+v", i, o, want)
		}
	}
}
