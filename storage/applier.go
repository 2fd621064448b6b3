package storage

import (
	"fmt"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"github.com/msgserver/msgserver/service"
)

// An apply moves what applyEvery brought, or more if there is more, up to these bounds. The larger it is the
// less is written for each entry; but while bbolt syncs it, a batch of the journal waits behind it for the disk.
// Measured on a busy machine only, where runs differ by more than 3 MiB do from 8 or 1.5; with 0.75 MiB what an
// apply costs by itself halved the throughput.
const (
	applyEvery = 100 * time.Millisecond
	applyOps   = 6 << 10
	applyBytes = 3 << 20
	applyMoves = 10_000 // members that join or leave, each some puts at random; a larger change goes with no other
	sweepKeys  = 1024   // keys that a hand may move in an apply, and one more for each op
)

// applier moves the tail into bbolt. It is one goroutine, and the only writer of the database.
type applier struct {
	db     *DB
	enough int           // bytes of the tail that are not waited for to become more
	woken  chan struct{} // there is a tail
	rush   chan struct{} // do not wait for more
	moved  chan struct{} // something was applied; taken by the committer when the journal is full
	stop   chan struct{}
	rests  bool // receipts are left that are in their table; owned by run

	applies atomic.Uint64
}

func newApplier(db *DB) *applier {
	return &applier{
		db: db, enough: min(applyBytes/2, db.journal.maxBatch()/4), woken: make(chan struct{}, 1), rush: make(chan struct{}, 1), moved: make(chan struct{}, 1),
		stop: make(chan struct{}),
	}
}

// signal sends without waiting.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// wake says that something was published.
func (a *applier) wake() {
	signal(a.woken)
	if a.db.recent.size() >= a.enough {
		signal(a.rush)
	}
}

// hurry says that somebody waits for room in the journal.
func (a *applier) hurry() {
	signal(a.woken)
	signal(a.rush)
}

// run applies until it is stopped, and then the rest.
func (a *applier) run() {
	timer := time.NewTimer(applyEvery)
	defer timer.Stop()
	idle := time.NewTicker(expireEvery)
	defer idle.Stop()
	for stopping := false; !stopping; {
		select {
		case <-a.woken:
		case <-a.stop:
			stopping = true
		case <-idle.C:
			if due, _ := a.db.overdue(); !due && !a.rests {
				continue
			}
		}
		timer.Reset(applyEvery)
		select {
		case <-timer.C:
		case <-a.rush:
		case <-a.stop:
			stopping = true
		}
		if a.db.failed() != nil {
			return
		}
		if err := a.applyAll(stopping); err != nil {
			a.db.fail(fmt.Errorf("apply: %w", err))
			return
		}
	}
}

// applyAll applies until less than half of a full apply is left, or to the end.
func (a *applier) applyAll(toTheEnd bool) error {
	for {
		n, err := a.apply()
		if err != nil {
			return err
		}
		size := a.db.recent.size()
		if n == 0 || !toTheEnd && size < a.enough {
			if size > 0 {
				signal(a.woken)
			}
			return nil
		}
	}
}

// apply moves one piece of the tail, and with it the hands of the sweeps.
func (a *applier) apply() (int, error) {
	r := a.db.recent
	ops, after := r.tail(applyOps, applyBytes, applyMoves)
	due, expirable := a.db.overdue()
	if len(ops) == 0 && !due && !a.rests {
		return 0, nil
	}
	high := after + uint64(len(ops))
	most := len(ops) + sweepKeys
	hurry := due && !expirable
	index := r.index.take(&r.mu, high, most, hurry)
	convs := r.convs.take(&r.mu, high, most, hurry)
	marks := r.marks.take(&r.mu, high, most, false)
	r.mu.Lock()
	indexed := min(r.index.oldest(high), r.convs.oldest(high))
	marked := r.marks.oldest(high)
	r.mu.Unlock()
	spare := 2*len(ops) + expireSpare
	var rests bool
	err := a.db.update(func(tx *bbolt.Tx) (err error) {
		if err := a.putOps(tx, ops, after); err != nil {
			return err
		}
		if err := sweepIndex(tx, index); err != nil {
			return err
		}
		if err := sweepConvs(tx, convs); err != nil {
			return err
		}
		if err := sweepMarks(tx, marks, marked); err != nil {
			return err
		}
		if rests, err = dropReceipts(tx, spare); err != nil {
			return err
		}
		if err := putMetaUint(tx, metaIndexed, indexed); err != nil {
			return err
		}
		if due {
			if err := a.db.expire(tx, indexed, spare); err != nil {
				return err
			}
		}
		return putMetaUint(tx, metaApplied, high)
	})
	if err != nil {
		return 0, err
	}
	a.rests = rests
	a.db.journal.applied(high)
	a.db.queue.applied(r.dropTail(len(ops)))
	a.db.groups.dropTail(high)
	dropSwept(r, r.index, index)
	dropSwept(r, r.convs, convs)
	dropSwept(r, r.marks, marks)
	a.applies.Add(1)
	signal(a.moved)
	return len(ops), nil
}

// putOps puts ops where they belong: entries into the log, receipts beside it, changes to their groups.
func (a *applier) putOps(tx *bbolt.Tx, ops [][]byte, after uint64) error {
	log, receipts := tx.Bucket(bucketLog), tx.Bucket(bucketReceipts)
	log.FillPercent, receipts.FillPercent = 1, 1
	groups := groupWriter{damaged: a.db.damaged}
	for i, op := range ops {
		gid := after + 1 + uint64(i)
		bucket := log
		switch op[0] {
		case opReceipt:
			bucket = receipts
		case opEntry:
			if err := groups.addNotice(gid, op); err != nil {
				return err
			}
		default:
			return fmt.Errorf("record %d is of unknown kind %d: %w", gid, op[0], errDamaged)
		}
		if err := bucket.Put(keyOfGid(gid), op); err != nil {
			return err
		}
	}
	return groups.write(tx)
}

func sweepIndex(tx *bbolt.Tx, taken []swept[service.ConvID, posting]) error {
	w := newIndexWriter(tx)
	for i := range taken {
		if err := w.put(taken[i].key, taken[i].items); err != nil {
			return err
		}
	}
	return nil
}

func sweepConvs(tx *bbolt.Tx, taken []swept[service.UserID, listing]) error {
	b := tx.Bucket(bucketConvs)
	for i := range taken {
		for _, l := range taken[i].items {
			key := keyOfUser(taken[i].key, l.conv)
			if err := b.Put(key[:], nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// sweepMarks writes marks; those of receipts before gid oldest are all in their table then.
func sweepMarks(tx *bbolt.Tx, taken []swept[markKey, marking], oldest uint64) error {
	b := tx.Bucket(bucketMarks)
	for i := range taken {
		key := taken[i].key.key()
		if err := b.Put(key[:], appendMarks(nil, taken[i].items[0].marks)); err != nil {
			return err
		}
	}
	return putMetaUint(tx, metaMarked, oldest)
}

// dropReceipts deletes up to most receipts that are in their table, the oldest first, and reports whether there are more.
// When a round of the hand ends they may be half a million.
func dropReceipts(tx *bbolt.Tx, most int) (more bool, err error) {
	receipts := tx.Bucket(bucketReceipts)
	var done [][]byte
	cur := receipts.Cursor()
	end := string(keyOfGid(metaUint(tx, metaMarked)))
	for k, _ := cur.First(); k != nil && string(k) < end; k, _ = cur.Next() {
		if len(done) == most {
			more = true
			break
		}
		done = append(done, k)
	}
	for _, k := range done {
		if err := receipts.Delete(k); err != nil {
			return false, err
		}
	}
	return more, nil
}
