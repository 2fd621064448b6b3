package storage

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// damagedAdvice ends every report of damage.
const damagedAdvice = "restore a backup, or start with --accept-journal-loss, which goes on without what was not applied yet"

// lostAdvice ends every report of a file that is not there, or is another one.
const lostAdvice = "put the right one back, or start with --accept-journal-loss, which goes on without what was not applied yet"

// replay gives the records with a gid above after, in order; op is valid during the call only. It is called
// once, before the first write, with the gid up to which bbolt holds everything. An error, fn's or its own,
// says that the records given so far are not all there is: the journal then stays unwritten.
func (j *journal) replay(after uint64, fn func(gid uint64, op []byte) error) error {
	t := j.turns[j.current]
	if t.prev > after {
		if err := j.replayOlder(after, fn); err != nil {
			return err
		}
	}
	end, err := j.scan(j.current, after, fn)
	if err != nil {
		return err
	}
	if err := j.nothingFollows(end.pos); err != nil {
		return err
	}
	if err := j.settle(end); err != nil {
		return err
	}
	j.pos, j.chain, j.last = end.pos, end.chain, max(end.last, after)
	j.err = nil
	j.files[j.current].Forget()
	j.applied(after)
	if end.last < after {
		// The database is ahead, as beside a new journal. A turn that begins there shows the hole if an older
		// database is ever put beside this journal.
		return j.switchFiles()
	}
	return nil
}

// replayOlder replays the turn before the current one. That one started when all of this one was synced, so
// an early end here is no torn batch.
func (j *journal) replayOlder(after uint64, fn func(gid uint64, op []byte) error) error {
	older, want := j.turns[1-j.current], j.turns[j.current].prev
	if older.number != j.turns[j.current].number-1 || older.prev > after {
		return fmt.Errorf("%w: the database ends at gid %d and what follows up to gid %d is not in %s: %s",
			errJournalDamaged, after, want, j.files[1-j.current].Name(), damagedAdvice)
	}
	end, err := j.scan(1-j.current, after, fn)
	if err != nil {
		return err
	}
	if end.last != want {
		return j.damaged(1-j.current, end.pos, fmt.Sprintf("gids %d to %d are lost, and the database ends at %d", end.last+1, want, after))
	}
	return nil
}

// journalEnd is where a turn's batches end.
type journalEnd struct {
	pos       int64  // behind the last batch
	lastBatch int64  // its beginning; pos if there is none
	chain     uint32 // its checksum
	last      uint64 // its last gid; that before the turn if there is none
}

// scan walks over the batches of a file.
func (j *journal) scan(file int, after uint64, fn func(gid uint64, op []byte) error) (journalEnd, error) {
	t := j.turns[file]
	end := journalEnd{pos: journalHeaderSize, lastBatch: journalHeaderSize, chain: t.sum(), last: t.prev}
	for {
		records, sum, err := j.readBatch(file, end.pos, end.chain)
		if err != nil || records == nil {
			return end, err
		}
		start, length := end.pos, len(records)
		for len(records) > 0 {
			gid, op, rest, ok := cutRecord(records)
			if !ok || gid <= end.last {
				return end, j.damaged(file, start, "its checksum is right but what it holds makes no sense")
			}
			if gid > after {
				if err := fn(gid, op); err != nil {
					return end, err
				}
			}
			end.last, records = gid, rest
		}
		end.lastBatch, end.pos, end.chain = start, start+sectorUp(int64(batchHeaderSize+length)), sum
	}
}

// readBatch reads the records of the batch at pos; nil if there is no whole batch of this turn.
func (j *journal) readBatch(file int, pos int64, chain uint32) (records []byte, sum uint32, err error) {
	f := j.files[file]
	if pos+sectorSize > f.Size() {
		return nil, 0, nil
	}
	var header [batchHeaderSize]byte
	if _, err := f.ReadAt(header[:], pos); err != nil {
		return nil, 0, fmt.Errorf("read %s: %w", f.Name(), err)
	}
	sum = binary.LittleEndian.Uint32(header[:])
	length := int64(binary.LittleEndian.Uint32(header[4:]))
	if binary.LittleEndian.Uint64(header[8:]) != j.turns[file].salt ||
		length == 0 || length > f.Size()-pos-batchHeaderSize {
		return nil, 0, nil
	}
	j.grow(int(length))
	if _, err := f.ReadAt(j.buf, pos+batchHeaderSize); err != nil {
		return nil, 0, fmt.Errorf("read %s: %w", f.Name(), err)
	}
	if crc32.Update(crc32.Update(chain, castagnoli, header[4:]), castagnoli, j.buf) != sum {
		return nil, 0, nil
	}
	return j.buf, sum, nil
}

// cutRecord takes the first record off a batch.
func cutRecord(b []byte) (gid uint64, op, rest []byte, ok bool) {
	if len(b) < recordHeaderSize {
		return 0, nil, nil, false
	}
	length := binary.LittleEndian.Uint32(b)
	gid, b = binary.LittleEndian.Uint64(b[4:]), b[recordHeaderSize:]
	if uint64(length) > uint64(len(b)) {
		return 0, nil, nil, false
	}
	return gid, b[:length:length], b[length:], true
}

// nothingFollows makes sure that the end is an end: a batch of the same turn further on proves that the one
// that is broken or missing here was synced once.
func (j *journal) nothingFollows(end int64) error {
	f, salt := j.files[j.current], j.turns[j.current].salt
	for at := end + sectorSize; at < f.Size(); at += int64(len(j.buf)) {
		j.grow(int(min(1<<20, f.Size()-at)))
		if _, err := f.ReadAt(j.buf, at); err != nil {
			return fmt.Errorf("read %s: %w", f.Name(), err)
		}
		for b := j.buf; len(b) >= sectorSize; b = b[sectorSize:] {
			if binary.LittleEndian.Uint64(b[8:]) == salt {
				return j.damaged(j.current, end, fmt.Sprintf("a later batch is at byte %d", at+int64(len(j.buf)-len(b))))
			}
		}
	}
	return nil
}

// settle makes what was read what the disk holds, whatever was or was not synced before the crash: the turn's
// header, the last batch (those before it were synced before it was written), and nothing behind it.
func (j *journal) settle(end journalEnd) error {
	f := j.files[j.current]
	if err := writeTurn(f, j.turns[j.current]); err != nil {
		return j.fail(err)
	}
	j.grow(int(end.pos - end.lastBatch))
	if _, err := f.ReadAt(j.buf, end.lastBatch); err != nil {
		return j.fail(fmt.Errorf("read %s: %w", f.Name(), err))
	}
	if end.pos+sectorSize <= f.Size() {
		j.buf = append(j.buf, zeros[:]...)
	}
	return j.store(j.buf, end.lastBatch)
}

// grow gives j.buf n bytes, whatever they are.
func (j *journal) grow(n int) {
	if cap(j.buf) < n {
		j.buf = make([]byte, n)
	}
	j.buf = j.buf[:n]
}

func (j *journal) damaged(file int, at int64, why string) error {
	return fmt.Errorf("%w: %s at byte %d: %s: %s", errJournalDamaged, j.files[file].Name(), at, why, damagedAdvice)
}
