package storage

import (
	"github.com/msgserver/msgserver/service"
)

// dedupWindow is how many of a conversation's last entries a message is compared with, at least. Those before them are in
// the late table, while it has them.
const dedupWindow = 1024

// dedupSlack is how many more are kept, so that moving on is not needed for every message.
const dedupSlack = 256

// convState is what the committer knows of a conversation. It is owned by the committer.
type convState struct {
	id     service.ConvID
	hash   uint64 // of id, for the late table
	last   service.Seq
	slot   *slot[posting] // where its postings went last
	prints []uint32       // fingerprints of the last entries, up to last
	known  bool           // prints are there
}

func (s *convState) weight() int { return 200 + 4*cap(s.prints) }

// add takes in the next entry; heavier says that the state weighs more now.
func (s *convState) add(p posting) (heavier bool) {
	s.last = p.seq
	if s.full() {
		s.prints = s.prints[:copy(s.prints, s.prints[dedupSlack:])]
	}
	before := cap(s.prints)
	s.prints = append(s.prints, p.print())
	return cap(s.prints) > before
}

// first is the seq of the oldest entry that has its fingerprint here.
func (s *convState) first() service.Seq { return s.last - service.Seq(len(s.prints)) + 1 }

// full reports whether add forgets the oldest dedupSlack fingerprints.
func (s *convState) full() bool { return len(s.prints) == dedupWindow+dedupSlack }

// match finds the newest entry before seq below that has this fingerprint; 0 if none does.
func (s *convState) match(print uint32, below service.Seq) service.Seq {
	first := s.first()
	ps := s.prints[:max(below, first)-first]
	for len(ps) >= 8 {
		t := ps[len(ps)-8:]
		if t[0] == print || t[1] == print || t[2] == print || t[3] == print ||
			t[4] == print || t[5] == print || t[6] == print || t[7] == print {
			break
		}
		ps = ps[:len(ps)-8]
	}
	for i := len(ps) - 1; i >= 0; i-- {
		if ps[i] == print {
			return first + service.Seq(i)
		}
	}
	return 0
}
