package storage

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"testing"
)

// FuzzJournal opens whatever the two files hold; each input is a turn's header and what follows the headers.
// With sums the checksums are made right first, or nothing would ever get behind them. Opening must end, report
// nothing but damage, give rising gids, and if it succeeds, hold on to what it gave.
func FuzzJournal(f *testing.F) {
	add := func(p *platter, after uint64) {
		var b [2][]byte
		for i := range b {
			b[i] = append(b[i], p.files[i].cache[:turnSize]...)
			b[i] = append(b[i], p.files[i].cache[journalHeaderSize:journalHeaderSize+3*sectorSize]...)
		}
		f.Add(b[0], b[1], after, false)
		f.Add(b[1], b[0], after, true)
	}
	p := newPlatter(f, minJournalSize)
	add(p, 0)
	j, _ := p.mustOpen(f, 0)
	mustWrite(f, j, batchOf(1, 2, 20))
	mustWrite(f, j, batchOf(3, 3, 100))
	add(p, 1)
	j.applied(5)
	if err := j.close(true); err != nil {
		f.Fatal(err)
	}
	j, _ = p.mustOpen(f, 5)
	mustWrite(f, j, batchOf(6, 1, 0))
	add(p, 4)
	f.Fuzz(func(t *testing.T, zero, one []byte, after uint64, sums bool) {
		p := newPlatter(t, minJournalSize)
		for i, b := range [][]byte{zero, one} {
			p.files[i].lay(b, sums)
		}
		j, got, err := p.open(after)
		if err != nil {
			if !errors.Is(err, errJournalDamaged) && !errors.Is(err, errJournalLost) && !errors.Is(err, errJournalFormat) {
				t.Fatal(err)
			}
			return
		}
		last := after
		for _, r := range got {
			if r.gid <= last {
				t.Fatalf("gid %d follows %d", r.gid, last)
			}
			last = r.gid
		}
		if cap(j.buf) > minJournalSize {
			t.Fatalf("a buffer of %d bytes for a file of %d", cap(j.buf), minJournalSize)
		}
		next := batchOf(j.last+1, 1, 40)
		if err := j.write(next); err != nil {
			if next = nil; !errors.Is(err, errNoRoom) && j.last != 1<<64-1 {
				t.Fatal(err)
			}
		}
		p.powerLoss(none)
		_, again := p.mustOpen(t, after)
		sameHistory(t, again, got, next)
	})
}

// lay fills the file from a fuzzer's input.
func (f *platterFile) lay(b []byte, sums bool) {
	f.put(make([]byte, len(f.cache)), 0)
	head := b[:min(len(b), turnSize)]
	f.put(head, 0)
	f.put(b[len(head):min(len(b), turnSize+minJournalSize-journalHeaderSize)], journalHeaderSize)
	if sums {
		binary.LittleEndian.PutUint64(f.cache[32:], minJournalSize)
		clear(f.cache[40:56]) // the owner
		binary.LittleEndian.PutUint32(f.cache[turnSize-4:], crc32.Checksum(f.cache[:turnSize-4], castagnoli))
		chain := binary.LittleEndian.Uint32(f.cache[turnSize-4:])
		for at := journalHeaderSize; at < minJournalSize; {
			rest := f.cache[at:]
			length := int(binary.LittleEndian.Uint32(rest[4:]))
			if length == 0 || length > len(rest)-batchHeaderSize {
				break
			}
			copy(rest[8:16], f.cache[16:24])
			chain = crc32.Update(chain, castagnoli, rest[4:batchHeaderSize+length])
			binary.LittleEndian.PutUint32(rest, chain)
			at += int(sectorUp(int64(batchHeaderSize + length)))
		}
	}
	f.put(f.cache[:turnSize], turnCopyOffset)
	copy(f.synced, f.cache)
}
