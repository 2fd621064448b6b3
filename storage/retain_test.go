package storage_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/msgserver/msgserver/service"
	"github.com/msgserver/msgserver/storage"
)

// hands is a clock that a test moves.
type hands struct{ ms atomic.Int64 }

func newHands() *hands {
	h := &hands{}
	h.ms.Store(1_700_000_000_000)
	return h
}

func (h *hands) now() time.Time          { return time.UnixMilli(h.ms.Load()) }
func (h *hands) advance(d time.Duration) { h.ms.Add(d.Milliseconds()) }
func retaining(h *hands) storage.Options {
	o := small()
	o.Clock, o.Retain = h.now, time.Hour
	return o
}

func headOf(t testing.TB, db *storage.DB, c service.ConvID) service.Head {
	t.Helper()
	heads, err := db.Heads(context.Background(), []service.ConvID{c})
	if err != nil {
		t.Fatal(err)
	}
	return heads[0]
}

// awaitFirst waits until everything before seq first of a conversation has expired.
func awaitFirst(t *testing.T, db *storage.DB, c service.ConvID, first service.Seq) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); ; <-tick.C {
		h := headOf(t, db, c)
		if h.First == first {
			return
		}
		if h.First > first || time.Now().After(deadline) {
			t.Fatalf("head %+v, want first %d", h, first)
		}
	}
}

func seqsOf(t *testing.T, db *storage.DB, c service.ConvID, from service.Seq, limit int, dir service.Direction) string {
	t.Helper()
	entries, err := db.Read(context.Background(), c, from, limit, 1<<30, dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) == 0 {
		return "none"
	}
	for i, e := range entries {
		if e.Seq != entries[0].Seq+service.Seq(i) {
			t.Fatalf("hole at %d", e.Seq)
		}
	}
	return fmt.Sprintf("%d-%d", entries[0].Seq, entries[len(entries)-1].Seq)
}

func TestRetention(t *testing.T) {
	dir, clock := t.TempDir(), newHands()
	db := open(t, dir, retaining(clock))
	busy, quiet := service.Pair(1, 2), service.Pair(3, 4)
	write := func(from, to service.UserID, name string, n int) {
		t.Helper()
		var ms []service.Message
		for i := range n {
			ms = append(ms, message(from, to, fmt.Sprint(name, i)))
		}
		for _, o := range send(db, ms...) {
			if o.err != nil {
				t.Fatal(o.err)
			}
		}
	}
	write(1, 2, "old", 300)
	write(3, 4, "quiet", 5)
	clock.advance(40 * time.Minute)
	write(1, 2, "middle", 100)
	if h := headOf(t, db, busy); h.First != 1 || h.Last != 400 {
		t.Fatalf("%+v before anything expired", h)
	}
	clock.advance(40 * time.Minute)
	write(1, 2, "new", 10) // also expires without traffic; then it waits for the ticker
	awaitFirst(t, db, busy, 301)
	awaitFirst(t, db, quiet, 6)

	look := func() {
		t.Helper()
		ctx := context.Background()
		for _, tc := range []struct {
			from  service.Seq
			limit int
			dir   service.Direction
			want  string
		}{
			{1, 50, service.Forward, "301-350"}, {300, 1, service.Forward, "301-301"}, {405, 50, service.Forward, "405-410"}, {411, 5, service.Forward, "none"},
			{service.MaxSeq, 20, service.Backward, "391-410"}, {310, 50, service.Backward, "301-310"}, {300, 50, service.Backward, "none"},
			{1, 1000, service.Forward, "301-410"}, {service.MaxSeq, 1000, service.Backward, "301-410"},
		} {
			if got := seqsOf(t, db, busy, tc.from, tc.limit, tc.dir); got != tc.want {
				t.Errorf("from %d limit %d %d: %s, want %s", tc.from, tc.limit, tc.dir, got, tc.want)
			}
		}
		if h := headOf(t, db, quiet); h.First != 6 || h.Last != 5 {
			t.Errorf("%+v", h)
		}
		if got := seqsOf(t, db, quiet, 1, 10, service.Forward); got != "none" {
			t.Errorf("the quiet conversation has %s", got)
		}
		all := []service.Span{{From: 1, To: service.MaxSeq}}
		if n, err := db.Unread(ctx, 2, busy, 0, all, 9999); err != nil || n != 110 {
			t.Errorf("%d unread, %v", n, err)
		}
		if n, err := db.Unread(ctx, 4, quiet, 0, all, 9999); err != nil || n != 0 {
			t.Errorf("%d unread in the quiet one, %v", n, err)
		}
		if found, err := db.Find(ctx, busy, "old7"); err != nil || len(found) != 0 {
			t.Errorf("found %v, %v", found, err)
		}
	}
	look()
	// What is kept is deduplicated, seqs go on.
	out := send(db, message(1, 2, "middle7"), message(1, 2, "old7"), message(3, 4, "quiet1"))
	if !out[0].Duplicate || out[0].Entry.Seq != 308 || out[1].Duplicate || out[1].Entry.Seq != 411 || out[2].Duplicate || out[2].Entry.Seq != 6 {
		t.Errorf("%+v", out)
	}
	closeDB(t, db)
	if _, err := storage.Check(dir, nil); err != nil {
		t.Fatal(err)
	}
	db = open(t, dir, small()) // without retention: what expired stays so
	if got := seqsOf(t, db, busy, 1, 1000, service.Forward); got != "301-411" {
		t.Errorf("after reopening %s", got)
	}
	if got := seqsOf(t, db, quiet, 1, 10, service.Forward); got != "6-6" {
		t.Errorf("the quiet conversation has %s", got)
	}
}

// TestRetentionWhileReading: whoever reads meanwhile sees no hole and no error.
func TestRetentionWhileReading(t *testing.T) {
	clock := newHands()
	o := retaining(clock)
	o.PendingPostings = 50
	db := open(t, t.TempDir(), o)
	c := service.Pair(1, 2)
	stop := make(chan struct{})
	read := make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				read <- nil
				return
			default:
			}
			for _, dir := range []service.Direction{service.Forward, service.Backward} {
				from := service.Seq(1)
				if dir == service.Backward {
					from = service.MaxSeq
				}
				entries, err := db.Read(context.Background(), c, from, 200, 1<<30, dir)
				for i := range entries {
					if entries[i].Seq != entries[0].Seq+service.Seq(i) {
						err = fmt.Errorf("hole at %d", entries[i].Seq)
					}
				}
				if err != nil {
					read <- err
					return
				}
			}
		}
	}()
	last := service.Seq(0)
	for i := range 200 {
		var ms []service.Message
		for k := range 50 {
			ms = append(ms, message(1, 2, fmt.Sprint(i, "-", k)))
		}
		for _, out := range send(db, ms...) {
			if out.err != nil {
				t.Fatal(out.err)
			}
			if last++; out.Entry.Seq != last {
				t.Fatalf("seq %d, want %d", out.Entry.Seq, last)
			}
		}
		clock.advance(time.Minute)
	}
	close(stop)
	if err := <-read; err != nil {
		t.Fatal(err)
	}
	awaitFirst(t, db, c, last-60*50+1)
}

// A damaged record made the store die at each start, or stopped retention for good when it was the first one.
func TestRetentionPassesDamage(t *testing.T) {
	for i, gids := range [][]int{{1}, {3}, {64}, {1, 2, 3, 63, 64, 65, 128, 4990}, {1, 2, 64, 4990}, {700}} {
		t.Run(fmt.Sprint(i, gids), func(t *testing.T) {
			dir, clock := t.TempDir(), newHands()
			o := retaining(clock)
			if i < 4 {
				o.PendingPostings = 1 // in the index before they rot
			}
			db := open(t, dir, o)
			for range 50 {
				for _, out := range send(db, batchOf(1, 2, fmt.Sprint(headOf(t, db, service.Pair(1, 2)).Last, "-"), 100)...) {
					if out.err != nil {
						t.Fatal(out.err)
					}
				}
			}
			closeDB(t, db)
			tamper(t, dir, func(tx *bbolt.Tx) error {
				for _, gid := range gids {
					if err := rot(tx, rand.New(rand.NewPCG(1, 1)), gid, true); err != nil {
						return err
					}
				}
				return nil
			})
			clock.advance(50 * time.Minute)
			var reports atomic.Int64
			o.OnDamage = func(error) { reports.Add(1) }
			o.OnFatal = func(err error) { t.Error(err) }
			db = open(t, dir, o)
			if out := send(db, message(1, 2, "later"))[0]; out.err != nil || out.Entry.Seq != 5001 {
				t.Fatal(out)
			}
			clock.advance(20 * time.Minute)
			awaitFirst(t, db, service.Pair(1, 2), 5001)
			if n := reports.Load(); n != int64(len(gids)) || db.Stats().Damaged != len(gids) {
				t.Errorf("%d reports, %d counted", n, db.Stats().Damaged)
			}
			closeDB(t, db)
			if _, err := storage.Check(dir, nil); err != nil {
				t.Error(err)
			}
			if n := keys(t, dir, "index"); n > 1 {
				t.Errorf("%d runs are left", n)
			}
		})
	}
}
