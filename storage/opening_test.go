package storage_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/msgserver/msgserver/service"
	"github.com/msgserver/msgserver/storage"
)

// files are those of a database.
var files = []string{"msgserver.db", "journal-0", "journal-1"}

// contents reads files of a directory.
func contents(t *testing.T, dir string, names ...string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for _, name := range names {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		all[name] = b
	}
	return all
}

// lay makes a directory with files.
func lay(t *testing.T, all map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, b := range all {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func remove(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

// crashed is what a killed store leaves: n messages, of which the last few are in the journal only, and both
// files of the journal in use.
func crashed(t *testing.T, n int) (dir string, ids []string) {
	t.Helper()
	dir = t.TempDir()
	o := small()
	o.JournalSize = 32 << 10
	stall, holding := make(chan struct{}), make(chan struct{}, 1)
	db := openFaulty(t, dir, o, storage.Faults{Apply: func() error {
		select {
		case holding <- struct{}{}: // the first goes through
			return nil
		default:
		}
		<-stall
		return errDisk
	}})
	for i := range n {
		ids = append(ids, fmt.Sprint(i))
		if o := send(db, message(1, 2, ids[i]))[0]; o.err != nil {
			t.Fatal(i, o.err)
		}
		if i == 0 {
			await(t, "applied", func() bool { return db.Stats().TailEntries == 0 })
		}
	}
	close(stall)
	_ = db.Crash()
	return dir, ids
}

// TestTheJournalWasUsedAgainBeforeBboltWasDurable: what a killed process left in the page cache only was taken for
// durable when the next one had nothing to apply.
func TestTheJournalWasUsedAgainBeforeBboltWasDurable(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir, small())
	send(db, message(1, 2, "a"))
	await(t, "applied", func() bool { return db.Stats().TailEntries == 0 })
	if err := db.Crash(); err != nil && !strings.Contains(err.Error(), "by a test") {
		t.Fatal(err)
	}
	before := contents(t, dir, files...)
	if db, err := storage.OpenFaulty(dir, small(), storage.Faults{Confirm: func() error { return errDisk }}); !errors.Is(err, errDisk) {
		_ = db.Close()
		t.Fatalf("opened although nothing is durable: %v", err)
	}
	for name, b := range contents(t, dir, files...) {
		if !bytes.Equal(b, before[name]) {
			t.Errorf("%s was written first", name)
		}
	}
	// The page is written again, not only synced: after a sync that failed it counts as clean.
	path, long := filepath.Join(dir, "msgserver.db"), time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, long, long); err != nil {
		t.Fatal(err)
	}
	db = open(t, dir, small())
	info, err := os.Stat(path)
	if err != nil || time.Since(info.ModTime()) > time.Minute {
		t.Errorf("opening wrote nothing: %v, %v", info.ModTime(), err)
	}
	expect(t, db, service.Pair(1, 2), "a")
}

// TestALostJournalWasTakenForANewOne: thousands of acknowledged messages were gone without a word, and those of
// another database were served.
func TestALostJournalWasTakenForANewOne(t *testing.T) {
	dir, ids := crashed(t, 60)
	whole := contents(t, dir, files...)
	otherDir, _ := crashed(t, 50)
	other := contents(t, otherDir, files...)
	for _, c := range []struct {
		name  string
		spoil func(dir string)
		names string // what the error names
	}{
		{"journal-0 missing", func(dir string) { remove(t, dir, "journal-0") }, "journal-0"},
		{"journal-1 missing", func(dir string) { remove(t, dir, "journal-1") }, "journal-1"},
		{"both missing", func(dir string) { remove(t, dir, "journal-0", "journal-1") }, "journal-"},
		{"another database's", func(dir string) {
			for _, name := range []string{"journal-0", "journal-1"} {
				if err := os.WriteFile(filepath.Join(dir, name), other[name], 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}, "journal-0"},
		{"one of another database", func(dir string) {
			if err := os.WriteFile(filepath.Join(dir, "journal-1"), other["journal-1"], 0o600); err != nil {
				t.Fatal(err)
			}
		}, "journal-1"},
		{"both zeroed", func(dir string) {
			for _, name := range []string{"journal-0", "journal-1"} {
				if err := os.WriteFile(filepath.Join(dir, name), make([]byte, 32<<10), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}, "journal-0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := lay(t, whole)
			c.spoil(dir)
			db, err := storage.Open(dir, small())
			if err == nil {
				_ = db.Close()
				t.Fatal("it opens")
			}
			if says := err.Error(); !strings.Contains(says, filepath.Join(dir, c.names)) || !strings.Contains(says, "--accept-journal-loss") {
				t.Errorf("it says %v", err)
			}
			o := small()
			o.AcceptJournalLoss = true
			db = open(t, dir, o)
			if db.JournalLoss() == nil {
				t.Error("it does not say what was accepted")
			}
			epoch, n := db.Epoch(), len(read(t, db, service.Pair(1, 2)))
			if n == 0 || n >= len(ids) {
				t.Errorf("%d entries, and %d were acknowledged", n, len(ids))
			}
			if o := send(db, message(1, 2, "new"))[0]; o.err != nil || int(o.Entry.Seq) != n+1 {
				t.Error(o)
			}
			closeDB(t, db)
			db = open(t, dir, small()) // from now on all is well
			expect(t, db, service.Pair(1, 2), append(append([]string{}, ids[:n]...), "new")...)
			if db.Epoch() != epoch || db.JournalLoss() != nil {
				t.Errorf("epoch %s after %s, loss %v", db.Epoch(), epoch, db.JournalLoss())
			}
			closeDB(t, db)
			if _, err := storage.Check(dir, nil); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("nothing is wrong", func(t *testing.T) {
		o := small()
		o.AcceptJournalLoss = true
		db := open(t, lay(t, whole), o)
		expect(t, db, service.Pair(1, 2), ids...)
		if db.JournalLoss() != nil {
			t.Error(db.JournalLoss())
		}
	})
}

// TestAnEmptyDatabaseWasMadeBesideAJournal: whoever had lost the database was served an empty one.
func TestAnEmptyDatabaseWasMadeBesideAJournal(t *testing.T) {
	dir, _ := crashed(t, 10)
	remove(t, dir, "msgserver.db")
	for _, accept := range []bool{false, true} {
		o := small()
		o.AcceptJournalLoss = accept
		if db, err := storage.Open(dir, o); err == nil {
			_ = db.Close()
			t.Fatal("it opens")
		} else if !strings.Contains(err.Error(), filepath.Join(dir, "msgserver.db")+" is missing") {
			t.Error(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "msgserver.db")); err == nil {
		t.Error("a database was made")
	}
}

// TestTheFirstStartIsCutOff opens whatever a crash may leave of it.
func TestTheFirstStartIsCutOff(t *testing.T) {
	made := t.TempDir()
	closeDB(t, open(t, made, small()))
	tamper(t, made, func(tx *bbolt.Tx) error { return tx.Bucket([]byte("meta")).Delete([]byte("journal")) })
	all := contents(t, made, files...)
	db, zero, half := all["msgserver.db"], all["journal-0"], all["journal-0"][:5000]
	one := make([]byte, len(zero))
	for name, left := range map[string]map[string][]byte{
		"nothing":                      {},
		"half a database":              {"msgserver.db.new": db[:5000]},
		"a database without its name":  {"msgserver.db.new": db},
		"a database":                   {"msgserver.db": db},
		"half of journal-1":            {"msgserver.db": db, "journal-1.tmp": half},
		"journal-1":                    {"msgserver.db": db, "journal-1": one},
		"half of journal-0":            {"msgserver.db": db, "journal-1": one, "journal-0.tmp": half},
		"all, and nobody has heard it": {"msgserver.db": db, "journal-1": one, "journal-0": zero},
	} {
		t.Run(name, func(t *testing.T) {
			dir := lay(t, left)
			db := open(t, dir, small())
			send(db, message(1, 2, "a"))
			if err := db.Crash(); err != nil && !strings.Contains(err.Error(), "by a test") {
				t.Fatal(err)
			}
			expect(t, open(t, dir, small()), service.Pair(1, 2), "a")
		})
	}
}

// TestAnOlderFormatIsRefused: nothing of the first format was ever released, and it must not look like damage.
func TestAnOlderFormatIsRefused(t *testing.T) {
	dir := t.TempDir()
	closeDB(t, open(t, dir, small()))
	for _, name := range []string{"journal-0", "journal-1"} {
		b := contents(t, dir, name)[name]
		if string(b[:8]) == "msgjrnl\x02" {
			b[7], b[4096+7] = 1, 1
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, accept := range []bool{false, true} {
		o := small()
		o.AcceptJournalLoss = accept
		if _, err := storage.Open(dir, o); err == nil || !strings.Contains(err.Error(), "is a journal of format 1") {
			t.Error(err)
		}
	}
	tamper(t, dir, func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("meta")).Put([]byte("format"), []byte{0, 0, 0, 0, 0, 0, 0, 1})
	})
	if _, err := storage.Open(dir, small()); err == nil || !strings.Contains(err.Error(), "has format 1") {
		t.Error(err)
	}
}

func TestTheEpochIsThatOfTheData(t *testing.T) {
	dir := t.TempDir()
	epoch := func(dir string) string {
		db := open(t, dir, small())
		defer closeDB(t, db)
		return db.Epoch()
	}
	first := epoch(dir)
	if len(first) != 32 || first == epoch(t.TempDir()) {
		t.Fatalf("epoch %q", first)
	}
	if _, err := storage.Compact(dir, nil); err != nil {
		t.Fatal(err)
	}
	if again := epoch(dir); again != first {
		t.Errorf("%s became %s", first, again)
	}
	var file bytes.Buffer
	if err := storage.BackupDir(context.Background(), dir, &file); err != nil {
		t.Fatal(err)
	}
	if _, err := storage.Restore(dir, bytes.NewReader(file.Bytes()), nil); err != nil {
		t.Fatal(err)
	}
	if after := epoch(dir); after == first {
		t.Error("a restored database has the epoch of the one that it replaces")
	}
}
