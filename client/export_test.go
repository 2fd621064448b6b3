package client

import (
	"time"

	"github.com/msgserver/msgserver/service"
)

// What the tests of the pure parts reach.

func NewBackoff(min, max time.Duration, random func() float64) func(lived time.Duration) time.Duration {
	b := &backoff{min: min, max: max, random: random}
	return b.next
}

type Feed struct{ f *feed }

func NewFeed(user service.UserID, limit int) Feed { return Feed{newFeed(user, limit)} }

func (f Feed) Restore(cursors []Cursor)                          { f.f.restore(cursors, false) }
func (f Feed) Cursors() []Cursor                                 { return f.f.cursors() }
func (f Feed) Pushed(e Entry, own bool, now time.Time)           { f.f.pushed(e, own, now) }
func (f Feed) Own(conv Conversation, seq uint64, now time.Time)  { f.f.own(conv, Mark{Seq: seq}, now) }
func (f Feed) Take(now time.Time) (*Entry, bool)                 { return f.f.take(now) }
func (f Feed) Done(e *Entry)                                     { f.f.done(*e) }
func (f Feed) Confirm() (conv Conversation, seq uint64, ok bool) { return f.f.confirm() }
func (f Feed) ConfirmedTo(conv Conversation, seq uint64)         { f.f.confirmedTo(conv, seq) }
func (f Feed) BeginSync()                                        { f.f.beginSync() }
func (f Feed) Listed(conv Conversation, head, delivered uint64) {
	f.f.listed(conv, head, delivered, Mark{})
}
func (f Feed) Discovered(e Entry) bool      { return f.f.discovered(e) }
func (f Feed) EndSync()                     { f.f.endSync() }
func (f Feed) Unfetched(w Fetch, gone bool) { f.f.unfetched(w.w, gone) }
func (f Feed) Want(now time.Time) (Fetch, bool, time.Duration, bool) {
	w, ok, wait, idle := f.f.want(now)
	return Fetch{w}, ok, wait, idle
}

func (f Feed) Fetched(w Fetch, page []Entry, more bool, own func(Entry) bool) {
	last := w.w.after
	for _, e := range page {
		last = max(last, e.Seq)
	}
	f.f.fetched(w.w, page, last, more, own)
}

// Kept is how much waits, in the queue and ahead of its turn.
func (f Feed) Kept() (queued, early, counted int) {
	for _, t := range f.f.lines {
		early += len(t.early) - t.own
	}
	return len(f.f.queue), early, f.f.early
}

// Owned is how many messages of one's own are remembered ahead of their turn.
func (f Feed) Owned() (own int) {
	for _, t := range f.f.lines {
		own += t.own
	}
	return own
}

type Fetch struct{ w fetch }

func (w Fetch) Conv() Conversation { return w.w.conv }
func (w Fetch) After() uint64      { return w.w.after }
func (w Fetch) Limit() int         { return w.w.limit }
