package service

import (
	"hash/maphash"
	"sync"
	"time"
)

// pace bounds what changes of groups a user may cause, and how fast others may put a user into groups.
type pace struct {
	limits Limits // static
	clock  func() time.Time

	mu      sync.Mutex
	changes map[UserID]int // guarded by mu: under way, by who makes them

	// Guarded by mu: how often others put users into groups, in this minute and in the one before.
	now, before *tally
	began       time.Time // of this minute
}

const addEvery = time.Minute

func newPace(l Limits, clock func() time.Time) *pace {
	return &pace{limits: l, clock: clock, changes: map[UserID]int{}, now: newTally()}
}

// tally counts for each user in a fixed space: in each row a user has a cell, which he shares with others, and the
// smallest of his cells is his count or a little more. So nobody can use the space up. Which users share a cell
// nobody knows. With the fastest that the store makes groups a cell counts about 6 users in a minute. (Cormode and
// Muthukrishnan 2005, "count-min sketch".)
type tally struct {
	seeds [tallyRows]maphash.Seed
	cells [tallyRows][tallyCells]uint16
}

const (
	tallyRows  = 3
	tallyCells = 1 << 19
)

func newTally() *tally {
	t := &tally{}
	for i := range t.seeds {
		t.seeds[i] = maphash.MakeSeed()
	}
	return t
}

// of is how often u was counted; 0 of no tally.
func (t *tally) of(u UserID) (n uint16) {
	if t == nil {
		return 0
	}
	n = ^uint16(0)
	for i := range t.cells {
		n = min(n, t.cells[i][maphash.Comparable(t.seeds[i], u)%tallyCells])
	}
	return n
}

// add counts u once more, or once less. Cells that are full stay full.
func (t *tally) add(u UserID, less bool) {
	for i := range t.cells {
		switch cell := &t.cells[i][maphash.Comparable(t.seeds[i], u)%tallyCells]; {
		case *cell == ^uint16(0):
		case !less:
			*cell++
		case *cell > 0:
			*cell--
		}
	}
}

// begin takes one more change of u under way, or fails with Busy. end follows.
func (p *pace) begin(u UserID) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.changes[u] >= p.limits.Changes {
		return Errorf(Busy, "%d changes of groups are under way for you already: wait for their answers before sending more", p.limits.Changes)
	}
	p.changes[u]++
	return nil
}

func (p *pace) end(u UserID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.changes[u]--; p.changes[u] == 0 {
		delete(p.changes, u)
	}
}

// add counts that by puts users into a group, or fails if it is too often for one of them. takeBack follows if it
// does not come to it.
func (p *pace) add(by UserID, who []UserID) error {
	if p.limits.AddsPerMinute < 0 || len(who) == 0 {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turn()
	passed := float64(p.clock().Sub(p.began)) / float64(addEvery)
	for _, u := range who {
		if recent := float64(p.now.of(u)) + float64(p.before.of(u))*(1-passed); u != by && recent >= float64(p.limits.AddsPerMinute) {
			return Errorf(TooLarge, "user %d was put into %d groups by others within a minute, the limit: try it again in a minute", u, p.limits.AddsPerMinute)
		}
	}
	p.count(by, who, false)
	return nil
}

func (p *pace) takeBack(by UserID, who []UserID) {
	if p.limits.AddsPerMinute < 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count(by, who, true)
}

func (p *pace) count(by UserID, who []UserID, less bool) {
	for _, u := range who {
		if u != by {
			p.now.add(u, less)
		}
	}
}

// turn begins another minute when this one is over.
func (p *pace) turn() {
	now := p.clock()
	passed := now.Sub(p.began)
	if passed >= 0 && passed < addEvery {
		return
	}
	if p.before = p.now; passed < 0 || passed >= 2*addEvery {
		p.before = nil
	}
	p.now, p.began = newTally(), now
}
