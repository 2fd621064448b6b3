//go:build linux

package storage_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
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

// TestADiskThatIsFullToTheLastByte: without a low-water mark the database cannot grow any more. The store
// stops, and everything that it acknowledged is there when it opens with space again.
func TestADiskThatIsFullToTheLastByte(t *testing.T) {
	dir := smallDisk(t, 48)
	data := filepath.Join(dir, "data")
	var fatal atomic.Bool
	db := open(t, data, storage.Options{JournalSize: 1 << 20, MmapSize: 1 << 28, MinFree: -1, OnFatal: func(error) { fatal.Store(true) }})
	remove := fill(t, dir, 40)
	acked := 0
	for i := 0; !fatal.Load(); i++ {
		if i == 100_000 {
			t.Fatal("the disk never was full")
		}
		m := message(1, 2, fmt.Sprint("m", i))
		m.Content = fmt.Sprintf("%01000d", i)
		if o := send(db, m)[0]; o.err == nil {
			acked++
		}
	}
	if o := send(db, message(1, 2, "too late"))[0]; o.err == nil {
		t.Error("a failed store acknowledges")
	}
	_ = db.Close() // says what failed
	remove()
	db = open(t, data, storage.Options{JournalSize: 1 << 20, MmapSize: 1 << 28, MinFree: -1})
	defer closeDB(t, db)
	entries, err := db.Read(context.Background(), service.Pair(1, 2), 1, acked+10, 1<<30, service.Forward)
	if err != nil || len(entries) < acked {
		t.Errorf("%d of %d acknowledged entries are there, %v", len(entries), acked, err)
	}
}
