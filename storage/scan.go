package storage

import (
	"encoding/binary"

	"github.com/msgserver/msgserver/service"
)

// errDamaged says that stored bytes are not what was written.
var errDamaged = service.ErrDamaged

// scan takes stored bytes apart. After the first thing that is not there it is bad and gives zeros.
type scan struct {
	b   []byte
	bad bool
}

func (s *scan) take(n uint64) []byte {
	if n > uint64(len(s.b)) {
		s.b, s.bad = nil, true
		return nil
	}
	taken := s.b[:n]
	s.b = s.b[n:]
	return taken
}

func (s *scan) uvarint() uint64 {
	v, n := binary.Uvarint(s.b)
	if n <= 0 {
		s.b, s.bad = nil, true
		return 0
	}
	s.b = s.b[n:]
	return v
}

func (s *scan) varint() int64 {
	v, n := binary.Varint(s.b)
	if n <= 0 {
		s.b, s.bad = nil, true
		return 0
	}
	s.b = s.b[n:]
	return v
}

func (s *scan) byte() byte {
	if b := s.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (s *scan) conv() (c service.ConvID) {
	copy(c[:], s.take(uint64(len(c))))
	return c
}

func (s *scan) text() string { return string(s.take(s.uvarint())) }

// users reads what appendUsers wrote.
func (s *scan) users() []service.UserID {
	n := s.uvarint()
	if n > uint64(len(s.b)) { // each takes at least a byte
		s.b, s.bad = nil, true
	}
	if n == 0 || s.bad {
		return nil
	}
	us := make([]service.UserID, n)
	var last service.UserID
	for i := range us {
		last += service.UserID(s.uvarint())
		us[i] = last
	}
	return us
}

func appendText(b []byte, t string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(t))), t...)
}

// usersSize is about how many bytes appendUsers takes, and not less: no distance takes more than the last user.
func usersSize(us []service.UserID) int {
	if len(us) == 0 {
		return 1
	}
	var b [binary.MaxVarintLen64]byte
	return len(b) + len(us)*binary.PutUvarint(b[:], uint64(us[len(us)-1]))
}

// appendUsers writes a sorted list: its length, then the distances.
func appendUsers(b []byte, us []service.UserID) []byte {
	b = binary.AppendUvarint(b, uint64(len(us)))
	var last service.UserID
	for _, u := range us {
		b = binary.AppendUvarint(b, uint64(u-last))
		last = u
	}
	return b
}
