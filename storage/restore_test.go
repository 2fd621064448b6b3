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

	"github.com/msgserver/msgserver/service"
	"github.com/msgserver/msgserver/storage"
)

// backupOf is a backup of a database with these messages.
func backupOf(t *testing.T, ids ...string) []byte {
	t.Helper()
	db := open(t, t.TempDir(), small())
	for _, id := range ids {
		send(db, message(1, 2, id))
	}
	var file bytes.Buffer
	if err := db.Backup(context.Background(), &file); err != nil {
		t.Fatal(err)
	}
	closeDB(t, db)
	return file.Bytes()
}

var errCut = errors.New("the power is gone")

// cutAt renames files until its n-th call, which renames or not and fails, as do all that follow.
func cutAt(n int, after bool) func(from, to string) error {
	calls := 0
	return func(from, to string) error {
		if calls++; calls < n || calls == n && after {
			if err := os.Rename(from, to); err != nil {
				return err
			}
		}
		if calls >= n {
			return errCut
		}
		return nil
	}
}

// TestARestoreThatWasCutOffLeftAnEmptyDatabase: the next start made a new one without a word.
func TestARestoreThatWasCutOffLeftAnEmptyDatabase(t *testing.T) {
	file := backupOf(t, "new1", "new2")
	for n := 1; n <= 4; n++ {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("rename %d after=%v", n, after), func(t *testing.T) {
				dir := t.TempDir()
				db := open(t, dir, small())
				send(db, message(1, 2, "old"))
				closeDB(t, db)
				if _, err := storage.RestoreFaulty(dir, bytes.NewReader(file), cutAt(n, after)); !errors.Is(err, errCut) {
					t.Fatal(err)
				}
				for what, do := range map[string]func() error{
					"serve":  func() error { db, err := storage.Open(dir, small()); closeIf(db, err); return err },
					"check":  func() error { _, err := storage.Check(dir, nil); return err },
					"backup": func() error { return storage.BackupDir(context.Background(), dir, &bytes.Buffer{}) },
				} {
					if err := do(); err == nil || !strings.Contains(err.Error(), "run it again") {
						t.Errorf("%s: %v", what, err)
					}
				}
				// A second one that is cut off as well loses nothing either.
				if _, err := storage.RestoreFaulty(dir, bytes.NewReader(file), cutAt(1, false)); !errors.Is(err, errCut) {
					t.Fatal(err)
				}
				if _, err := storage.Restore(dir, bytes.NewReader(file), nil); err != nil {
					t.Fatal(err)
				}
				expect(t, open(t, dir, small()), service.Pair(1, 2), "new1", "new2")
				old := onlyWith(t, dir, "journal-0")
				expect(t, open(t, old, small()), service.Pair(1, 2), "old")
			})
		}
	}
}

// closeIf closes a database that should not have been opened.
func closeIf(db *storage.DB, err error) {
	if err == nil {
		_ = db.Close()
	}
}

// onlyWith is the one directory of what was replaced that has a file.
func onlyWith(t *testing.T, dir, name string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "replaced-*", name))
	if err != nil || len(found) != 1 {
		t.Fatalf("%q, %v", found, err)
	}
	return filepath.Dir(found[0])
}

func TestARestoreIntoANewDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	kept, err := storage.Restore(dir, bytes.NewReader(backupOf(t, "a")), nil)
	if err != nil || kept != "" {
		t.Fatalf("kept %q, %v", kept, err)
	}
	expect(t, open(t, dir, small()), service.Pair(1, 2), "a")
}
