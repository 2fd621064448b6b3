package service

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"time"
)

// UserID names a user: an integer 0..MaxUserID, given out by whoever runs the login server.
type UserID uint64

// MaxUserID is the largest user id, 2^53-1: the largest integer that every JSON implementation keeps exact.
const MaxUserID UserID = 1<<53 - 1

// Seq numbers the entries of one conversation: 1, 2, 3, … without a hole. 0 is before the first.
type Seq uint64

// SessionID names one connection of this node, never used again while the process lives. 0 is none.
type SessionID uint64

// GroupID names a group: a UUID made by the server, of version 7, or of version 8 if it was asked for with a msgId.
// Its first byte is never zero (the clock of version 7 passed that in 2004), which is what tells a group's ConvID
// from a pair's.
type GroupID [16]byte

// NewGroupID makes an id for a group that is created now.
func NewGroupID(now time.Time) GroupID {
	var g GroupID
	rand.Read(g[8:])
	rand.Read(g[6:8])
	ms := max(uint64(now.UnixMilli()), 1<<40)
	binary.BigEndian.PutUint32(g[0:], uint32(ms>>16))
	binary.BigEndian.PutUint16(g[4:], uint16(ms))
	g[6] = 0x70 | g[6]&0x0f
	g[8] = 0x80 | g[8]&0x3f
	return g
}

// namedGroupID is the id of the group that a user makes with a msgId: a UUIDv8 that follows from both, so that
// the same request makes the same group. Nobody can make another user's.
func namedGroupID(by UserID, msgID string) GroupID {
	sum := sha256.Sum256(append(binary.BigEndian.AppendUint64([]byte("createGroup"), uint64(by)), msgID...))
	g := GroupID(sum[:16])
	g[0] |= 0x80 // not zero
	g[6] = 0x80 | g[6]&0x0f
	g[8] = 0x80 | g[8]&0x3f
	return g
}

// ParseGroupID reads the 36 characters of a group id; ok is false for anything this server cannot have made.
func ParseGroupID(s string) (g GroupID, ok bool) {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return GroupID{}, false
	}
	var digits [32]byte
	n := copy(digits[:], s[0:8])
	n += copy(digits[n:], s[9:13])
	n += copy(digits[n:], s[14:18])
	n += copy(digits[n:], s[19:23])
	copy(digits[n:], s[24:])
	if _, err := hex.Decode(g[:], digits[:]); err != nil || g[0] == 0 {
		return GroupID{}, false
	}
	return g, true
}

// String gives the id in the form of RFC 9562, in lower case.
func (g GroupID) String() string {
	var b [36]byte
	hex.Encode(b[0:8], g[0:4])
	b[8] = '-'
	hex.Encode(b[9:13], g[4:6])
	b[13] = '-'
	hex.Encode(b[14:18], g[6:8])
	b[18] = '-'
	hex.Encode(b[19:23], g[8:10])
	b[23] = '-'
	hex.Encode(b[24:], g[10:])
	return string(b[:])
}

// ConvID names a conversation, and is its key wherever one is needed: comparable, 16 bytes, sorted by byte.
//
//	personal  lower user id u64 | higher user id u64     byte 0 is zero: an id has 53 bits
//	group     the group id's 16 bytes                    byte 0 is not zero
type ConvID [16]byte

// Pair is the personal conversation of two users, whoever speaks; a == b is a user's notes to itself.
func Pair(a, b UserID) ConvID {
	if a > b {
		a, b = b, a
	}
	var c ConvID
	binary.BigEndian.PutUint64(c[:8], uint64(a))
	binary.BigEndian.PutUint64(c[8:], uint64(b))
	return c
}

// Conv is the group's conversation.
func (g GroupID) Conv() ConvID { return ConvID(g) }

// Group is the conversation's group; ok is false for a personal conversation.
func (c ConvID) Group() (g GroupID, ok bool) { return GroupID(c), c[0] != 0 }

// Users are the two users of a personal conversation, the lower first.
func (c ConvID) Users() (lower, higher UserID) {
	return UserID(binary.BigEndian.Uint64(c[:8])), UserID(binary.BigEndian.Uint64(c[8:]))
}

// Peer is the other user of u's personal conversation c.
func (c ConvID) Peer(u UserID) UserID {
	lower, higher := c.Users()
	if lower == u {
		return higher
	}
	return lower
}
