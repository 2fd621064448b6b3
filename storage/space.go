package storage

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
)

// spaceEvery is how often the free space is looked at. At 300 MB/s, the fastest the disk of this project's
// measurements writes, the default MinFree is not used up in between.
const spaceEvery = 500 * time.Millisecond

// freeSpace is how many bytes an ordinary user may still write to the file system of dir.
func freeSpace(dir string) (int64, error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return 0, err
	}
	return int64(fs.Bavail) * int64(fs.Bsize), nil
}

// FileSystem names the file system of the database, such as ext4 or tmpfs: what a sync costs, and what it is
// worth, depends on it. It is "" where that is not known.
func (db *DB) FileSystem() string { return fileSystem(db.dir) }

// watchSpace makes the store read-only while there is too little space.
func (db *DB) watchSpace(stop <-chan struct{}) {
	ticker := time.NewTicker(spaceEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			db.checkSpace()
		case <-stop:
			return
		}
	}
}

// checkSpace looks once. To become writable again takes a tenth more than to stay it, so that the store does
// not flap. Space that cannot be asked for does not count against it: the next write will tell.
func (db *DB) checkSpace() {
	if db.options.MinFree < 0 {
		return
	}
	need := db.options.MinFree
	if db.full.Load() {
		need += need / 10
	}
	free, err := db.free(db.dir)
	db.full.Store(err == nil && free < need)
}

// errDiskFull says why closing leaves something in the journal. Nothing is lost by it.
var errDiskFull = errors.New("the disk is full: what the database has no room for stays in the journal, and the next start goes on from there")

// errHalfCommitted says that nobody knows whether a transaction of bbolt is on the disk.
var errHalfCommitted = errors.New("the transaction may be on the disk or not")

// noSpace reports whether an error says that the disk, or a quota of it, is full. bbolt hands some on as text only.
func noSpace(err error) bool {
	if err == nil || errors.Is(err, errHalfCommitted) {
		return false
	}
	for _, full := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT} {
		if errors.Is(err, full) || strings.Contains(err.Error(), full.Error()) {
			return true
		}
	}
	return false
}

// updateWithRoom updates bbolt; when there is no space it waits for some and tries again.
func (db *DB) updateWithRoom(fn func(*bbolt.Tx) error) error {
	return db.retryWithRoom(func() error { return db.updateBolt(fn) })
}

// retryWithRoom repeats an update that fails for lack of space, until it works or the store closes. Meanwhile the
// store is read-only; what is to be written is in memory and in the journal.
func (db *DB) retryWithRoom(update func() error) error {
	defer db.stuck.Store(false)
	for {
		err := update()
		if !noSpace(err) {
			return err
		}
		db.stuck.Store(true)
		retry := time.NewTimer(spaceEvery)
		select {
		case <-retry.C:
		case <-db.applier.stop:
			retry.Stop()
			return fmt.Errorf("%w: %w", errDiskFull, err)
		}
	}
}

// updateBolt is bolt.Update. After most failures bbolt is as it was before. But once the new meta page is written
// bbolt takes it for committed, and builds on it although a crash may take it away: then it must not go on.
func (db *DB) updateBolt(fn func(*bbolt.Tx) error) error {
	id, done := 0, false
	err := guarded(db.path, func() error {
		err := db.bolt.Update(func(tx *bbolt.Tx) error {
			id = tx.ID()
			return fn(tx)
		})
		done = true
		return err
	})
	switch {
	case err == nil:
		return nil
	case !done: // it panicked
		db.torn.Store(true)
		return err
	}
	shown := func(tx *bbolt.Tx) error {
		if tx.ID() >= id {
			return errHalfCommitted
		}
		return nil
	}
	if half := db.look(shown); half != nil {
		return fmt.Errorf("%w: %w", half, err)
	}
	return err
}
