package storage_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/msgserver/msgserver/service"
	"github.com/msgserver/msgserver/storage"
)

// stored fails unless all of these are stored.
func stored(t *testing.T, db *storage.DB, ms ...service.Message) {
	t.Helper()
	for len(ms) > 0 {
		n := min(len(ms), 500)
		for _, o := range send(db, ms[:n]...) {
			if o.err != nil || o.Duplicate {
				t.Fatal(o)
			}
		}
		ms = ms[n:]
	}
}

// Sent again some milliseconds and 1,300 messages later, a message was stored twice.
func TestAMessageIsStoredOnceMinutesAndThousandsLater(t *testing.T) {
	dir, clock := t.TempDir(), newHands()
	o := small()
	o.Clock, o.DedupBytes = clock.now, 1 // conversations are forgotten after each batch
	db := open(t, dir, o)
	c := service.Pair(1, 2)
	again := func(when string) {
		t.Helper()
		for i, id := range []string{"first", "early7", "early1999"} {
			out := send(db, message(1, 2, id))[0]
			if want := []service.Seq{1, 9, 2001}[i]; out.err != nil || !out.Duplicate || out.Entry.Seq != want {
				t.Fatal(when, id, out)
			}
			other := message(1, 2, id)
			other.Content = "other"
			if out := send(db, other)[0]; !errors.Is(out.err, service.ErrConflict) {
				t.Fatal(when, id, out)
			}
		}
	}
	stored(t, db, message(1, 2, "first"))
	stored(t, db, batchOf(1, 2, "early", 2000)...)
	stored(t, db, batchOf(2, 1, "late", 1300)...)
	again("at once")
	clock.advance(5 * time.Minute)
	stored(t, db, batchOf(2, 1, "later", 3000)...)
	stored(t, db, batchOf(3, 4, "elsewhere", 3000)...)
	again("5 minutes later")
	if err := db.Crash(); err != nil {
		t.Fatal(err)
	}
	db = open(t, dir, o)
	again("after a crash")
	clock.advance(4*time.Minute + 50*time.Second)
	again("almost 10 minutes later")
	closeDB(t, db)
	db = open(t, dir, o)
	again("after a stop")
	if s := db.Stats(); s.LateEntries < 4000 || s.LateSeconds != 0 {
		t.Errorf("%d late entries for %d s", s.LateEntries, s.LateSeconds)
	}
	clock.advance(11 * time.Minute)
	send(db, message(1, 2, "tick"))
	clock.advance(11 * time.Minute)
	send(db, message(1, 2, "tock"))
	if s := db.Stats(); s.LateEntries > 512 || s.LateSeconds != 11*60 { // what left the last 1,024 just now
		t.Errorf("%d late entries for %d s when all are too old", s.LateEntries, s.LateSeconds)
	}
	closeDB(t, db)
	db = open(t, dir, o)
	send(db, message(1, 2, "tack"))
	if s := db.Stats(); s.LateEntries > 256 {
		t.Errorf("%d late entries are read again when all are too old", s.LateEntries)
	}
	if h := headOf(t, db, c); h.Last != 6304 {
		t.Errorf("%+v", h)
	}
}

func TestLateMessagesHaveABudget(t *testing.T) {
	o := small()
	o.DedupLateBytes = 64 << 10 // two generations of 4,096 slots, half full
	db := open(t, t.TempDir(), o)
	for round := range 8 {
		stored(t, db, batchOf(1, 2, fmt.Sprint(round, "-"), 2500)...)
		if n := db.Stats().LateEntries; n > 4096 {
			t.Fatalf("%d late entries", n)
		}
		last := fmt.Sprint(round, "-", 2499)
		for _, id := range []string{last, fmt.Sprint(round, "-", 2500-1024), fmt.Sprint(round, "-", 0)} {
			if out := send(db, message(1, 2, id))[0]; !out.Duplicate {
				t.Fatal(id, out)
			}
		}
	}
	if n := db.Stats().LateEntries; n < 2048 {
		t.Errorf("%d late entries", n)
	}
}

// Whatever happens in between, a message of the last ten minutes is known.
func TestEveryLateMessageIsKnown(t *testing.T) {
	for _, o := range []storage.Options{small(), tight()} {
		random := rand.New(rand.NewPCG(3, uint64(o.PendingPostings)))
		dir, clock := t.TempDir(), newHands()
		o.Clock = clock.now
		db := open(t, dir, o)
		type sent struct {
			message service.Message
			seq     service.Seq
			at      time.Time
		}
		var all []sent
		for step := range 400 {
			clock.advance(time.Duration(random.IntN(4000)) * time.Millisecond)
			from := service.UserID(1 + random.IntN(3)*random.IntN(2))
			ms := batchOf(from, from+10, fmt.Sprint(step, "-"), 1+random.IntN(150))
			for i, out := range send(db, ms...) {
				if out.err != nil || out.Duplicate {
					t.Fatal(out)
				}
				all = append(all, sent{ms[i], out.Entry.Seq, clock.now()})
			}
			for range 20 {
				old := all[len(all)-1-random.IntN(min(len(all), 20_000))]
				if clock.now().Sub(old.at) >= 10*time.Minute {
					continue
				}
				if out := send(db, old.message)[0]; out.err != nil || !out.Duplicate || out.Entry.Seq != old.seq {
					t.Fatalf("step %d: %+v, is %+v", step, out, old)
				}
			}
			switch random.IntN(25) {
			case 0:
				closeDB(t, db)
				db = open(t, dir, o)
			case 1:
				_ = db.Crash()
				db = open(t, dir, o)
			}
		}
		closeDB(t, db)
	}
}
