package storage_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/msgserver/msgserver/storage"
)

func TestADirectoryIsOpenOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	db := open(t, dir, small())
	_, err := storage.Open(dir, small())
	if want := fmt.Sprintf("msgserver.db is locked by process %d: stop it", os.Getpid()); err == nil || !strings.Contains(err.Error(), want) {
		t.Fatal(err)
	}
	closeDB(t, db)
	closeDB(t, open(t, dir, small()))
}

func TestNobodyElseMayRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	closeDB(t, open(t, dir, small()))
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
