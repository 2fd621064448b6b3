package storage

import (
	"bytes"
	"cmp"
	"sync"
	"sync/atomic"

	"github.com/msgserver/msgserver/service"
)

// recent is what is acknowledged but not in its final place in bbolt: ops that are only in the journal (the
// tail), and postings, personal conversations and marks that are not in their tables (the sweeps).
//
// Everything moves from here into bbolt in one direction: the applier commits it, then drops it here. So whoever
// looks here first and begins his bbolt transaction afterwards misses nothing: what is no longer here was
// committed before it was dropped, and he sees it there. What he finds in both places is the same, by gid or seq.
type recent struct {
	mu sync.RWMutex

	// Guarded by mu.
	applied uint64   // gid: everything up to here is in bbolt
	ops     [][]byte // ops[i] is that of gid applied+1+i
	bytes   int      // of ops
	changes []membership
	index   *sweep[service.ConvID, posting]
	convs   *sweep[service.UserID, listing]
	marks   *sweep[markKey, marking]

	// drops counts how often something was dropped. A bbolt transaction that began after it was read and while
	// it still is the same shows all that is not here.
	drops atomic.Uint64
}

// listing is a personal conversation that is not in its user's list in bbolt yet.
type listing struct {
	at   uint64 // gid of the first entry
	conv service.ConvID
}

func (l listing) gid() uint64 { return l.at }

// marking is where marks are that are not in bbolt yet.
type marking struct {
	at    uint64 // gid of the receipt
	marks service.Marks
}

func (m marking) gid() uint64 { return m.at }

// membership is a change of a group that is not applied yet, and what it did to the members.
type membership struct {
	gid          uint64
	group        service.GroupID
	seq          service.Seq
	joined, left []service.UserID // sorted
	weight       int              // in the share of changes
}

// staged is one op on its way: decided, encoded, and after the sync published.
type staged struct {
	gid     uint64
	op      []byte
	conv    service.ConvID
	state   *convState // of conv, if the committer has it; nil for a receipt
	posting posting    // of an entry
	user    service.UserID
	marks   service.Marks // of a receipt
	group   *groupState   // after a change
	change  *change
	weight  int // of the change in their share
}

func newRecent(applied uint64, bound int) *recent {
	return &recent{
		applied: applied,
		index: newSweep[service.ConvID, posting](func(a, b service.ConvID) int {
			return bytes.Compare(a[:], b[:])
		}, bound, false),
		convs: newSweep[service.UserID, listing](cmp.Compare[service.UserID], bound, false),
		marks: newSweep[markKey, marking](func(a, b markKey) int {
			return cmp.Or(bytes.Compare(a.conv[:], b.conv[:]), cmp.Compare(a.user, b.user))
		}, bound, true),
	}
}

// publish shows a synced batch to readers, whole.
func (r *recent) publish(batch []staged) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range batch {
		s := &batch[i]
		r.ops = append(r.ops, s.op)
		r.bytes += len(s.op)
		if s.posting.ref == 0 {
			r.marks.replace(markKey{s.conv, s.user}, marking{s.gid, s.marks})
			continue
		}
		if s.state != nil {
			s.state.slot = r.index.add(s.conv, s.state.slot, s.posting)
		} else {
			r.index.add(s.conv, nil, s.posting)
		}
		r.list(s.conv, s.posting)
		if s.change != nil {
			r.changes = append(r.changes, s.membership())
		}
	}
}

// list puts a personal conversation into the lists of its users when it begins.
func (r *recent) list(c service.ConvID, p posting) {
	if _, group := c.Group(); group || p.seq != 1 {
		return
	}
	lower, higher := c.Users()
	r.convs.add(lower, nil, listing{p.gid(), c})
	if higher != lower {
		r.convs.add(higher, nil, listing{p.gid(), c})
	}
}

// membership is what a change does to its group's members.
func (s *staged) membership() membership {
	return membership{s.gid, service.GroupID(s.conv), s.posting.seq, s.change.add, s.change.remove, s.weight}
}

// tail gives the oldest ops that are not applied, up to a number, about a size, and a number of members that join
// or leave, unless one op alone is over it; and the gid before them.
func (r *recent) tail(most, size, moves int) (ops [][]byte, after uint64) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for i := range r.changes {
		c := &r.changes[i]
		if moves -= len(c.joined) + len(c.left); moves < 0 && i > 0 {
			most = min(most, int(c.gid-r.applied-1))
			break
		}
	}
	n := 0
	for n < len(r.ops) && n < most && size > 0 {
		size -= len(r.ops[n])
		n++
	}
	return r.ops[:n:n], r.applied
}

// dropTail forgets the oldest ops: they are in bbolt. It says what their changes weighed.
func (r *recent) dropTail(n int) (weight int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drops.Add(1)
	for i := range n {
		r.bytes -= len(r.ops[i])
		r.ops[i] = nil
	}
	r.ops = r.ops[n:]
	r.applied += uint64(n)
	keep := 0
	for keep < len(r.changes) && r.changes[keep].gid <= r.applied {
		weight += r.changes[keep].weight
		keep++
	}
	if r.changes = r.changes[keep:]; len(r.changes) == 0 {
		r.changes = nil
	}
	return weight
}

// dropSwept forgets, a few at a time, what a sweep handed out and bbolt now has.
func dropSwept[K comparable, T item](r *recent, s *sweep[K, T], taken []swept[K, T]) {
	for len(taken) > 0 {
		n := min(len(taken), lockedSteps)
		r.mu.Lock()
		r.drops.Add(1)
		s.drop(taken[:n])
		r.mu.Unlock()
		taken = taken[n:]
	}
}

// op is that of a gid, nil if it is applied. The caller holds mu.
func (r *recent) op(gid uint64) []byte {
	if gid <= r.applied {
		return nil
	}
	return r.ops[gid-r.applied-1]
}

// memberships are the changes of members that are not applied. The slice stays as it is.
func (r *recent) memberships() []membership {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.changes[:len(r.changes):len(r.changes)]
}

// gids are the last gid in bbolt and the last one of all.
func (r *recent) gids() (applied, last uint64) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.applied, r.applied + uint64(len(r.ops))
}

// size is the bytes of the tail.
func (r *recent) size() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.bytes
}
