package storage

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"go.etcd.io/bbolt"

	"github.com/msgserver/msgserver/service"
)

// catchUp makes the state in memory: what is pending for the sweeps from the log and the receipts, and the tail
// from the journal.
func (db *DB) catchUp() error {
	last := db.meta.applied
	var date int64
	var lost []lost
	err := db.look(func(tx *bbolt.Tx) (err error) {
		db.retains = db.options.Retain > 0 || metaUint(tx, metaRetained) > 0
		db.recent = newRecent(last, db.options.PendingPostings)
		db.groups.applied = last
		date, lost = db.readLog(tx)
		db.readReceipts(tx)
		return nil
	})
	if err != nil {
		return err
	}
	// What the journal may forget is what bbolt has durably.
	if err := db.confirm(); err != nil {
		return fmt.Errorf("make durable what it holds: %w", err)
	}
	if err := db.claimJournal(); err != nil {
		return err
	}
	err = db.journal.replay(last, func(gid uint64, op []byte) error {
		if gid != last+1 {
			return fmt.Errorf("the journal goes on with record %d after %d: %w", gid, last, errDamaged)
		}
		last = gid
		d, err := db.replay(gid, bytes.Clone(op))
		date = max(date, d)
		return err
	})
	if err != nil {
		return err
	}
	if err := db.mend(lost); err != nil {
		return err
	}
	db.committer, err = newCommitter(db, last, date)
	return err
}

// confirmBolt makes durable what bbolt shows. A process that was killed between writing a meta page and syncing it
// leaves it in the page cache only; after a sync that failed it is there as if it were on the disk, and another
// sync does not write it. So the page is written once more, as it is. A transaction would not do: its pages may
// take the place of some that the disk's older meta page still needs. And this needs no space.
func confirmBolt(b *bbolt.DB) error {
	size, at := int64(b.Info().PageSize), int64(0)
	err := b.View(func(tx *bbolt.Tx) error {
		at = int64(tx.ID()) % 2 * size // bbolt's two meta pages take turns
		return nil
	})
	if err != nil {
		return err
	}
	f, err := os.OpenFile(b.Path(), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	page := make([]byte, size)
	if _, err = f.ReadAt(page, at); err == nil {
		_, err = f.WriteAt(page, at)
	}
	if err == nil {
		err = fdatasync(f)
	}
	return errors.Join(err, f.Close())
}

// claimJournal has the database say that it has a journal, before anything is acknowledged. From then on it is
// missed when it is not there.
func (db *DB) claimJournal() error {
	if db.meta.journaled {
		return nil
	}
	err := db.updateBolt(func(tx *bbolt.Tx) error { return putMetaUint(tx, metaJournal, 1) })
	db.meta.journaled = err == nil
	return err
}

// readLog makes pending what is in the log but not in the index, and gives the date of the last entry, and what it could not
// read.
func (db *DB) readLog(tx *bbolt.Tx) (date int64, unread []lost) {
	var convs []service.ConvID
	var postings []posting
	cur := tx.Bucket(bucketLog).Cursor()
	for k, op := cur.Seek(keyOfGid(metaUint(tx, metaIndexed))); k != nil; k, op = cur.Next() {
		gid := gidOfKey(k)
		h, err := unsealEntry(gid, op)
		if err != nil {
			db.damaged(gid, err)
			unread = append(unread, lostRecord(gid, op))
			continue
		}
		p := db.hash.posting(gid, h.seq, h.kind, h.from, h.id())
		convs, postings = append(convs, h.conv), append(postings, p)
		db.recent.list(h.conv, p)
	}
	db.recent.index.load(convs, postings)
	for k, op := cur.Last(); k != nil; k, op = cur.Prev() {
		h, err := unsealEntry(gidOfKey(k), op)
		if err == nil {
			return h.date, unread
		}
		db.damaged(gidOfKey(k), err)
	}
	return 0, unread
}

// unsealEntry takes a stored entry apart.
func unsealEntry(gid uint64, op []byte) (header, error) {
	body, err := unseal(gid, op)
	if err != nil {
		return header{}, err
	}
	return parseEntry(gid, body)
}

// readReceipts makes pending the marks that are not in their table. Of a damaged receipt nothing is known: the user's marks
// stay where the one before it moved them.
func (db *DB) readReceipts(tx *bbolt.Tx) {
	marked := metaUint(tx, metaMarked)
	cur := tx.Bucket(bucketReceipts).Cursor()
	if k, _ := cur.First(); k != nil {
		db.applier.rests = gidOfKey(k) < marked
	}
	for k, op := cur.Seek(keyOfGid(marked)); k != nil; k, op = cur.Next() {
		gid := gidOfKey(k)
		key, m, err := unsealReceipt(gid, op)
		if err != nil {
			db.damaged(gid, err)
			continue
		}
		db.recent.marks.replace(key, marking{gid, m})
	}
}

func unsealReceipt(gid uint64, op []byte) (markKey, service.Marks, error) {
	body, err := unseal(gid, op)
	if err != nil {
		return markKey{}, service.Marks{}, err
	}
	return parseReceipt(gid, body)
}

// replay publishes an op of the journal again, and gives its date.
func (db *DB) replay(gid uint64, op []byte) (date int64, err error) {
	body, err := unseal(gid, op)
	if err != nil {
		return 0, err
	}
	s := staged{gid: gid, op: op}
	if body[0] == opReceipt {
		var key markKey
		if key, s.marks, err = parseReceipt(gid, body); err != nil {
			return 0, err
		}
		s.conv, s.user = key.conv, key.user
		db.recent.publish([]staged{s})
		return 0, nil
	}
	h, err := parseEntry(gid, body)
	if err != nil {
		return 0, err
	}
	s.conv, s.posting = h.conv, db.hash.posting(gid, h.seq, h.kind, h.from, h.id())
	if h.kind.Notice() {
		if s.group, s.change, err = db.replayChange(gid, &h); err != nil {
			return 0, err
		}
		db.groups.publish(s.group)
		s.weight = weightOf(len(s.change.add)+len(s.change.remove), 0)
		db.queue.changes += s.weight
	}
	db.recent.publish([]staged{s})
	return h.date, nil
}

// replayChange makes the group as it is after a notice in the journal.
func (db *DB) replayChange(gid uint64, h *header) (*groupState, *change, error) {
	ch, err := h.groupChange(gid)
	if err != nil {
		return nil, nil, err
	}
	id := service.GroupID(h.conv)
	g, err := db.group(id)
	if err != nil {
		return nil, nil, err
	}
	if g == nil {
		g = &groupState{}
	}
	return g.after(ch, id, h.kind, gid), ch, nil
}
