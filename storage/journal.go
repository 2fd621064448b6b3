package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"sync/atomic"
)

// The journal is two files beside the database, used in turn. Nothing is acknowledged before its batch is synced
// here, and a file is used again only when bbolt durably holds everything in it.
//
//	file    turn header at 0 | its copy at 4096 | batches from 8192 on, each from a sector of its own
//	turn    magic 8 | number u64 | salt u64 | prev u64 | size u64 | owner 16 | sum u32  (journal_turn.go)
//	batch   sum u32 | length u32 | salt u64 | records, length bytes | zeros to the end of the sector
//	record  length u32 | gid u64 | op, length bytes                                    all little-endian
//
// A batch is what is synced and acknowledged, so a batch is what has a checksum: it counts whole or not at all.
// The checksum goes on from that of the batch before it, and in the first batch from that of the turn's header,
// which holds the turn's random salt. From this follows what can be history after a crash:
//
//   - A torn batch is not: its checksum is wrong. It was never acknowledged. Its head may be intact on the disk,
//     its rest too; opening wipes the sector that holds its header before anything else is written, so that not
//     even later writes that happen to supply the missing bytes can make it whole again.
//   - A batch that is whole but was never acknowledged (the crash came before the answer) is, for good: opening
//     writes and syncs it once more before anyone is told of it, and writing goes on behind it. Neither a second
//     crash nor pages that a failed sync left in the cache but not on the disk can take it back.
//   - A batch behind a gap is not, nor is one of an earlier turn: the chain does not lead to it.
//   - A batch that follows a broken one in the same turn was written after the broken one was synced. So this is
//     no torn end but damage to acknowledged messages, and opening refuses. The salt in every batch's header
//     finds it. Only a last batch that is damaged later looks like a torn one, and is taken for that.
//
// Batches begin at a sector so that no write touches a sector that holds an acknowledged one.
type journal struct {
	files   [2]journalFile // static after open
	owner   fileID         // static after open: the id of the database
	durable atomic.Uint64  // everything up to this gid is in bbolt, durably; moved by the applier

	// Owned by the committer; by whoever opens before there is one.
	turns   [2]turn // what the files hold; number 0 if nothing
	current int     // the file being written
	pos     int64   // where its next batch begins
	chain   uint32  // the checksum that the next batch goes on from
	last    uint64  // the newest gid in the journal or before it
	buf     []byte  // a batch on its way in or out, reused
	err     error   // the first failure, for ever: pages may be lost from the cache after it, so nothing is tried again
}

// record is one operation of a batch. The journal does not know what is in it.
type record struct {
	gid uint64 // rises from record to record
	op  []byte // not kept
}

const (
	sectorSize        = 512 // what a disk writes whole or not at all
	batchHeaderSize   = 16
	recordHeaderSize  = 12
	journalHeaderSize = 2 * turnCopyOffset
	// minJournalSize leaves room for 16 sectors of batches: less is of no use even to a test.
	minJournalSize = journalHeaderSize + 16*sectorSize
	maxJournalSize = 1 << 31
)

var (
	// errNoRoom: the batch fits into neither file until more is applied. Nothing was written.
	errNoRoom = errors.New("journal is full until more is applied")
	// errBatchTooLarge: the batch does not fit into an empty file either. Nothing was written.
	errBatchTooLarge = errors.New("batch is larger than the journal")
	// errJournalDamaged: something that was acknowledged cannot be read any more.
	errJournalDamaged = errors.New("journal is damaged")
	// errJournalLost: the journal that the database had is not there, or not as a whole.
	errJournalLost = errors.New("the journal of this database is not here")
	// errJournalFormat: another version of this program wrote it.
	errJournalFormat = errors.New("is a journal of format")

	errNotReplayed   = errors.New("journal is written before it was replayed")
	errJournalClosed = errors.New("journal is closed")
)

// openJournal opens the journal of a database, making it if it never had one. One that exists keeps its size.
// It must be replayed before the first write.
func openJournal(dir string, size int64, m meta) (*journal, error) {
	files, err := openJournalFiles(dir, size, m)
	if err != nil {
		return nil, err
	}
	j, err := newJournal(files, m.id)
	if err != nil {
		return nil, errors.Join(err, files[0].Close(), files[1].Close())
	}
	return j, nil
}

// newJournal reads the headers of both files.
func newJournal(files [2]journalFile, owner fileID) (*journal, error) {
	j := &journal{files: files, owner: owner, err: errNotReplayed}
	for i, f := range files {
		t, err := readTurn(f)
		if err != nil {
			return nil, err
		}
		if t.number > 0 && t.owner != owner {
			return nil, fmt.Errorf("%w: %s is of the database with the id %s, and this one is %s: %s",
				errJournalLost, f.Name(), t.owner, owner, lostAdvice)
		}
		j.turns[i] = t
	}
	switch {
	case j.turns[0].number == 0 && j.turns[1].number == 0:
		// A crash while a turn starts leaves the other file's header alone.
		return nil, fmt.Errorf("%w: neither %s nor %s has a valid header: %s",
			errJournalDamaged, files[0].Name(), files[1].Name(), damagedAdvice)
	case j.turns[0].number == j.turns[1].number:
		return nil, fmt.Errorf("%w: %s and %s are both of turn %d, one must be a copy: %s",
			errJournalDamaged, files[0].Name(), files[1].Name(), j.turns[0].number, damagedAdvice)
	case j.turns[1].number > j.turns[0].number:
		j.current = 1
	}
	return j, nil
}

// maxBatch is how large a batch may be, its records counted with recordSize.
func (j *journal) maxBatch() int {
	return int(min(j.files[0].Size(), j.files[1].Size()) - journalHeaderSize - batchHeaderSize)
}

// recordSize is the room that an operation takes in a batch.
func recordSize(op []byte) int { return recordHeaderSize + len(op) }

// write makes a batch durable: when it returns nil, a crash cannot take it away. After errNoRoom or
// errBatchTooLarge nothing has happened; after any other error the outcome is unknown and every later write
// fails with the same error.
func (j *journal) write(recs []record) error {
	if j.err != nil || len(recs) == 0 {
		return j.err
	}
	length, last := 0, j.last
	for i := range recs {
		if recs[i].gid <= last {
			return fmt.Errorf("journal: gid %d after gid %d", recs[i].gid, last)
		}
		last = recs[i].gid
		length += recordSize(recs[i].op)
	}
	if length > j.maxBatch() {
		return errBatchTooLarge
	}
	room := sectorUp(int64(batchHeaderSize + length))
	if j.pos+room > j.files[j.current].Size() {
		if err := j.switchFiles(); err != nil {
			return err
		}
	}
	sum := j.encode(recs, length)
	if err := j.store(j.buf[:room], j.pos); err != nil {
		return err
	}
	j.pos += room
	j.chain, j.last = sum, last
	return nil
}

// encode lays the batch out in j.buf, padded to whole sectors, and gives its checksum.
func (j *journal) encode(recs []record, length int) uint32 {
	b := append(j.buf[:0], 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(length))
	b = binary.LittleEndian.AppendUint64(b, j.turns[j.current].salt)
	for i := range recs {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(recs[i].op)))
		b = binary.LittleEndian.AppendUint64(b, recs[i].gid)
		b = append(b, recs[i].op...)
	}
	sum := crc32.Update(j.chain, castagnoli, b[4:])
	binary.LittleEndian.PutUint32(b, sum)
	j.buf = append(b, zeros[:sectorUp(int64(len(b)))-int64(len(b))]...)
	return sum
}

// store writes to the current file and syncs it.
func (j *journal) store(b []byte, at int64) error {
	f := j.files[j.current]
	if _, err := f.WriteAt(b, at); err != nil {
		return j.fail(fmt.Errorf("write %s: %w", f.Name(), err))
	}
	if err := f.Sync(); err != nil {
		return j.fail(fmt.Errorf("sync %s: %w", f.Name(), err))
	}
	return nil
}

// fail remembers the first failure.
func (j *journal) fail(err error) error {
	j.err = err
	return err
}

// switchFiles starts a turn in the other file.
func (j *journal) switchFiles() error {
	other := 1 - j.current
	if j.lastOf(other) > j.durable.Load() {
		return errNoRoom
	}
	f := j.files[other]
	t := newTurn(j.owner, j.turns[j.current].number+1, j.last, f.Size())
	// The header is synced before the first batch is written. Until then the file's old batches lie there
	// untouched, so whichever of the two headers a crash leaves, what is behind it is whole.
	if err := writeTurn(f, t); err != nil {
		return j.fail(err)
	}
	if err := f.Sync(); err != nil {
		return j.fail(fmt.Errorf("sync %s: %w", f.Name(), err))
	}
	f.Forget()
	j.turns[other], j.current = t, other
	j.pos, j.chain = journalHeaderSize, t.sum()
	return nil
}

// lastOf is the newest gid in a file, or a larger one if it holds nothing.
func (j *journal) lastOf(file int) uint64 {
	if file == j.current {
		return j.last
	}
	return j.turns[j.current].prev
}

// applied says that bbolt durably holds everything up to gid. It may be called while write runs.
func (j *journal) applied(gid uint64) {
	for old := j.durable.Load(); old < gid && !j.durable.CompareAndSwap(old, gid); old = j.durable.Load() {
	}
}

// close releases the files. A clean close, when everything is applied, leaves an empty journal: a turn without
// batches. After a failure it leaves the files as they are.
func (j *journal) close(clean bool) error {
	var err error
	if clean && j.err == nil && j.pos > journalHeaderSize {
		if durable := j.durable.Load(); durable < j.last {
			err = fmt.Errorf("close the journal: only gid %d of %d is applied", durable, j.last)
		} else {
			err = j.switchFiles()
		}
	}
	j.err = errJournalClosed
	return errors.Join(err, j.files[0].Close(), j.files[1].Close())
}

func sectorUp(n int64) int64 { return (n + sectorSize - 1) &^ (sectorSize - 1) }
