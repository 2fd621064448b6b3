//go:build linux

package storage_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/msgserver/msgserver/service"
	"github.com/msgserver/msgserver/storage"
)

// smallDisk is a directory on a file system of its own.
func smallDisk(t *testing.T, mib int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", mib)); err != nil {
		t.Skipf("cannot mount a tmpfs (it needs root): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestTheFileSystemHasItsName(t *testing.T) {
	db := open(t, filepath.Join(smallDisk(t, 64), "data"), storage.Options{JournalSize: 1 << 20, MmapSize: 1 << 28, MinFree: -1})
	defer closeDB(t, db) // before the disk goes
	if name := db.FileSystem(); name != "tmpfs" {
		t.Errorf("a tmpfs is called %q", name)
	}
}

// fill takes space away until remove is called.
func fill(t *testing.T, dir string, mib int) (remove func()) {
	t.Helper()
	path := filepath.Join(dir, "filler")
	if err := os.WriteFile(path, make([]byte, mib<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

func TestANearlyFullDiskIsReadOnlyAndRecovers(t *testing.T) {
	dir := smallDisk(t, 64)
	data := filepath.Join(dir, "data")
	db := open(t, data, storage.Options{JournalSize: 1 << 20, MmapSize: 1 << 28, MinFree: 16 << 20})
	defer closeDB(t, db) // before the disk goes
	if o := send(db, message(1, 2, "before"))[0]; o.err != nil {
		t.Fatal(o.err)
	}
	remove := fill(t, dir, 50)
	await(t, "read-only", func() bool { return !db.Healthy() })
	if o := send(db, message(1, 2, "meanwhile"))[0]; !errors.Is(o.err, service.ErrUnavailable) {
		t.Errorf("on a full disk: %v", o.err)
	}
	if _, err := mark(db, service.Mark{User: 2, Conv: service.Pair(1, 2), State: service.StateRead, Seq: 1}); !errors.Is(err, service.ErrUnavailable) {
		t.Errorf("a receipt on a full disk: %v", err)
	}
	if got := seqsOf(t, db, service.Pair(1, 2), 1, 10, service.Forward); got != "1-1" {
		t.Errorf("reads say %s", got)
	}
	remove()
	await(t, "writable again", db.Healthy)
	if o := send(db, message(1, 2, "after"))[0]; o.err != nil || o.Entry.Seq != 2 {
		t.Errorf("after: %+v", o)
	}
}

// crammed is a filler that leaves no page free.
func crammed(t *testing.T, dir string) (remove func()) {
	t.Helper()
	path := filepath.Join(dir, "filler")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// roomy are options without a low-water mark.
func roomy() storage.Options {
	return storage.Options{JournalSize: 1 << 20, MmapSize: 1 << 28, MinFree: -1}
}

// large is a message that soon fills a disk.
func large(id string) service.Message {
	m := message(1, 2, id)
	m.Content = fmt.Sprintf("%01000s", id)
	return m
}

// stored is the ids of a conversation.
func storedAt(t *testing.T, db *storage.DB) (ids []string) {
	t.Helper()
	for _, e := range read(t, db, service.Pair(1, 2)) {
		ids = append(ids, e.MsgID)
	}
	return ids
}

// TestAFullDiskKilledTheStore: without a low-water mark the database cannot grow any more. That stopped the server,
// and it did not start again. Now it takes no writes until there is space.
func TestAFullDiskKilledTheStore(t *testing.T) {
	dir := smallDisk(t, 48)
	data := filepath.Join(dir, "data")
	o := roomy()
	o.OnFatal = func(err error) { t.Errorf("fatal: %v", err) }
	db := open(t, data, o)
	defer func() { closeDB(t, db) }() // before the disk goes
	send(db, large("0"))
	removeFiller := fill(t, dir, 40)
	acked := []string{"0"}
	for full := false; !full; {
		id := fmt.Sprint(len(acked))
		switch o := send(db, large(id))[0]; {
		case o.err == nil:
			acked = append(acked, id)
		case errors.Is(o.err, service.ErrUnavailable):
			full = true
		case !errors.Is(o.err, service.ErrBusy):
			t.Fatal(o.err)
		}
		if len(acked) == 100_000 {
			t.Fatal("the disk never was full")
		}
	}
	if !db.Stats().ReadOnly || db.Healthy() {
		t.Error("healthy on a full disk")
	}
	if got := storedAt(t, db); !slices.Equal(got, acked) {
		t.Errorf("%d entries can be read, %d were acknowledged", len(got), len(acked))
	}
	if err := db.Backup(context.Background(), io.Discard); !errors.Is(err, service.ErrUnavailable) {
		t.Errorf("a backup of what the database lacks: %v", err)
	}
	// Closed and opened on the full disk, it is the same.
	if err := db.Close(); err == nil || !strings.Contains(err.Error(), "stays in the journal") {
		t.Errorf("close: %v", err)
	}
	for range 2 {
		db = open(t, data, roomy())
		await(t, "read-only", func() bool { return db.Stats().ReadOnly })
		if got := storedAt(t, db); !slices.Equal(got, acked) {
			t.Errorf("%d entries can be read, %d were acknowledged", len(got), len(acked))
		}
		if err := db.Crash(); err != nil {
			t.Error(err)
		}
	}
	db = open(t, data, o)
	removeFiller()
	await(t, "writable again", func() bool { return send(db, large("x"))[0].err == nil })
	if got := storedAt(t, db); !slices.Equal(got, append(acked, "x")) {
		t.Errorf("%d entries, %d were acknowledged", len(got), len(acked)+1)
	}
	closeDB(t, db)
	if _, err := storage.Check(data, nil); err != nil {
		t.Error(err)
	}
	db = open(t, data, o)
}

// TestAFullDiskAtTheFirstStart leaves nothing behind.
func TestAFullDiskAtTheFirstStart(t *testing.T) {
	for _, mib := range []int{0, 1, 2, 3} {
		t.Run(fmt.Sprint(mib, " MiB"), func(t *testing.T) {
			dir := smallDisk(t, 4)
			data := filepath.Join(dir, "data")
			removeFiller := func() { remove(t, dir, "filler") }
			if mib == 0 {
				removeFiller = crammed(t, dir)
			} else {
				fill(t, dir, 4-mib)
			}
			o := roomy()
			o.JournalSize = 2 << 20
			db, err := storage.Open(data, o)
			if err == nil {
				closeDB(t, db)
				t.Fatal("it opens")
			}
			if !errors.Is(err, syscall.ENOSPC) || strings.Count(err.Error(), "\n") > 0 {
				t.Errorf("it says %v", err)
			}
			left, err := os.ReadDir(data)
			if err != nil && !errors.Is(err, os.ErrNotExist) || len(left) > 1 || len(left) == 1 && left[0].Name() != "lock" {
				t.Errorf("it left %v, %v", left, err)
			}
			removeFiller()
			o.JournalSize = 256 << 10
			db = open(t, data, o)
			defer closeDB(t, db)
			if o := send(db, message(1, 2, "a"))[0]; o.err != nil {
				t.Error(o.err)
			}
		})
	}
}

// TestAStoreIsOpenedOnADiskWithoutAFreePage and reads, also when nothing has to be applied.
func TestAStoreIsOpenedOnADiskWithoutAFreePage(t *testing.T) {
	dir := smallDisk(t, 16)
	data := filepath.Join(dir, "data")
	db := open(t, data, roomy())
	send(db, large("a"))
	closeDB(t, db)
	removeFiller := crammed(t, dir)
	db = open(t, data, roomy())
	defer func() { closeDB(t, db) }()
	if got := storedAt(t, db); !slices.Equal(got, []string{"a"}) {
		t.Error(got)
	}
	removeFiller()
	await(t, "writable", func() bool { return send(db, large("b"))[0].err == nil })
}
