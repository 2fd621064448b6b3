package storage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"

	"go.etcd.io/bbolt"
)

// compactTx is how many bytes one transaction of a compaction copies.
const compactTx = 16 << 20

// Compaction is what a compaction did.
type Compaction struct {
	Before int64  `json:"beforeBytes"`
	After  int64  `json:"afterBytes"`
	Report Report `json:"report"` // of the new file
}

// Compact copies the database of a directory that no server uses into a new file without free pages, checks
// the copy, and puts it in the place of the old file.
func Compact(dir string, progress Progress) (Compaction, error) {
	if err := settleDir(dir); err != nil {
		return Compaction{}, err
	}
	lock, err := lockDir(dir)
	if err != nil {
		return Compaction{}, offlineError(err, "let retention reuse its pages")
	}
	c, err := compact(dir, progress)
	return c, errors.Join(err, lock.Close())
}

func compact(dir string, progress Progress) (c Compaction, err error) {
	path := filepath.Join(dir, fileName)
	fresh := path + ".compact"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, os.ErrNotExist) {
		return c, err
	}
	defer os.Remove(fresh)
	before, err := checkFile(path, nil)
	if err != nil {
		return c, fmt.Errorf("the database is damaged, nothing was changed: %w", err)
	}
	if err := copyBolt(path, fresh); err != nil {
		return c, fmt.Errorf("copy to %s: %w", fresh, err)
	}
	if c.Report, err = checkFile(fresh, progress); err != nil {
		return c, fmt.Errorf("the copy is damaged, nothing was changed: %w", err)
	}
	c.Before, c.After = before.FileBytes, c.Report.FileBytes
	before.FileBytes = c.Report.FileBytes
	if !reflect.DeepEqual(before, c.Report) {
		return c, fmt.Errorf("the copy has %+v and the database %+v: nothing was changed", c.Report, before)
	}
	return c, errors.Join(os.Rename(fresh, path), syncDir(dir))
}

// copyBolt copies every bucket in order, into full pages.
func copyBolt(from, to string) (err error) {
	src, err := openGuarded(from, bbolt.Options{Timeout: boltLock, ReadOnly: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	dst, err := bbolt.Open(to, 0o600, &bbolt.Options{Timeout: boltLock, NoSync: true})
	if err != nil {
		return err
	}
	err = guarded(from, func() error { return bbolt.Compact(dst, src, compactTx) })
	return errors.Join(err, dst.Sync(), dst.Close())
}
