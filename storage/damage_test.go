package storage_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"github.com/msgserver/msgserver/service"
	"github.com/msgserver/msgserver/storage"
)

// tamper changes a closed store's file through bbolt.
func tamper(t *testing.T, dir string, fn func(*bbolt.Tx) error) {
	t.Helper()
	b, err := bbolt.Open(filepath.Join(dir, "msgserver.db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(b.Update(fn), b.Close()); err != nil {
		t.Fatal(err)
	}
}

// spoil changes a bit of the value under the third key of the log.
func spoil(tx *bbolt.Tx) error {
	key := []byte{0, 0, 0, 0, 0, 0, 0, 3}
	value := append([]byte{}, tx.Bucket([]byte("log")).Get(key)...)
	value[len(value)/2] ^= 1
	return tx.Bucket([]byte("log")).Put(key, value)
}

func TestADamagedRecordIsNamedAndNotSkipped(t *testing.T) {
	for _, swept := range []bool{false, true} {
		t.Run(fmt.Sprintf("swept=%v", swept), func(t *testing.T) {
			dir := t.TempDir()
			o := small()
			if swept {
				o.PendingPostings = 1
			}
			var reports []error
			o.OnDamage = func(err error) { reports = append(reports, err) }
			db := open(t, dir, o)
			for i := range 5000 {
				send(db, message(1, 2, fmt.Sprint(i)))
			}
			closeDB(t, db)
			tamper(t, dir, spoil)
			for range 2 {
				db = open(t, dir, o)
				for range 2 {
					_, err := db.Read(context.Background(), service.Pair(1, 2), 1, 10, 1<<20, service.Forward)
					name := fmt.Sprintf("entry 3 of conversation %x: record 3 ", service.Pair(1, 2))
					if !errors.Is(err, service.ErrDamaged) || !strings.Contains(err.Error(), name) {
						t.Fatal(err)
					}
				}
				if es, err := db.Read(context.Background(), service.Pair(1, 2), 4, 4997, 1<<20, service.Forward); err != nil || len(es) != 4997 || es[0].MsgID != "3" {
					t.Fatal(len(es), err)
				}
				if len(reports) != 1 || !strings.Contains(reports[0].Error(), "record 3 ") || db.Stats().Damaged != 1 {
					t.Fatal(reports, db.Stats().Damaged)
				}
				if o := send(db, message(1, 2, fmt.Sprint("more", len(reports), swept)))[0]; o.err != nil || o.Entry.Seq != 5001 {
					t.Fatal(o)
				}
				reports = nil
				closeDB(t, db)
			}
		})
	}
}

// One record with a bad checksum that had to be read again kept the server down, and so did one that had to expire.
func TestDamageAnywhereInTheLog(t *testing.T) {
	const convs, each = 20, 150
	conv := func(i int) (from, to service.UserID) { return service.UserID(100 + 2*i), service.UserID(101 + 2*i) }
	for seed := range uint64(8) {
		for _, pending := range []int{1, 100, 1 << 20} {
			t.Run(fmt.Sprintf("seed=%d,pending=%d", seed, pending), func(t *testing.T) {
				random := rand.New(rand.NewPCG(seed, 7))
				dir := t.TempDir()
				o := small()
				o.PendingPostings, o.JournalSize = pending, 64<<10
				db := open(t, dir, o)
				for n := range each {
					var ms []service.Message
					for i := range convs {
						from, to := conv(i)
						ms = append(ms, message(from, to, fmt.Sprint(n)))
					}
					send(db, ms...)
				}
				closeDB(t, db)
				hit := map[string]bool{}
				tamper(t, dir, func(tx *bbolt.Tx) error {
					for range 1 + random.IntN(60) {
						gid := 1 + random.IntN(convs*each)
						if random.IntN(3) == 0 {
							gid = convs*each - random.IntN(3*convs) // close to the end
						}
						if err := rot(tx, random, gid, seed%2 == 0); err != nil {
							return err
						}
						hit[fmt.Sprint((gid-1)%convs, "/", (gid-1)/convs+1)] = true
					}
					return nil
				})
				for life := range 3 {
					db = open(t, dir, o)
					for i := range convs {
						from, to := conv(i)
						if o := send(db, message(from, to, fmt.Sprint("new", life)))[0]; o.err != nil || o.Entry.Seq != service.Seq(each+life+1) {
							t.Fatalf("conversation %d: %+v", i, o)
						}
						lookAround(t, db, service.Pair(from, to), each+life+1, func(seq int) bool { return hit[fmt.Sprint(i, "/", seq)] })
					}
					if life == 1 {
						_ = db.Crash()
					} else {
						closeDB(t, db)
					}
				}
			})
		}
	}
}

// rot changes a bit of a record: of its text, so that it still says what it is, or anywhere.
func rot(tx *bbolt.Tx, random *rand.Rand, gid int, text bool) error {
	key := binary.BigEndian.AppendUint64(nil, uint64(gid))
	value := bytes.Clone(tx.Bucket([]byte("log")).Get(key))
	at := len(value) - 5 - random.IntN(10)
	if !text && gid < 2000 { // what is not the end of a conversation may lie about everything
		at = random.IntN(len(value))
	}
	value[at] ^= 1 << random.IntN(8)
	return tx.Bucket([]byte("log")).Put(key, value)
}

// lookAround reads every entry of a conversation by itself, both ways, and counts the unread.
func lookAround(t *testing.T, db *storage.DB, c service.ConvID, last int, damaged func(seq int) bool) {
	t.Helper()
	ctx := context.Background()
	for seq := 1; seq <= last; seq++ {
		es, err := db.Read(ctx, c, service.Seq(seq), 1, 1<<20, service.Forward)
		if errors.Is(err, service.ErrDamaged) && damaged(seq) {
			continue
		}
		if err != nil || len(es) != 1 || es[0].Seq != service.Seq(seq) || seq <= 150 && es[0].MsgID != fmt.Sprint(seq-1) {
			t.Fatal(seq, es, err)
		}
	}
	if h := headOf(t, db, c); h.First != 1 || h.Last != service.Seq(last) {
		t.Fatal(h)
	}
	if n, err := db.Unread(ctx, 1, c, 0, []service.Span{{From: 1, To: service.MaxSeq}}, 1<<20); err != nil || n != last {
		t.Fatal(n, err)
	}
}

func TestDamagedReceiptsLeaveTheOthers(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir, small())
	c := service.Pair(1, 2)
	send(db, message(1, 2, "a"), message(1, 2, "b"))
	for _, m := range []service.Mark{{User: 2, Conv: c, State: service.StateDelivered, Seq: 1}, {User: 2, Conv: c, State: service.StateRead, Seq: 2}, {User: 1, Conv: c, State: service.StateRead, Seq: 2}} {
		if _, err := mark(db, m); err != nil {
			t.Fatal(err)
		}
	}
	closeDB(t, db)
	tamper(t, dir, func(tx *bbolt.Tx) error {
		key := []byte{0, 0, 0, 0, 0, 0, 0, 4}
		return tx.Bucket([]byte("receipts")).Put(key, []byte("no receipt"))
	})
	var reports []error
	o := small()
	o.OnDamage = func(err error) { reports = append(reports, err) }
	db = open(t, dir, o)
	ms, err := db.MemberMarks(context.Background(), c, []service.UserID{1, 2})
	if want := []service.Marks{{Delivered: 2, Read: 2}, {Delivered: 1}}; err != nil || !cmp.Equal(ms, want) || len(reports) != 1 {
		t.Fatal(ms, err, reports)
	}
	if m, err := mark(db, service.Mark{User: 2, Conv: c, State: service.StateRead, Seq: 2}); err != nil || m.After.Read != 2 {
		t.Fatal(m, err)
	}
}

func TestACutFileIsRefused(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir, small())
	for i := range 500 {
		send(db, message(1, 2, fmt.Sprint(i)))
	}
	closeDB(t, db)
	path := filepath.Join(dir, "msgserver.db")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{0, 100, 4096, 8192, 20000, 40000} {
		if err := os.WriteFile(path, whole[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		if db, err := storage.Open(dir, small()); err == nil {
			_ = db.Close()
			t.Errorf("opened a file that was cut to %d bytes", size)
		} else if !strings.Contains(err.Error(), path) {
			t.Errorf("the error does not name the file: %v", err)
		}
	}
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if n := len(read(t, open(t, dir, small()), service.Pair(1, 2))); n != 500 {
		t.Fatalf("%d entries", n)
	}
}

func TestANewerFormatIsRefused(t *testing.T) {
	dir := t.TempDir()
	closeDB(t, open(t, dir, small()))
	tamper(t, dir, func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("meta")).Put([]byte("format"), []byte{0, 0, 0, 0, 0, 0, 0, 99})
	})
	if _, err := storage.Open(dir, small()); err == nil || !strings.Contains(err.Error(), "format 99") {
		t.Fatal(err)
	}
}
