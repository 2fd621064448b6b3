package storage

import (
	"encoding/binary"
	"fmt"

	"github.com/msgserver/msgserver/service"
)

// posting says where an entry is and enough about it to count and to deduplicate without reading it.
type posting struct {
	ref    uint64 // gid, shifted left by one; the lowest bit is set for a notice
	seq    service.Seq
	sender uint32 // hash of who wrote it
	msgID  uint32 // hash of its msgId, 0 if it is not deduplicated
}

func (p posting) gid() uint64  { return p.ref >> 1 }
func (p posting) notice() bool { return p.ref&1 != 0 }

// print is what deduplication compares first. A notice has one if its change had a msgId.
func (p posting) print() uint32 { return fingerprint(p.sender, p.msgID) }

func (k hashKey) posting(gid uint64, seq service.Seq, kind service.EntryKind, from service.UserID, msgID []byte) posting {
	p := posting{ref: gid << 1, seq: seq, sender: k.sender(from), msgID: k.msgID(msgID)}
	if kind.Notice() {
		p.ref |= 1
	}
	return p
}

// A run is the postings of consecutive entries of one conversation.
//
//	run      u8 1 | count u16 | count × posting
//	posting  ref uvarint, as distance from the one before | sender u32 | msgID u32
//
// Runs of runLength postings are fewer keys when they are longer, but so are the tails that sweeps write again.
const (
	runVersion = 1
	runHeader  = 3
	runLength  = 64

	postingSize = binary.MaxVarintLen64 + 8 // at most
)

func appendRun(b []byte, ps []posting) []byte {
	b = append(b, runVersion)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(ps)))
	last := uint64(0)
	for _, p := range ps {
		b = binary.AppendUvarint(b, p.ref-last)
		b = binary.LittleEndian.AppendUint32(b, p.sender)
		b = binary.LittleEndian.AppendUint32(b, p.msgID)
		last = p.ref
	}
	return b
}

// countRun is the number of postings in a run, 0 if it is none.
func countRun(run []byte) int {
	if len(run) < runHeader || run[0] != runVersion {
		return 0
	}
	return int(binary.LittleEndian.Uint16(run[1:]))
}

// decodeRun appends the postings of a run whose first seq is given.
func decodeRun(dst []posting, first service.Seq, run []byte) ([]posting, error) {
	count := countRun(run)
	if count == 0 {
		return dst, fmt.Errorf("run of postings from seq %d: %w", first, errDamaged)
	}
	b, ref := run[runHeader:], uint64(0)
	for i := range count {
		distance, n := binary.Uvarint(b)
		if n <= 0 || len(b) < n+8 {
			return dst, fmt.Errorf("run of postings from seq %d is cut short: %w", first, errDamaged)
		}
		ref += distance
		dst = append(dst, posting{
			ref: ref, seq: first + service.Seq(i),
			sender: binary.LittleEndian.Uint32(b[n:]), msgID: binary.LittleEndian.Uint32(b[n+4:]),
		})
		b = b[n+8:]
	}
	return dst, nil
}
