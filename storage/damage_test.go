package storage_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
			db := open(t, dir, o)
			for i := range 5000 {
				send(db, message(1, 2, fmt.Sprint(i)))
			}
			closeDB(t, db)
			tamper(t, dir, spoil)
			db, err := storage.Open(dir, o)
			if !swept {
				if err == nil || !strings.Contains(err.Error(), "record 3 ") {
					t.Fatal(err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer closeDB(t, db)
			_, err = db.Read(context.Background(), service.Pair(1, 2), 1, 10, 1<<20, service.Forward)
			if err == nil || !strings.Contains(err.Error(), "record 3 ") {
				t.Fatal(err)
			}
			if es, err := db.Read(context.Background(), service.Pair(1, 2), 4, 5000, 1<<20, service.Forward); err != nil || len(es) != 4997 {
				t.Fatal(len(es), err)
			}
		})
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
