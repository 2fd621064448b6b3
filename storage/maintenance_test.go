package storage_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"github.com/msgserver/msgserver/service"
	"github.com/msgserver/msgserver/storage"
)

// furnish puts messages of several conversations, a group and marks into a store.
func furnish(t *testing.T, db *storage.DB, messages int) {
	t.Helper()
	var batch []service.Message
	for i := range messages {
		batch = append(batch, message(service.UserID(i%7), service.UserID(i%3+10), fmt.Sprint("m", i)))
	}
	for _, o := range send(db, batch...) {
		if o.err != nil {
			t.Fatal(o.err)
		}
	}
	group := service.GroupChange{ID: service.NewGroupID(time.Now()), Kind: service.KindGroupCreated, By: 1, Name: "g", Creator: 1, Add: []service.UserID{1, 2, 3}}
	if _, err := change(db, group); err != nil {
		t.Fatal(err)
	}
	if _, err := mark(db, service.Mark{User: 10, Conv: service.Pair(0, 10), State: service.StateRead, Seq: 1}); err != nil {
		t.Fatal(err)
	}
}

// all is every entry of a store that furnish made, by conversation.
func all(t *testing.T, db *storage.DB) map[service.ConvID][]service.Entry {
	t.Helper()
	ctx := context.Background()
	entries := map[service.ConvID][]service.Entry{}
	for u := range service.UserID(13) {
		refs, _, err := db.Conversations(ctx, u, "", 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, ref := range refs {
			if entries[ref.Conv], err = db.Read(ctx, ref.Conv, 1, 100_000, 1<<30, service.Forward); err != nil {
				t.Fatal(err)
			}
		}
	}
	return entries
}

func TestBackupAndRestore(t *testing.T) {
	dir, target := t.TempDir(), t.TempDir()
	db := open(t, dir, small())
	furnish(t, db, 3000)
	want := all(t, db)

	// Others go on writing while the backup is made.
	stop := make(chan struct{})
	var writers sync.WaitGroup
	writers.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				send(db, message(90, 91, fmt.Sprint("later", i)))
			}
		}
	})
	var file bytes.Buffer
	err := db.Backup(context.Background(), &file)
	close(stop)
	writers.Wait()
	if err != nil {
		t.Fatal(err)
	}
	closeDB(t, db)
	if _, err := storage.VerifyBackup(bytes.NewReader(file.Bytes())); err != nil {
		t.Fatal(err)
	}

	old := open(t, target, small())
	furnish(t, old, 10)
	closeDB(t, old)
	kept, err := storage.Restore(target, bytes.NewReader(file.Bytes()), nil)
	if err != nil || kept == "" {
		t.Fatalf("kept %q, %v", kept, err)
	}
	if _, err := os.Stat(filepath.Join(kept, "msgserver.db")); err != nil {
		t.Errorf("what was there is gone: %v", err)
	}
	restored := open(t, target, small())
	if diff := cmp.Diff(want, all(t, restored)); diff != "" {
		t.Error(diff)
	}
	// It goes on where it was: the same message is known, a new one gets the next seq.
	again := send(restored, message(0, 10, "m0"), message(0, 10, "new"))
	if !again[0].Duplicate || again[1].err != nil || int(again[1].Entry.Seq) != len(want[service.Pair(0, 10)])+1 {
		t.Errorf("%+v", again)
	}
	closeDB(t, restored)
	if _, err := storage.Check(target, nil); err != nil {
		t.Error(err)
	}
}

// stuckWriter takes nothing until it is let go.
type stuckWriter struct{ began, let chan struct{} }

func (w stuckWriter) Write(b []byte) (int, error) {
	select {
	case w.began <- struct{}{}:
	default:
	}
	<-w.let
	return len(b), nil
}

// TestCloseHungOnAStuckBackup: bbolt waits for its readers, and the backup's client did not read on.
func TestCloseHungOnAStuckBackup(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir, small())
	send(db, message(1, 2, "a"))
	w := stuckWriter{make(chan struct{}, 1), make(chan struct{})}
	result := make(chan error, 1)
	go func() { result <- db.Backup(context.Background(), w) }()
	<-w.began
	send(db, message(1, 2, "b"))
	closed := make(chan error, 1)
	go func() { closed <- db.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it hangs")
	}
	expect(t, open(t, dir, small()), service.Pair(1, 2), "a", "b")
	close(w.let)
	if err := <-result; err == nil {
		t.Error("the backup says that it is whole")
	}
}

func TestABackupEndsWithItsContext(t *testing.T) {
	db := open(t, t.TempDir(), small())
	furnish(t, db, 1000)
	ctx, cancel := context.WithCancel(context.Background())
	w := stuckWriter{make(chan struct{}, 1), make(chan struct{})}
	result := make(chan error, 1)
	go func() { result <- db.Backup(ctx, w) }()
	<-w.began
	cancel()
	close(w.let)
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestADamagedBackupReplacesNothing(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir, small())
	furnish(t, db, 200)
	want := all(t, db)
	var file bytes.Buffer
	if err := db.Backup(context.Background(), &file); err != nil {
		t.Fatal(err)
	}
	closeDB(t, db)
	whole := file.Bytes()
	flipped := func(at int) []byte {
		b := bytes.Clone(whole)
		b[at] ^= 1
		return b
	}
	for name, b := range map[string][]byte{
		"nothing": {}, "something else": []byte("#!/bin/sh\n" + strings.Repeat("x", 100)), "half": whole[:len(whole)/2],
		"without its checksum": whole[:len(whole)-32], "a byte short": whole[:len(whole)-1], "a byte long": append(bytes.Clone(whole), 0),
		"a bit in the middle": flipped(len(whole) / 2), "a bit in the checksum": flipped(len(whole) - 1), "a bit in the beginning": flipped(3),
	} {
		if _, err := storage.Restore(dir, bytes.NewReader(b), nil); !errors.Is(err, storage.ErrBackup) {
			t.Errorf("%s: %v", name, err)
		}
	}
	db = open(t, dir, small())
	if diff := cmp.Diff(want, all(t, db)); diff != "" {
		t.Error(diff)
	}
}

func TestMaintenanceRefusesADirectoryInUse(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir, small())
	furnish(t, db, 10)
	for name, do := range map[string]func() error{
		"check":   func() error { _, err := storage.Check(dir, nil); return err },
		"compact": func() error { _, err := storage.Compact(dir, nil); return err },
		"measure": func() error { _, err := storage.Measure(dir, nil); return err },
		"restore": func() error { _, err := storage.Restore(dir, &bytes.Buffer{}, nil); return err },
		"backup":  func() error { return storage.BackupDir(context.Background(), dir, &bytes.Buffer{}) },
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), fmt.Sprint("process ", os.Getpid())) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := storage.Check(t.TempDir(), nil); err == nil {
		t.Error("an empty directory passes the check")
	}
	empty := t.TempDir()
	if err := storage.BackupDir(context.Background(), empty, &bytes.Buffer{}); err == nil {
		t.Error("an empty directory is backed up")
	}
	if files, err := os.ReadDir(empty); err != nil || len(files) > 0 {
		t.Errorf("the backup made %v, %v", files, err)
	}
}

func TestCompactAndMeasure(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir, small())
	for range 20 {
		furnish(t, db, 500)
	}
	want := all(t, db)
	if err := db.Crash(); err != nil {
		t.Fatal(err)
	}
	calls := 0
	c, err := storage.Compact(dir, func(done, total int64) {
		if calls++; done > total {
			t.Errorf("%d of %d", done, total)
		}
	})
	if err != nil || c.After > c.Before || c.Report.Entries == 0 || c.Report.Groups != 20 {
		t.Fatalf("%+v, %v", c, err)
	}
	s, err := storage.Measure(dir, nil)
	if err != nil || s.Entries != c.Report.Entries || s.Conversations != c.Report.Conversations || len(s.Top) != 10 || s.BytesPerEntry <= 0 {
		t.Errorf("%+v, %v", s, err)
	}
	if s.Top[0].Entries < s.Top[9].Entries || !strings.HasPrefix(s.Top[0].Conversation, "users ") {
		t.Errorf("%+v", s.Top)
	}
	db = open(t, dir, small())
	if diff := cmp.Diff(want, all(t, db)); diff != "" {
		t.Error(diff)
	}
}

func TestCheckFindsDamage(t *testing.T) {
	for name, tc := range map[string]struct {
		spoil func(*bbolt.Tx) error
		says  string
	}{
		"a flipped bit in a record": {func(tx *bbolt.Tx) error {
			k, v := tx.Bucket([]byte("log")).Cursor().Seek([]byte{0, 0, 0, 0, 0, 0, 0, 50})
			v = bytes.Clone(v)
			v[len(v)/2] ^= 1
			return tx.Bucket([]byte("log")).Put(k, v)
		}, "record 50"},
		"a record that is gone": {func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte("log")).Delete([]byte{0, 0, 0, 0, 0, 0, 0, 50})
		}, "behind entry"},
		"a posting that is gone": {func(tx *bbolt.Tx) error {
			k, _ := tx.Bucket([]byte("tails")).Cursor().First()
			return tx.Bucket([]byte("tails")).Delete(k)
		}, "neither in the index"},
		"a member without his list": {func(tx *bbolt.Tx) error {
			k, _ := tx.Bucket([]byte("usergroups")).Cursor().Seek([]byte{0, 0, 0, 0, 0, 0, 0, 2, 1})
			return tx.Bucket([]byte("usergroups")).Delete(k)
		}, "user 2 is a member"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			o := small()
			o.PendingPostings = 1 // everything is indexed soon
			db := open(t, dir, o)
			for range 10 {
				furnish(t, db, 100)
			}
			closeDB(t, db)
			if _, err := storage.Check(dir, nil); err != nil {
				t.Fatal(err)
			}
			bolt, err := bbolt.Open(filepath.Join(dir, "msgserver.db"), 0o600, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(bolt.Update(tc.spoil), bolt.Close()); err != nil {
				t.Fatal(err)
			}
			if _, err := storage.Check(dir, nil); err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("the check says %v", err)
			}
		})
	}
}

// TestCheckEndedAtTheFirstFault: what else was wrong was found one run at a time.
func TestCheckEndedAtTheFirstFault(t *testing.T) {
	dir := t.TempDir()
	o := small()
	o.PendingPostings = 1
	db := open(t, dir, o)
	for range 10 {
		furnish(t, db, 100)
	}
	closeDB(t, db)
	tamper(t, dir, func(tx *bbolt.Tx) error {
		log := tx.Bucket([]byte("log"))
		for gid := byte(10); gid < 60; gid++ {
			key := []byte{0, 0, 0, 0, 0, 0, 0, gid}
			v := bytes.Clone(log.Get(key))
			v[len(v)/2] ^= 1
			if err := log.Put(key, v); err != nil {
				return err
			}
		}
		k, _ := tx.Bucket([]byte("usergroups")).Cursor().Seek([]byte{0, 0, 0, 0, 0, 0, 0, 2, 1})
		return tx.Bucket([]byte("usergroups")).Delete(k)
	})
	r, err := storage.Check(dir, nil)
	if !errors.Is(err, storage.ErrFaulty) || !errors.Is(err, service.ErrDamaged) {
		t.Fatal(err)
	}
	if r.FaultCount < 51 || len(r.Faults) != 20 || r.Entries < 50 {
		t.Errorf("%d faults, %d described, %d entries", r.FaultCount, len(r.Faults), r.Entries)
	}
	if !strings.Contains(r.Faults[0], "record 10 ") || !strings.Contains(r.Faults[1], "record 11 ") {
		t.Errorf("%q", r.Faults)
	}
}

// TestAPipeInThePlaceOfAFileHung: it is no file, nor is a directory, and it is said at once.
func TestAPipeInThePlaceOfAFileHung(t *testing.T) {
	for _, name := range []string{"msgserver.db", "journal-0", "journal-1", "lock"} {
		for kind, put := range map[string]func(path string) error{
			"pipe":         func(path string) error { return syscall.Mkfifo(path, 0o600) },
			"directory":    func(path string) error { return os.Mkdir(path, 0o700) },
			"links":        func(path string) error { return os.Symlink(path, path) },
			"is a link to": func(path string) error { return os.Symlink("/nowhere/at/all", path) },
		} {
			t.Run(name+" "+kind, func(t *testing.T) {
				dir := t.TempDir()
				closeDB(t, open(t, dir, small()))
				remove(t, dir, name)
				if err := put(filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
				for what, do := range map[string]func() error{
					"serve":  func() error { db, err := storage.Open(dir, small()); closeIf(db, err); return err },
					"check":  func() error { _, err := storage.Check(dir, nil); return err },
					"stats":  func() error { _, err := storage.Measure(dir, nil); return err },
					"backup": func() error { return storage.BackupDir(context.Background(), dir, &bytes.Buffer{}) },
				} {
					began := time.Now()
					err := do()
					if err == nil || !strings.Contains(err.Error(), filepath.Join(dir, name)) || !strings.Contains(err.Error(), kind) || time.Since(began) > time.Second {
						t.Errorf("%s after %v: %v", what, time.Since(began), err)
					}
				}
			})
		}
	}
}

// TestAnEmptyFileIsNamed: 0 bytes are no database, and no reason to make a new one.
func TestAnEmptyFileIsNamed(t *testing.T) {
	dir := t.TempDir()
	closeDB(t, open(t, dir, small()))
	path := filepath.Join(dir, "msgserver.db")
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	for what, do := range map[string]func() error{
		"serve": func() error { db, err := storage.Open(dir, small()); closeIf(db, err); return err },
		"check": func() error { _, err := storage.Check(dir, nil); return err },
		"stats": func() error { _, err := storage.Measure(dir, nil); return err },
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), path+" is empty") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
