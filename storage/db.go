package storage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"go.etcd.io/bbolt"

	"github.com/msgserver/msgserver/service"
)

// DB is a service.Store in one directory.
type DB struct {
	// Static after Open.
	dir       string
	path      string // of the database
	options   Options
	meta      meta
	hash      hashKey
	loss      error // why the journal that was there is not used; nil normally
	retains   bool  // entries expire, or have
	lock      *os.File
	bolt      *bbolt.DB
	journal   *journal // written by the committer; told by the applier what is applied
	recent    *recent
	groups    *groupCache
	queue     *queue
	committer *committer
	applier   *applier
	free      func(dir string) (int64, error)
	update    func(func(*bbolt.Tx) error) error // updateWithRoom
	confirm   func() error                      // confirmBolt

	closing chan struct{}
	running sync.WaitGroup // the space watch and the completer
	applied sync.WaitGroup // the applier
	once    sync.Once      // Close
	closed  error          // what Close has to say

	damage damage
	full   atomic.Bool           // too little space
	stuck  atomic.Bool           // an update of bbolt waits for space
	fatal  atomic.Pointer[error] // why nothing is written any more
	torn   atomic.Bool           // bbolt panicked in an update
	closes atomic.Bool
}

var _ service.Store = (*DB)(nil)

// Open opens the database in dir, making both if there are none, and reads what the last process left to be
// applied. A directory can be open once.
func Open(dir string, o Options) (*DB, error) {
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	db, err := open(dir, o.withDefaults(), nil)
	if o.AcceptJournalLoss && (errors.Is(err, errJournalLost) || errors.Is(err, errJournalDamaged)) {
		db, err = openWithoutJournal(dir, o.withDefaults(), err)
	}
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	db.lock = lock
	db.start()
	return db, nil
}

// AcceptJournalLoss opens the database of a directory that no server uses with Options.AcceptJournalLoss, and closes
// it. What was lost is loss; nil if nothing was.
func AcceptJournalLoss(dir string) (loss, err error) {
	if err := wholePages(dir); err != nil {
		return nil, err
	}
	db, err := Open(dir, Options{MinFree: -1, AcceptJournalLoss: true})
	if err != nil {
		return nil, offlineError(err, "stop it first")
	}
	return db.JournalLoss(), db.Close()
}

// openWithoutJournal opens a database whose journal is lost with a new one, and keeps what is left of the old one.
func openWithoutJournal(dir string, o Options, loss error) (*DB, error) {
	kept, err := placeAside(dir, journalNames[:])
	if err == nil {
		err = setAside(dir, kept, journalNames[:], os.Rename)
	}
	if err == nil {
		err = renew(filepath.Join(dir, fileName)) // what clients have of what is lost counts no longer, as after a restore
	}
	if err != nil {
		return nil, err
	}
	o.newJournal = true
	db, err := open(dir, o, nil)
	if err == nil {
		db.loss = loss
	}
	return db, err
}

// open reads the files and starts nothing. spoil is for tests.
func open(dir string, o Options, spoil func(*DB)) (*DB, error) {
	if err := refuseUnfinished(dir); err != nil {
		return nil, err
	}
	made, err := makeBolt(dir)
	if err != nil {
		return nil, err
	}
	db, err := openFiles(dir, o)
	if err == nil {
		if spoil != nil {
			spoil(db)
		}
		if err = db.catchUp(); err == nil {
			return db, nil
		}
		made = made && !db.meta.journaled
		if !strings.Contains(err.Error(), db.path) {
			err = fmt.Errorf("open %s: %w", db.path, err)
		}
		err = errors.Join(err, db.journal.close(false), db.closeBolt())
	}
	if made {
		err = errors.Join(err, unmake(dir))
	}
	return nil, err
}

// openFiles opens the database and its journal.
func openFiles(dir string, o Options) (*DB, error) {
	bolt, err := openBolt(dir, o)
	if err != nil {
		return nil, err
	}
	var m meta
	err = guarded(bolt.Path(), func() error {
		return bolt.View(func(tx *bbolt.Tx) (err error) {
			m, err = readMeta(tx)
			return err
		})
	})
	if err != nil {
		return nil, errors.Join(err, bolt.Close())
	}
	m.journaled = m.journaled && !o.newJournal
	j, err := openJournal(dir, o.JournalSize, m)
	if err != nil {
		return nil, errors.Join(err, bolt.Close())
	}
	db := &DB{
		dir: dir, path: bolt.Path(), options: o, meta: m, hash: m.hash, bolt: bolt, journal: j, queue: newQueue(o.QueueBytes),
		groups: newGroupCache(o.GroupBytes), free: freeSpace, closing: make(chan struct{}),
	}
	db.update = db.updateWithRoom
	db.confirm = func() error { return confirmBolt(bolt) }
	db.applier = newApplier(db)
	return db, nil
}

// Epoch names the database, as long as it goes on from what it was: it is another one after a restore, and after the
// loss of a journal.
func (db *DB) Epoch() string { return db.meta.id.String() }

// JournalLoss is why opening did without the journal that was there, as AcceptJournalLoss allows; nil normally.
func (db *DB) JournalLoss() error { return db.loss }

// start begins to take operations.
func (db *DB) start() {
	db.checkSpace()
	handed := make(chan answers, handOff)
	db.running.Add(2)
	go func() {
		defer db.running.Done()
		db.watchSpace(db.closing)
	}()
	go func() {
		defer db.running.Done()
		db.complete(handed)
	}()
	db.applied.Add(1)
	go func() {
		defer db.applied.Done()
		db.applier.run()
	}()
	go db.committer.run(handed)
	db.applier.wake()
}

// Append is service.Store's.
func (db *DB) Append(batch []service.Append) {
	fill := func(i int, r *request) {
		*r = request{kind: requestAppend, message: batch[i].Message, appended: batch[i].Done}
	}
	if !db.queue.push(len(batch), fill) {
		refuseLate(len(batch), fill)
	}
}

// Mark is service.Store's.
func (db *DB) Mark(batch []service.Mark) {
	fill := func(i int, r *request) {
		m := &batch[i]
		*r = request{
			kind: requestMark, message: service.Message{Conv: m.Conv, From: m.User}, state: m.State, seq: m.Seq, marked: m.Done, holds: m.Holds,
		}
	}
	if !db.queue.push(len(batch), fill) {
		refuseLate(len(batch), fill)
	}
}

// ChangeGroup is service.Store's.
func (db *DB) ChangeGroup(ch service.GroupChange, done func(service.GroupChanged, error)) {
	ch.Add, ch.Remove = slices.Clone(ch.Add), slices.Clone(ch.Remove)
	fill := func(_ int, r *request) {
		*r = request{kind: requestChange, change: &changeRequest{GroupChange: ch, done: done}}
	}
	if !db.queue.push(1, fill) {
		refuseLate(1, fill)
	}
}

// refuseLate answers what comes after Close, when nobody else is there to do it.
func refuseLate(n int, fill func(int, *request)) {
	reqs := make([]request, n)
	for i := range reqs {
		fill(i, &reqs[i])
	}
	go func() {
		for i := range reqs {
			reqs[i].refuse(service.ErrUnavailable)
			reqs[i].answer()
		}
	}()
}

// writable is nil while operations are taken.
func (db *DB) writable() error {
	if db.full.Load() || db.stuck.Load() || db.fatal.Load() != nil {
		return service.ErrUnavailable
	}
	return nil
}

// fail stops all writing. A disk that is full when the store closes is no reason for alarm.
func (db *DB) fail(err error) {
	if db.fatal.CompareAndSwap(nil, &err) && !errors.Is(err, errDiskFull) {
		go db.options.OnFatal(err)
	}
}

// failed is why nothing is written any more, nil normally.
func (db *DB) failed() error {
	if err := db.fatal.Load(); err != nil {
		return *err
	}
	return nil
}

// Close commits and answers what is queued, applies it all, leaves an empty journal and releases the files.
// What is pending for the index stays in the log, from where opening reads it: that takes less time than
// writing it in a hurry.
func (db *DB) Close() error {
	db.once.Do(func() { db.closed = db.shut() })
	return db.closed
}

func (db *DB) shut() error {
	db.closes.Store(true)
	db.queue.close()
	close(db.closing)
	db.running.Wait() // the completer ends when the committer has
	close(db.applier.stop)
	db.applied.Wait()
	failed := db.failed()
	return errors.Join(failed, db.journal.close(failed == nil), db.closeBolt(), db.lock.Close())
}
