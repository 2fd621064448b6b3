package storage

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// turn is one use of a journal file, from its beginning to its end.
type turn struct {
	number uint64 // 1, 2, 3, … over both files; 0 is no turn
	salt   uint64 // random: nobody outside can write something that looks like a batch of this turn
	prev   uint64 // the newest gid of the turns before this one, all of them synced
	size   int64  // of the file, to notice one that was cut off
	owner  fileID // the database whose journal this is
}

const (
	turnMagic      = "msgjrnl\x02" // the last byte is the format's version
	turnSize       = 60
	turnCopyOffset = 4096 // the header is kept twice: one unreadable sector is no loss
)

// newTurn makes a turn with a salt of its own.
func newTurn(owner fileID, number, prev uint64, size int64) turn {
	var salt [8]byte
	rand.Read(salt[:])
	return turn{number: number, salt: binary.LittleEndian.Uint64(salt[:]), prev: prev, size: size, owner: owner}
}

// encode gives the header's sector.
func (t turn) encode() []byte {
	b := make([]byte, 0, sectorSize)
	b = append(b, turnMagic...)
	b = binary.LittleEndian.AppendUint64(b, t.number)
	b = binary.LittleEndian.AppendUint64(b, t.salt)
	b = binary.LittleEndian.AppendUint64(b, t.prev)
	b = binary.LittleEndian.AppendUint64(b, uint64(t.size))
	b = append(b, t.owner[:]...)
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	return b[:sectorSize]
}

// sum is the header's checksum, from which the turn's first batch goes on.
func (t turn) sum() uint32 { return binary.LittleEndian.Uint32(t.encode()[turnSize-4:]) }

// decodeTurn reads a header; ok is false if it is none, or torn.
func decodeTurn(b []byte) (t turn, ok bool) {
	if string(b[:len(turnMagic)]) != turnMagic ||
		binary.LittleEndian.Uint32(b[turnSize-4:]) != crc32.Checksum(b[:turnSize-4], castagnoli) {
		return turn{}, false
	}
	t.number = binary.LittleEndian.Uint64(b[8:])
	t.salt = binary.LittleEndian.Uint64(b[16:])
	t.prev = binary.LittleEndian.Uint64(b[24:])
	t.size = int64(binary.LittleEndian.Uint64(b[32:]))
	copy(t.owner[:], b[40:])
	return t, t.number > 0
}

// writeTurn writes the header's two copies.
func writeTurn(f journalFile, t turn) error {
	for _, at := range []int64{0, turnCopyOffset} {
		if _, err := f.WriteAt(t.encode(), at); err != nil {
			return fmt.Errorf("write %s: %w", f.Name(), err)
		}
	}
	return nil
}

// readTurn reads a file's header: the newer of its copies, as a crash while a turn starts may leave one of each.
// A file without any holds nothing.
func readTurn(f journalFile) (turn, error) {
	var newest turn
	var b [turnSize]byte
	other := -1 // the version of a header that this package does not read
	for _, at := range []int64{0, turnCopyOffset} {
		if _, err := f.ReadAt(b[:], at); err != nil {
			return turn{}, fmt.Errorf("read %s: %w", f.Name(), err)
		}
		if t, ok := decodeTurn(b[:]); ok && t.number > newest.number {
			newest = t
		} else if name, version := turnMagic[:7], turnMagic[7]; string(b[:7]) == name && b[7] != version {
			other = int(b[7])
		}
	}
	if newest.number == 0 && other >= 0 {
		return turn{}, fmt.Errorf("%s %w %d, and this version reads %d: use the version that wrote it",
			f.Name(), errJournalFormat, other, turnMagic[7])
	}
	if newest.number > 0 && newest.size != f.Size() {
		return turn{}, fmt.Errorf("%w: %s has %d bytes and should have %d: %s",
			errJournalDamaged, f.Name(), f.Size(), newest.size, damagedAdvice)
	}
	return newest, nil
}
