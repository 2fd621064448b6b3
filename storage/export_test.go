package storage

import (
	"errors"
	"io"

	"go.etcd.io/bbolt"
)

// Faults are what a test does to a store from below. Each may be nil.
type Faults struct {
	Confirm func() error // instead of making durable what bbolt shows, when it opens
	Sync    func() error // before each sync of the journal, once it is open
	Apply   func() error // before each apply
	Free    func() int64 // instead of asking the file system
}

// OpenFaulty is Open with faults.
func OpenFaulty(dir string, o Options, f Faults) (*DB, error) {
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	db, err := open(dir, o.withDefaults(), func(db *DB) {
		if f.Confirm != nil {
			db.confirm = f.Confirm
		}
	})
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	db.lock = lock
	if f.Sync != nil {
		for i := range db.journal.files {
			db.journal.files[i] = faultyFile{db.journal.files[i], f.Sync}
		}
	}
	if f.Apply != nil {
		db.update = func(fn func(*bbolt.Tx) error) error {
			return db.retryWithRoom(func() error {
				if err := f.Apply(); err != nil {
					return err
				}
				return db.updateBolt(fn)
			})
		}
	}
	if f.Free != nil {
		db.free = func(string) (int64, error) { return f.Free(), nil }
	}
	db.start()
	return db, nil
}

// Receipts counts those in the file.
func (db *DB) Receipts() (n int, err error) {
	err = db.bolt.View(func(tx *bbolt.Tx) error {
		n = tx.Bucket(bucketReceipts).Stats().KeyN
		return nil
	})
	return n, err
}

// RestoreFaulty is Restore with another os.Rename.
func RestoreFaulty(dir string, r io.Reader, rename func(from, to string) error) (string, error) {
	return restore(dir, r, nil, rename)
}

type faultyFile struct {
	journalFile
	sync func() error
}

func (f faultyFile) Sync() error {
	if err := f.sync(); err != nil {
		return err
	}
	return f.journalFile.Sync()
}

// Crash ends the store as kill -9 does, seen from its files: nothing more is applied, the journal stays as it is.
func (db *DB) Crash() error {
	db.once.Do(func() {
		db.closes.Store(true)
		db.fail(errors.New("crashed by a test"))
		db.queue.close()
		close(db.closing)
		db.running.Wait()
		close(db.applier.stop)
		db.applied.Wait()
		db.closed = errors.Join(db.journal.close(false), db.bolt.Close(), db.lock.Close())
	})
	return db.closed
}

// Guarded is guarded.
func Guarded(path string, fn func() error) error { return guarded(path, fn) }
