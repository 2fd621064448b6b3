package storage

import (
	"bytes"
	"math"
	"time"

	"go.etcd.io/bbolt"

	"github.com/msgserver/msgserver/service"
)

// Retention deletes a prefix of the log, a little with each apply, and the pages it frees take what is
// written next. Every entry before the gid retained has expired; a posting below it is as good as gone, so the
// index is cleaned up run by run, when the last entry of a run goes. The tail of a conversation stays for ever:
// it knows the last seq, which must never come again.
//
// Only what is indexed expires: everything from the gid indexed on is read again when the file is opened.

const (
	expireEvery = time.Second // when nothing else is applied
	expireSpare = 4096        // entries that may go in one apply, beside two for each that comes
)

// expired is an entry that goes.
type expired struct {
	gid  uint64
	conv service.ConvID
	seq  service.Seq
}

// cutoff is the date before which entries expire, 0 if none do.
func (db *DB) cutoff() int64 {
	if db.options.Retain <= 0 {
		return 0
	}
	return db.options.Clock().Add(-db.options.Retain).UnixMilli()
}

// expire deletes up to most of the oldest entries that are indexed and have expired.
func (db *DB) expire(tx *bbolt.Tx, indexed uint64, most int) error {
	gone := db.oldestBefore(tx, db.cutoff(), indexed, most)
	if len(gone) == 0 {
		return nil
	}
	log, runs := tx.Bucket(bucketLog), tx.Bucket(bucketIndex)
	for _, e := range gone {
		if err := log.Delete(keyOfGid(e.gid)); err != nil {
			return err
		}
		if e.seq == 0 || e.seq%runLength != 0 {
			continue
		}
		if err := dropRuns(runs, e.conv, e.seq); err != nil {
			return err
		}
	}
	return putMetaUint(tx, metaRetained, gone[len(gone)-1].gid+1)
}

// dropRuns deletes a conversation's runs up to that which ends with seq last: one, and those before it whose own last
// entry was damaged.
func dropRuns(runs *bbolt.Bucket, c service.ConvID, last service.Seq) error {
	var done [][]byte
	cur := runs.Cursor()
	from := keyOfConv(c, 0)
	for k, _ := cur.Seek(from[:]); bytes.HasPrefix(k, c[:]) && seqOfKey(k) < last; k, _ = cur.Next() {
		done = append(done, k)
	}
	for _, k := range done {
		if err := runs.Delete(k); err != nil {
			return err
		}
	}
	return nil
}

// maxUndated is how many damaged records are passed in search of one that has a date.
const maxUndated = 1 << 16

// oldestBefore finds what expire deletes. Dates never go back, so it is a prefix of the log. A damaged record has no date
// that counts: it goes when an entry behind it does.
func (db *DB) oldestBefore(tx *bbolt.Tx, cutoff int64, indexed uint64, most int) []expired {
	var found []expired
	gone := 0
	cur := tx.Bucket(bucketLog).Cursor()
	for k, op := cur.First(); k != nil && gone < most && len(found) < gone+maxUndated; k, op = cur.Next() {
		gid := gidOfKey(k)
		if gid >= indexed {
			break
		}
		h, err := unsealEntry(gid, op)
		if err != nil {
			db.damaged(gid, err)
			found = append(found, expired{gid: gid})
			continue
		}
		if h.date >= cutoff {
			break
		}
		found = append(found, expired{gid, h.conv, h.seq})
		gone = len(found)
	}
	return found[:gone]
}

// overdue reports whether the oldest entry has expired, and whether it is indexed yet: if not, the sweep has to
// hurry.
func (db *DB) overdue() (due, indexed bool) {
	cutoff := db.cutoff()
	if cutoff == 0 {
		return false, false
	}
	err := db.look(func(tx *bbolt.Tx) error {
		gone := db.oldestBefore(tx, cutoff, math.MaxUint64, 1)
		due = len(gone) > 0
		indexed = due && gone[len(gone)-1].gid < metaUint(tx, metaIndexed)
		return nil
	})
	return due && err == nil, indexed
}

// first is the oldest seq of c that the index has and that has not expired; one more than the index's last seq
// if there is none.
func (x index) first(c service.ConvID, retained uint64) (service.Seq, error) {
	var ps []posting
	cur := x.runs().Cursor()
	want := keyOfConv(c, 0)
	for key, run := cur.Seek(want[:]); bytes.HasPrefix(key, c[:]); key, run = cur.Next() {
		var err error
		if ps, err = decodeRun(ps[:0], seqOfKey(key), run); err != nil {
			return 0, err
		}
		if seq, found := firstKept(ps, retained); found {
			return seq, nil
		}
	}
	first, tail, count := x.tail(c)
	if count == 0 {
		return 1, nil
	}
	ps, err := decodeRun(ps[:0], first, tail)
	if err != nil {
		return 0, err
	}
	if seq, found := firstKept(ps, retained); found {
		return seq, nil
	}
	return first + service.Seq(count), nil
}

func firstKept(ps []posting, retained uint64) (service.Seq, bool) {
	for _, p := range ps {
		if p.gid() >= retained {
			return p.seq, true
		}
	}
	return 0, false
}
