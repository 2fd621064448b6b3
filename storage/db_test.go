package storage_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/msgserver/msgserver/service"
	"github.com/msgserver/msgserver/storage"
)

// small is a store for tests: little journals, and no limit by the disk of the machine they run on.
func small() storage.Options {
	return storage.Options{JournalSize: 4 << 20, MinFree: -1, MmapSize: 1 << 30}
}

func open(t testing.TB, dir string, o storage.Options) *storage.DB {
	t.Helper()
	db, err := storage.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func closeDB(t testing.TB, db *storage.DB) {
	t.Helper()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

type outcome struct {
	service.Appended
	err error
}

// send appends messages together and waits for all answers.
func send(db *storage.DB, ms ...service.Message) []outcome {
	out := make([]outcome, len(ms))
	done := make(chan struct{}, len(ms))
	batch := make([]service.Append, len(ms))
	for i, m := range ms {
		batch[i] = service.Append{Message: m, Done: func(a service.Appended, err error) {
			out[i] = outcome{a, err}
			done <- struct{}{}
		}}
	}
	db.Append(batch)
	for range ms {
		<-done
	}
	return out
}

func message(from, to service.UserID, id string) service.Message {
	return service.Message{Conv: service.Pair(from, to), From: from, To: to, MsgID: id, ContentType: 1, Content: "content of " + id}
}

func change(db *storage.DB, ch service.GroupChange) (service.GroupChanged, error) {
	type result struct {
		service.GroupChanged
		err error
	}
	done := make(chan result, 1)
	db.ChangeGroup(ch, func(g service.GroupChanged, err error) { done <- result{g, err} })
	r := <-done
	return r.GroupChanged, r.err
}

func mark(db *storage.DB, m service.Mark) (service.Marked, error) {
	type result struct {
		service.Marked
		err error
	}
	done := make(chan result, 1)
	m.Done = func(x service.Marked, err error) { done <- result{x, err} }
	db.Mark([]service.Mark{m})
	r := <-done
	return r.Marked, r.err
}

func read(t testing.TB, db *storage.DB, c service.ConvID) []service.Entry {
	t.Helper()
	es, err := db.Read(context.Background(), c, 1, 1<<20, 1<<30, service.Forward)
	if err != nil {
		t.Fatal(err)
	}
	return es
}

func TestEntriesSurviveReopening(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir, small())
	for i := range 300 {
		for _, o := range send(db, message(1, 2, fmt.Sprint("a", i)), message(2, 1, fmt.Sprint("b", i))) {
			if o.err != nil || o.Duplicate {
				t.Fatal(o)
			}
		}
	}
	closeDB(t, db)
	db = open(t, dir, small())
	es := read(t, db, service.Pair(1, 2))
	if len(es) != 600 {
		t.Fatalf("%d entries", len(es))
	}
	for i, e := range es {
		if e.Seq != service.Seq(i+1) || e.MsgID != fmt.Sprint("ab"[i%2:i%2+1], i/2) || e.Content != "content of "+e.MsgID {
			t.Fatalf("entry %d is %+v", i, e)
		}
	}
	if o := send(db, message(1, 2, "a7"))[0]; !o.Duplicate || o.Entry.Seq != 15 {
		t.Fatal(o)
	}
}

// await waits for something that nothing announces.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}
