package service

import (
	"sync"
	"time"
)

// pace bounds what changes of groups a user may cause, and how fast others may put a user into groups.
type pace struct {
	limits Limits // static
	clock  func() time.Time

	mu      sync.Mutex
	changes map[UserID]int // guarded by mu: under way, by who makes them

	// Guarded by mu: how often others put a user into a group, in this minute and in the one before.
	now, before map[UserID]uint16
	began       time.Time // of this minute
}

const (
	// maxAdded is how many users are counted in a minute. Beyond it nobody is put into a group by others.
	maxAdded = 1 << 20
	addEvery = time.Minute
)

func newPace(l Limits, clock func() time.Time) *pace {
	return &pace{limits: l, clock: clock, changes: map[UserID]int{}, now: map[UserID]uint16{}}
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

// mayAdd fails if by may not put one of who into a group now.
func (p *pace) mayAdd(by UserID, who []UserID) error {
	if p.limits.AddsPerMinute < 0 {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turn()
	if len(p.now)+len(who) > maxAdded {
		return Errorf(Busy, "too many users are being put into groups: send it again later")
	}
	passed := float64(p.clock().Sub(p.began)) / float64(addEvery)
	for _, u := range who {
		if recent := float64(p.now[u]) + float64(p.before[u])*(1-passed); u != by && recent >= float64(p.limits.AddsPerMinute) {
			return Errorf(TooLarge, "user %d was put into %d groups by others within a minute, the limit: try it again in a minute", u, p.limits.AddsPerMinute)
		}
	}
	return nil
}

// added notes that by has put who into a group.
func (p *pace) added(by UserID, who []UserID) {
	if p.limits.AddsPerMinute < 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turn()
	for _, u := range who {
		if n := p.now[u]; u != by && n < ^uint16(0) {
			p.now[u] = n + 1
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
	p.now, p.began = map[UserID]uint16{}, now
}
