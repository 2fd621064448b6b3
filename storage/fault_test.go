package storage_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/msgserver/msgserver/service"
	"github.com/msgserver/msgserver/storage"
)

func openFaulty(t testing.TB, dir string, o storage.Options, f storage.Faults) *storage.DB {
	t.Helper()
	db, err := storage.OpenFaulty(dir, o, f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// expect checks that a conversation has exactly the messages with these ids, in order.
func expect(t *testing.T, db *storage.DB, c service.ConvID, ids ...string) {
	t.Helper()
	var found []string
	for i, e := range read(t, db, c) {
		if e.Seq != service.Seq(i+1) {
			t.Fatalf("entry %d has seq %d", i+1, e.Seq)
		}
		found = append(found, e.MsgID)
	}
	if strings.Join(found, " ") != strings.Join(ids, " ") {
		t.Fatalf("conversation holds %q, want %q", found, ids)
	}
}

var errDisk = errors.New("the disk says no")

func TestAFailedSyncAnswersNothingAsStored(t *testing.T) {
	dir := t.TempDir()
	var broken atomic.Bool
	fatal := make(chan error, 1)
	o := small()
	o.OnFatal = func(err error) { fatal <- err }
	db := openFaulty(t, dir, o, storage.Faults{Sync: func() error {
		if broken.Load() {
			return errDisk
		}
		return nil
	}})
	send(db, message(1, 2, "a"))
	broken.Store(true)
	if o := send(db, message(1, 2, "b"))[0]; !errors.Is(o.err, service.ErrUnknownOutcome) {
		t.Fatal(o)
	}
	if err := <-fatal; !errors.Is(err, errDisk) {
		t.Fatal(err)
	}
	broken.Store(false)
	if o := send(db, message(1, 2, "c"))[0]; !errors.Is(o.err, service.ErrUnavailable) {
		t.Fatal(o)
	}
	if db.Healthy() {
		t.Fatal("healthy after a failed sync")
	}
	expect(t, db, service.Pair(1, 2), "a")
	if err := db.Close(); !errors.Is(err, errDisk) {
		t.Fatal(err)
	}
	db = open(t, dir, small())
	if o := send(db, message(1, 2, "b"))[0]; o.err != nil || o.Entry.Seq != 2 {
		t.Fatal(o) // the first time may or may not have reached the disk: now it is there, once
	}
	expect(t, db, service.Pair(1, 2), "a", "b")
}

func TestAFailedApplyStopsTheStoreAndLosesNothing(t *testing.T) {
	dir := t.TempDir()
	fatal := make(chan error, 1)
	o := small()
	o.OnFatal = func(err error) { fatal <- err }
	var applies atomic.Int32
	db := openFaulty(t, dir, o, storage.Faults{Apply: func() error {
		if applies.Add(1) > 1 {
			return errDisk
		}
		return nil
	}})
	var ids []string
	for err := error(nil); err == nil; {
		id := fmt.Sprint(len(ids))
		o := send(db, message(1, 2, id))[0]
		if o.err == nil {
			ids = append(ids, id)
		}
		err = o.err
	}
	if err := <-fatal; !errors.Is(err, errDisk) {
		t.Fatal(err)
	}
	expect(t, db, service.Pair(1, 2), ids...)
	if err := db.Close(); !errors.Is(err, errDisk) {
		t.Fatal(err)
	}
	expect(t, open(t, dir, small()), service.Pair(1, 2), ids...)
}

func TestAStalledApplierMakesTheStoreBusyUntilItGoesOn(t *testing.T) {
	o := small()
	o.JournalSize = 32 << 10
	stall := make(chan struct{})
	db := openFaulty(t, t.TempDir(), o, storage.Faults{Apply: func() error {
		<-stall
		return nil
	}})
	var ids []string
	for {
		id := fmt.Sprint(len(ids))
		start := time.Now()
		o := send(db, message(1, 2, id))[0]
		if took := time.Since(start); took > 5*time.Second {
			t.Fatalf("message %s waited for %v", id, took)
		}
		if errors.Is(o.err, service.ErrBusy) {
			break
		}
		if o.err != nil || o.Entry.Seq != service.Seq(len(ids)+1) {
			t.Fatal(o)
		}
		ids = append(ids, id)
	}
	start := time.Now()
	if o := send(db, message(1, 2, "x"))[0]; !errors.Is(o.err, service.ErrBusy) || time.Since(start) > time.Second {
		t.Fatal(o, "after", time.Since(start)) // who comes later does not wait the whole time again
	}
	expect(t, db, service.Pair(1, 2), ids...)
	close(stall)
	for o := send(db, message(1, 2, "y"))[0]; o.err != nil; o = send(db, message(1, 2, "y"))[0] {
		if !errors.Is(o.err, service.ErrBusy) {
			t.Fatal(o)
		}
	}
	expect(t, db, service.Pair(1, 2), append(ids, "y")...)
}

// Who was refused for what a batch would have done kept that answer when the batch was undone.
func TestARefusalDoesNotOutliveItsBatch(t *testing.T) {
	o := small()
	o.JournalSize = 32 << 10
	var hold sync.Mutex // of the committer, at the beginning of a batch
	var asked atomic.Int64
	o.Clock = func() time.Time {
		asked.Add(1)
		hold.Lock()
		defer hold.Unlock()
		return time.Now()
	}
	stall := make(chan struct{})
	var stalled atomic.Bool
	db := openFaulty(t, t.TempDir(), o, storage.Faults{Apply: func() error {
		if stalled.Load() {
			<-stall
		}
		return nil
	}})
	ch := creation(t, 1, 2) // users 1 and 4
	made := until(t, db, ch)
	await(t, "applied", func() bool { return db.Stats().TailEntries == 0 })
	stalled.Store(true)
	for i := 0; send(db, message(5, 6, fmt.Sprint(i)))[0].err == nil; i++ {
	}
	// The journal is full. Now all of these are taken together.
	answers := make(chan error, 5)
	say := func(m service.Message) {
		db.Append([]service.Append{{Message: m, Done: func(_ service.Appended, err error) { answers <- err }}})
	}
	hold.Lock()
	before := asked.Load()
	say(message(7, 8, "first"))
	await(t, "the committer has the first", func() bool { return asked.Load() > before })
	say(service.Message{Conv: ch.ID.Conv(), From: 9, MsgID: "a"})
	db.ChangeGroup(service.GroupChange{ID: ch.ID, Revision: made.Group.Revision, Kind: service.KindMembersGone, By: 1, Name: "g", Creator: 1, Remove: []service.UserID{4}},
		func(_ service.GroupChanged, err error) { answers <- err })
	say(service.Message{Conv: ch.ID.Conv(), From: 4, MsgID: "b"})
	say(service.Message{Conv: ch.ID.Conv(), From: 1, MsgID: "c"})
	hold.Unlock()
	for i, want := range []error{service.ErrBusy, service.ErrDenied, service.ErrBusy, service.ErrBusy, service.ErrBusy} {
		if err := <-answers; !errors.Is(err, want) {
			t.Errorf("answer %d is %v, want %v", i, err, want)
		}
	}
	close(stall)
	await(t, "room in the journal", func() bool { return send(db, message(7, 8, "room"))[0].err == nil })
	if o := send(db, service.Message{Conv: ch.ID.Conv(), From: 4, MsgID: "b"})[0]; o.err != nil || o.Entry.Seq != 2 {
		t.Error(o)
	}
}

func TestAFullQueueRefusesInOrder(t *testing.T) {
	o := small()
	o.QueueBytes = 4 << 10
	hold, held := make(chan struct{}), make(chan struct{}, 1)
	db := openFaulty(t, t.TempDir(), o, storage.Faults{Sync: func() error {
		select {
		case held <- struct{}{}:
		default:
		}
		<-hold
		return nil
	}})
	const n = 100
	type answer struct {
		i   int
		err error
	}
	answers := make(chan answer, n)
	for i := range n {
		db.Append([]service.Append{{Message: message(1, 2, fmt.Sprint(i)), Done: func(_ service.Appended, err error) {
			answers <- answer{i, err}
		}}})
	}
	<-held
	close(hold)
	var stored, refused int
	for i := range n {
		a := <-answers
		switch {
		case a.i != i:
			t.Fatalf("answer %d is of message %d", i, a.i)
		case a.err == nil && refused == 0:
			stored++
		case errors.Is(a.err, service.ErrBusy):
			refused++
		default:
			t.Fatal(a)
		}
	}
	if stored == 0 || refused == 0 || db.Stats().Refused != uint64(refused) {
		t.Fatalf("%d stored, %d refused, %d counted", stored, refused, db.Stats().Refused)
	}
	if o := send(db, message(1, 2, "later"))[0]; o.err != nil || o.Entry.Seq != service.Seq(stored+1) {
		t.Fatal(o)
	}
}

// A receipt counted as a few hundred bytes while its done kept a page of messages.
func TestReceiptsCountWhatTheyHold(t *testing.T) {
	o := small()
	o.QueueBytes = 1 << 20
	hold, held := make(chan struct{}), make(chan struct{}, 1)
	db := openFaulty(t, t.TempDir(), o, storage.Faults{Sync: func() error {
		select {
		case held <- struct{}{}:
		default:
		}
		<-hold
		return nil
	}})
	db.Append([]service.Append{{Message: message(1, 2, "a"), Done: func(service.Appended, error) {}}})
	<-held
	const n = 20
	answers := make(chan error, n)
	for range n {
		db.Mark([]service.Mark{{User: 2, Conv: service.Pair(1, 2), State: service.StateRead, Seq: 1, Holds: 100 << 10,
			Done: func(_ service.Marked, err error) { answers <- err }}})
	}
	close(hold)
	var busy int
	for range n {
		if err := <-answers; errors.Is(err, service.ErrBusy) {
			busy++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if busy != n-10 {
		t.Errorf("%d of %d receipts that hold 100 KiB each did not fit into 1 MiB", busy, n)
	}
}

func TestAFullDiskTakesNoWritesUntilThereIsSpace(t *testing.T) {
	var free atomic.Int64
	free.Store(1 << 30)
	o := small()
	o.MinFree = 1 << 20
	db := openFaulty(t, t.TempDir(), o, storage.Faults{Free: free.Load})
	send(db, message(1, 2, "a"))
	until := func(id string, done func(error) bool) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); ; {
			o := send(db, message(1, 2, id))[0]
			if done(o.err) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatal(o)
			}
		}
	}
	free.Store(1000)
	until("a", func(err error) bool { return errors.Is(err, service.ErrUnavailable) })
	if db.Healthy() || !db.Stats().ReadOnly {
		t.Fatal("healthy without space")
	}
	if _, err := mark(db, service.Mark{User: 2, Conv: service.Pair(1, 2), State: service.StateRead, Seq: 1}); !errors.Is(err, service.ErrUnavailable) {
		t.Fatal(err)
	}
	expect(t, db, service.Pair(1, 2), "a")
	free.Store(2 << 20)
	until("b", func(err error) bool { return err == nil })
	expect(t, db, service.Pair(1, 2), "a", "b")
}
