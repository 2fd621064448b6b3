package storage

import (
	"errors"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"github.com/msgserver/msgserver/service"
)

// lateWindow is for how long a message is recognized, at least, however many came after it, while there is space.
const lateWindow = 10 * time.Minute

// lateTable has the fingerprints of entries that are no longer among the last ones of their conversations, so that a message
// that is sent again minutes and thousands of others later is still known. It is owned by the committer.
//
// What leaves a conversation goes into the newer of two generations. When that is lateWindow old, or full, it becomes the older
// one, and what was the older one is forgotten. A slot is 8 bytes: a hash of conversation and fingerprint, and the low half
// of the seq. Equal hashes are told apart by reading.
type lateTable struct {
	most         int // slots of a generation
	newer, older lateGeneration

	// For stats.
	began   atomic.Int64 // date from which on nothing was forgotten
	entries atomic.Int64
}

// lateGeneration is a hash table whose entries lie in the order of their hashes, about, so that it grows from front to
// back. At most half of it is full.
type lateGeneration struct {
	slots []uint64 // hash<<32 | low half of the seq; 0: empty
	shift int      // hash>>shift is where one belongs
	count int
	began int64 // date
}

const leastLate = 1 << 10 // slots

func newLateTable(budget int, now int64) *lateTable {
	most := leastLate
	for 2*2*8*most <= budget {
		most *= 2
	}
	t := &lateTable{most: most, newer: newGeneration(leastLate, now), older: newGeneration(leastLate, now)}
	t.began.Store(now)
	return t
}

func newGeneration(slots int, now int64) lateGeneration {
	shift := 32
	for n := slots; n > 1; n /= 2 {
		shift--
	}
	return lateGeneration{slots: make([]uint64, slots), shift: shift, began: now}
}

// lateHash is where a fingerprint of a conversation is found.
func lateHash(conv uint64, print uint32) uint32 {
	x := conv ^ uint64(print)*0x9E3779B97F4A7C15 // and the finalizer of SplitMix64
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return max(1, uint32(x>>32))
}

// age forgets what is old enough.
func (t *lateTable) age(now int64) {
	if now-t.newer.began >= lateWindow.Milliseconds() {
		t.turn(now)
	}
}

// turn begins a generation. It takes the space of the one it forgets if that is about as large as will be needed: to
// begin small costs 3 ns an entry for growing.
func (t *lateTable) turn(now int64) {
	freed := t.older
	t.older = t.newer
	t.newer = freed
	if len(freed.slots) > 8*t.older.count+leastLate {
		t.newer = newGeneration(leastLate, now)
	} else {
		clear(t.newer.slots)
		t.newer.count, t.newer.began = 0, now
	}
	t.began.Store(t.older.began)
	t.entries.Store(int64(t.older.count))
}

// add takes in the fingerprints of consecutive entries of a conversation, the first of which has this seq.
func (t *lateTable) add(conv uint64, seq service.Seq, prints []uint32, now int64) {
	for i, print := range prints {
		if print == 0 {
			continue
		}
		if 2*t.newer.count >= len(t.newer.slots) {
			if len(t.newer.slots) < t.most {
				t.newer.grow()
			} else {
				t.turn(now)
			}
		}
		t.newer.add(lateHash(conv, print), uint32(seq)+uint32(i))
	}
	t.entries.Store(int64(t.newer.count + t.older.count))
}

func (g *lateGeneration) add(hash, seq uint32) {
	slot := uint64(hash)<<32 | uint64(seq)
	for i := int(hash >> g.shift); ; i++ {
		if i == len(g.slots) {
			i = 0
		}
		switch g.slots[i] {
		case slot:
			return
		case 0:
			g.slots[i] = slot
			g.count++
			return
		}
	}
}

func (g *lateGeneration) grow() {
	larger := newGeneration(2*len(g.slots), g.began)
	for _, slot := range g.slots {
		if slot != 0 {
			larger.add(uint32(slot>>32), uint32(slot))
		}
	}
	*g = larger
}

// find appends the seqs before first, of a conversation that ends at last, that may have a fingerprint.
func (t *lateTable) find(seqs []service.Seq, conv uint64, print uint32, first, last service.Seq) []service.Seq {
	hash := lateHash(conv, print)
	for _, g := range []*lateGeneration{&t.newer, &t.older} {
		for i := int(hash >> g.shift); g.slots[i] != 0; {
			if uint32(g.slots[i]>>32) == hash {
				back := service.Seq(uint32(last) - uint32(g.slots[i]))
				if back < last && last-back < first {
					seqs = append(seqs, last-back)
				}
			}
			if i++; i == len(g.slots) {
				i = 0
			}
		}
	}
	return seqs
}

// After a start the table is empty. Until lateWindow is over, a conversation's entries from before the start are read when
// the conversation is, back to the gid that was lateWindow old.
const (
	lateBack  = 1 << 16 // entries, at most
	lateChunk = 1 << 12
	mostBack  = 1 << 17 // conversations of which it is remembered that they were read
)

// readBack adds to the table what is older than the fingerprints that s was loaded with.
func (c *committer) readBack(s *convState, oldest uint64) error {
	if c.now-c.opened >= lateWindow.Milliseconds() {
		c.back = nil
		return nil
	}
	first := s.first()
	if _, done := c.back[s.hash]; done || first <= 1 || oldest < c.backTo {
		return nil
	}
	if len(c.back) < mostBack {
		c.back[s.hash] = struct{}{}
	}
	for read := 0; first > 1 && oldest >= c.backTo && read < lateBack; read += lateChunk {
		w := c.db.recent.window(s.id, first-1, lateChunk, service.Backward)
		tx, err := c.view()
		if err != nil {
			return err
		}
		page, err := w.page(tx)
		switch {
		case errors.Is(err, errDamaged):
			return nil // new messages need not wait for what nobody can read
		case err != nil || len(page) == 0:
			return err
		}
		prints := make([]uint32, len(page))
		for i := range page {
			if page[i].gid() >= c.backTo {
				prints[i] = page[i].print()
			}
		}
		first, oldest = page[0].seq, page[0].gid()
		c.late.add(s.hash, first, prints, c.now)
	}
	return nil
}

// gidSince is about the first gid in the log whose entry is from a date or later, and not after it. Dates never go
// back.
func (db *DB) gidSince(date int64) (gid uint64, err error) {
	err = db.look(func(tx *bbolt.Tx) error {
		cur := tx.Bucket(bucketLog).Cursor()
		first, _ := cur.First()
		last, _ := cur.Last()
		if first == nil {
			return nil
		}
		lo, hi := gidOfKey(first), gidOfKey(last)+1
		for lo < hi {
			mid := lo + (hi-lo)/2
			k, op := cur.Seek(keyOfGid(mid))
			h, err := unsealEntry(gidOfKey(k), op)
			if err == nil && h.date < date { // of a damaged one nothing is known: look further back
				lo = gidOfKey(k) + 1
			} else {
				hi = mid
			}
		}
		gid = lo
		return nil
	})
	return gid, err
}
