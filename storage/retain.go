package storage

import (
	"bytes"
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

// expire deletes up to most of the oldest entries that are indexed and older than cutoff.
func expire(tx *bbolt.Tx, cutoff int64, indexed uint64, most int) error {
	gone, err := oldestBefore(tx, cutoff, indexed, most)
	if err != nil || len(gone) == 0 {
		return err
	}
	log, runs := tx.Bucket(bucketLog), tx.Bucket(bucketIndex)
	for _, e := range gone {
		if err := log.Delete(keyOfGid(e.gid)); err != nil {
			return err
		}
		if e.seq%runLength != 0 {
			continue
		}
		key := keyOfConv(e.conv, e.seq-runLength+1) // runs begin at 1, 1+runLength, …
		if err := runs.Delete(key[:]); err != nil {
			return err
		}
	}
	return putMetaUint(tx, metaRetained, gone[len(gone)-1].gid+1)
}

// oldestBefore finds what expire deletes. Dates never go back, so it is a prefix of the log.
func oldestBefore(tx *bbolt.Tx, cutoff int64, indexed uint64, most int) ([]expired, error) {
	var gone []expired
	cur := tx.Bucket(bucketLog).Cursor()
	for k, op := cur.First(); k != nil && len(gone) < most && gidOfKey(k) < indexed; k, op = cur.Next() {
		gid := gidOfKey(k)
		h, err := unsealEntry(gid, op)
		if err != nil {
			return nil, err
		}
		if h.date >= cutoff {
			break
		}
		gone = append(gone, expired{gid, h.conv, h.seq})
	}
	return gone, nil
}

// overdue reports whether the oldest entry has expired, and whether it is indexed yet: if not, the sweep has to
// hurry.
func (db *DB) overdue() (due, indexed bool) {
	cutoff := db.cutoff()
	if cutoff == 0 {
		return false, false
	}
	err := db.look(func(tx *bbolt.Tx) error {
		k, op := tx.Bucket(bucketLog).Cursor().First()
		if k == nil {
			return nil
		}
		h, err := unsealEntry(gidOfKey(k), op)
		due = err == nil && h.date < cutoff
		indexed = gidOfKey(k) < metaUint(tx, metaIndexed)
		return err
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
