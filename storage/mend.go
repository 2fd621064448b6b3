package storage

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/msgserver/msgserver/service"
)

// lost is a record of the log that opening could not read. Its conversation and seq are what it says itself, where that can be
// made out at all: they count only if they fit.
type lost struct {
	gid  uint64
	conv service.ConvID
	seq  service.Seq // 0: it cannot be made out
}

func lostRecord(gid uint64, op []byte) lost {
	l := lost{gid: gid}
	if len(op) > crcSize {
		if h, err := parseEntry(gid, op[:len(op)-crcSize]); err == nil {
			l.conv, l.seq = h.conv, h.seq
		}
	}
	return l
}

// mender puts a posting in the place of every entry that is missing among those that are pending after opening: a
// conversation's seqs stay dense, the index takes them, no seq comes again, and who reads the entry gets the error of its
// record.
type mender struct {
	db   *DB
	x    index
	lost []lost          // in the order of gids
	used []bool          // those that have their place
	says map[entryID]int // which of lost says that it is an entry
}

type entryID struct {
	conv service.ConvID
	seq  service.Seq
}

// mend mends what opening made pending. An entry that was its conversation's last and does not say so any more is
// missed by nobody: all that can be done is to report it.
func (db *DB) mend(ls []lost) error {
	if len(ls) == 0 && db.recent.dense() {
		return nil
	}
	return db.look(func(tx *bbolt.Tx) error {
		m := mender{db, indexOf(tx), ls, make([]bool, len(ls)), map[entryID]int{}}
		for i, l := range ls {
			if l.seq != 0 {
				m.says[entryID{l.conv, l.seq}] = i
			}
		}
		for conv, sl := range db.recent.index.slots {
			if err := m.fill(conv, slices.Clone(sl.items)); err != nil {
				return err
			}
		}
		return m.extend()
	})
}

// dense reports whether no pending conversation has a hole.
func (r *recent) dense() bool {
	for _, sl := range r.index.slots {
		if ps := sl.items; ps[len(ps)-1].seq-ps[0].seq != service.Seq(len(ps)-1) {
			return false
		}
	}
	return true
}

// fill fills the holes before, between and behind the pending postings of a conversation, as far as the index goes.
func (m *mender) fill(conv service.ConvID, ps []posting) error {
	end, err := m.indexed(conv)
	if err != nil {
		return err
	}
	before := posting{seq: ps[0].seq - 1} // what the index has before that need not be pending
	if end.seq < before.seq {
		if before.seq-end.seq > service.Seq(len(m.lost)+maxDamage) {
			return fmt.Errorf("index of conversation %x ends with seq %d, the next posting is of seq %d: %w", conv, end.seq, ps[0].seq, errDamaged)
		}
		before = end
	}
	for _, p := range ps {
		for before.seq+1 < p.seq {
			before = m.missing(conv, before, p, end.seq)
		}
		before = p
	}
	for before.seq < end.seq {
		before = m.missing(conv, before, posting{ref: math.MaxUint64}, end.seq)
	}
	return nil
}

// missing puts in the entry that comes next: what the index says of it, up to seq indexed, or a lost record.
func (m *mender) missing(conv service.ConvID, before, after posting, indexed service.Seq) posting {
	p := posting{seq: before.seq + 1}
	if p.seq <= indexed {
		if ps, err := m.x.postings(nil, conv, p.seq, p.seq); err == nil {
			p = ps[0]
		}
	}
	if p.ref == 0 {
		p.ref = m.between(conv, before, after) << 1
	}
	m.put(conv, p)
	return p
}

// indexed is the last posting of a conversation in the index, nothing if it has none.
func (m *mender) indexed(conv service.ConvID) (posting, error) {
	first, run, count := m.x.tail(conv)
	if count == 0 {
		return posting{}, nil
	}
	ps, err := decodeRun(nil, first, run)
	if err != nil {
		return posting{}, err
	}
	return ps[len(ps)-1], nil
}

// between finds a lost record for the entry after before: that which says so, or the first that says nothing. If there is
// none, the record is not even there, and the gid is of none or of another one's.
func (m *mender) between(conv service.ConvID, before, after posting) uint64 {
	fits := func(i int) bool {
		gid := m.lost[i].gid
		return !m.used[i] && gid > before.gid() && gid < after.gid()
	}
	if i, ok := m.says[entryID{conv, before.seq + 1}]; ok && fits(i) {
		m.used[i] = true
		return m.lost[i].gid
	}
	first, _ := slices.BinarySearchFunc(m.lost, before.gid()+1, func(l lost, gid uint64) int { return cmp.Compare(l.gid, gid) })
	for i := first; i < len(m.lost) && m.lost[i].gid < after.gid(); i++ {
		if m.lost[i].seq == 0 && fits(i) {
			m.used[i] = true
			return m.lost[i].gid
		}
	}
	return before.gid() + 1
}

// extend puts what is lost at the end of a conversation there.
func (m *mender) extend() error {
	for i, l := range m.lost {
		if m.used[i] {
			continue
		}
		if l.seq == 0 {
			m.homeless(l)
			continue
		}
		last, err := m.indexed(l.conv)
		if err != nil {
			return err
		}
		if ps := m.db.recent.index.pending(l.conv); len(ps) > 0 {
			last = ps[len(ps)-1]
		}
		switch {
		case l.seq == last.seq+1 && l.gid > last.gid():
			m.put(l.conv, posting{ref: l.gid << 1, seq: l.seq})
		case l.seq > last.seq:
			m.homeless(l)
		}
	}
	return nil
}

// homeless reports a record that no conversation misses and that does not say where it belongs.
func (m *mender) homeless(l lost) {
	m.db.damaged([1]uint64{l.gid}, fmt.Errorf("record %d is of an unknown conversation: if it was the last there, its seq is given out again, "+
		"and clients that have seen it miss a message: restore a backup: %w", l.gid, errDamaged))
}

func (m *mender) put(conv service.ConvID, p posting) {
	r := m.db.recent
	r.index.insert(conv, p)
	if _, group := conv.Group(); group || p.seq != 1 {
		return
	}
	lower, higher := conv.Users()
	r.convs.insert(lower, listing{p.gid(), conv})
	if higher != lower {
		r.convs.insert(higher, listing{p.gid(), conv})
	}
}
