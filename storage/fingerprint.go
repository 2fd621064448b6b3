package storage

import (
	"encoding/binary"
	"math/bits"

	"github.com/msgserver/msgserver/service"
)

// hashKey is the key of a file's fingerprints. It is random and secret, so that nobody can choose message ids
// that look alike and make the committer verify them all.
type hashKey struct{ k0, k1 uint64 }

// sender is the 32 bits that stand for a user in a posting.
func (k hashKey) sender(u service.UserID) uint32 {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(u))
	return uint32(k.sum(b[:]))
}

// msgID is the 32 bits that stand for a message id in a posting; 0 is none, and never deduplicated.
func (k hashKey) msgID(id []byte) uint32 {
	if len(id) == 0 {
		return 0
	}
	return max(1, uint32(k.sum(id)))
}

// fingerprint is what deduplication compares first; 0 is nothing to compare.
func fingerprint(sender, msgID uint32) uint32 {
	if msgID == 0 {
		return 0
	}
	return max(1, sender*0x9E3779B1^msgID)
}

// sum is SipHash-1-3 (Aumasson and Bernstein 2012, with the rounds that Rust and Ruby use for tables).
func (k hashKey) sum(b []byte) uint64 {
	v0, v1 := k.k0^0x736f6d6570736575, k.k1^0x646f72616e646f6d
	v2, v3 := k.k0^0x6c7967656e657261, k.k1^0x7465646279746573
	last := uint64(len(b)) << 56
	for len(b) >= 8 {
		m := binary.LittleEndian.Uint64(b)
		b = b[8:]
		v3 ^= m
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
		v0 ^= m
	}
	for i, c := range b {
		last |= uint64(c) << (8 * i)
	}
	v3 ^= last
	v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	v0 ^= last
	v2 ^= 0xff
	for range 3 {
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	}
	return v0 ^ v1 ^ v2 ^ v3
}

func sipRound(v0, v1, v2, v3 uint64) (uint64, uint64, uint64, uint64) {
	v0 += v1
	v1 = bits.RotateLeft64(v1, 13) ^ v0
	v0 = bits.RotateLeft64(v0, 32)
	v2 += v3
	v3 = bits.RotateLeft64(v3, 16) ^ v2
	v0 += v3
	v3 = bits.RotateLeft64(v3, 21) ^ v0
	v2 += v1
	v1 = bits.RotateLeft64(v1, 17) ^ v2
	v2 = bits.RotateLeft64(v2, 32)
	return v0, v1, v2, v3
}
