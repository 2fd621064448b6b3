package storage

import (
	"errors"
)

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
