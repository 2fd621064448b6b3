package service

import (
	"time"
)

// Limits bounds what one request may ask for. The zero value of a field means its default.
type Limits struct {
	Members      int // of one group; default 10,000
	Groups       int // that one user is in; default 2,000
	Content      int // bytes of a message's content; default 64 KiB
	Name         int // bytes of a group's name; default 256
	ReceiptGroup int // members up to which a sender is told of each receipt; default 500
	Page         int // entries of one page; default 200
	PageDefault  int // entries of a page whose size was not asked for; default 50
	PageBytes    int // Size of entries after which a page ends early; default 1 MiB

	Changes       int // of groups that one user may have under way; default 4
	AddsPerMinute int // how often others may put a user into a group within a minute; default 60; below 0: no limit
}

// Limits that are part of the protocol and not configurable.
const (
	MaxMsgID     = 128  // bytes of a msgId
	MaxHeadImage = 2048 // bytes of a group's groupHeadImage
	MaxUnread    = 9999 // as far as unread messages are counted
)

func (l Limits) withDefaults() Limits {
	for _, f := range []struct {
		field *int
		value int
	}{
		{&l.Members, 10_000}, {&l.Groups, 2_000}, {&l.Content, 64 << 10}, {&l.Name, 256},
		{&l.ReceiptGroup, 500}, {&l.Page, 200}, {&l.PageDefault, 50}, {&l.PageBytes, 1 << 20}, {&l.Changes, 4},
	} {
		if *f.field <= 0 {
			*f.field = f.value
		}
	}
	if l.AddsPerMinute == 0 {
		l.AddsPerMinute = 60
	}
	return l
}

// Service answers the labels. It is safe for concurrent use.
type Service struct {
	// Static after New.
	store  Store
	router Router
	limits Limits
	clock  func() time.Time
	pace   *pace
}

// New makes a Service that keeps its data in store and reaches users through router.
func New(store Store, router Router, limits Limits, clock func() time.Time) *Service {
	limits = limits.withDefaults()
	return &Service{store: store, router: router, limits: limits, clock: clock, pace: newPace(limits, clock)}
}

// Limits are the limits in force.
func (s *Service) Limits() Limits { return s.limits }

// Caller says who asks: the user that the session is bound to. Claimed is the user the request's own body
// names, if it does: it has to be the same one.
type Caller struct {
	User    UserID
	Session SessionID
	Claimed UserID
	Claims  bool
	Reads   *Reading // what a reading request may hold; nil: anything
}

func (c Caller) verify() error {
	if c.Claims && c.Claimed != c.User {
		return Errorf(Denied, "this connection is bound to user %d and cannot speak for user %d", c.User, c.Claimed)
	}
	return nil
}

// Turn gathers the writes of one turn of an event loop, so that they reach the store together.
// It is owned by that loop.
type Turn struct{ appends []Append }

// Submit hands what the turn gathered to the store and empties it for the next one.
func (s *Service) Submit(t *Turn) {
	if len(t.appends) == 0 {
		return
	}
	batch := t.appends
	t.appends = batch[:0]
	s.store.Append(batch)
	clear(batch)
}
