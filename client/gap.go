package client

import (
	"slices"
	"time"
)

// This file is the part of the feed that finds out what is missing: after a connection was lost, behind a gap,
// and where there was no room for what came.

// beginSync comes before a connection is made, or when the server has dropped pushes. Then the list of conversations
// is read: listed takes its lines, endSync ends it.
func (f *feed) beginSync() {
	f.syncs++
	f.fresh = false
	for _, t := range f.lines {
		t.floor, t.page = t.handed, historyPage
	}
}

// listed notes that a conversation has entries up to head, and how far the user has confirmed it from anywhere.
// last is the mark of its last message, or nothing.
func (f *feed) listed(conv Conversation, head, delivered uint64, last Mark) {
	t := f.line(conv)
	if head < t.floor { // the server was restored from a backup, and has no epochs
		f.distrust(t)
	}
	t.listed, t.left, t.confirmed = f.syncs, false, delivered
	t.head = max(t.head, head)
	switch {
	case t.doubt && !t.dated():
		f.trust(t, Mark{Seq: min(t.reach, head, delivered)})
	case t.doubt && last.Seq > 0 && last.Seq == min(t.reach, head) && t.shares(last):
		f.trust(t, last)
	case !t.adopted && !t.doubt:
		f.early -= t.begin(delivered)
		if f.dirty = true; last.Seq > 0 && last.Seq <= t.done {
			t.remember(last)
		}
	}
	f.advance(t, time.Time{})
}

// complete reports whether all conversations have a line of the list that need one to begin with: those that came by
// themselves, on a device that does not know all conversations.
func (f *feed) complete() bool {
	if f.synced {
		return true
	}
	for _, t := range f.lines {
		if !t.adopted && !t.doubt && t.listed != f.syncs {
			return false
		}
	}
	return true
}

// endSync asks for the end of every conversation that was not in the list: the user may have been removed from
// a group, and there is an entry that says so.
func (f *feed) endSync() {
	for _, t := range f.lines {
		if t.listed == f.syncs {
			continue
		}
		switch {
		case t.doubt && !t.dated():
			f.trust(t, Mark{Seq: t.reach})
		case t.doubt:
		case !t.adopted:
			f.early -= t.begin(t.head) // it began after the list was read
		default:
			t.probe = !t.left
		}
		f.advance(t, time.Time{})
	}
	if f.fresh = !f.synced; f.fresh {
		f.synced, f.dirty = true, true
	}
}

// discovered notes the first entry of a conversation that the user has not confirmed; it reports false if the
// conversation is known.
func (f *feed) discovered(e Entry) bool {
	if f.lines[e.Conversation] != nil {
		return false
	}
	t := f.line(e.Conversation)
	if f.fresh {
		f.early -= t.begin(e.Seq - 1)
	}
	t.head, t.listed = max(t.head, e.Seq), f.syncs
	f.advance(t, time.Time{})
	return true
}

// fetch is a page to ask the server for: what comes behind after, or with before what comes before that.
type fetch struct {
	conv   Conversation
	after  uint64
	before uint64 // to be checked against what the application was given
	limit  int
	head   uint64 // the newest entry that was known when asking
}

// want says what to ask for now. Otherwise wait is when to look again, 0 if only a change can bring something;
// idle says that nothing is missing at all.
func (f *feed) want(now time.Time) (w fetch, ok bool, wait time.Duration, idle bool) {
	f.prune()
	room := f.limit - len(f.queue)
	if room < (f.limit+3)/4 {
		return fetch{}, false, 0, len(f.lagging) == 0 && len(f.blocked) == 0
	}
	for i, t := range f.lagging {
		if left := gapDelay - now.Sub(t.since); left > 0 {
			if wait == 0 || left < wait {
				wait = left
			}
			continue
		}
		f.lagging = append(f.lagging[:i], f.lagging[i+1:]...)
		t.lagging, f.fetching = false, t
		if t.doubt {
			return fetch{conv: t.conv, before: t.at, limit: min(t.page, checkPage(t))}, true, 0, false
		}
		return fetch{conv: t.conv, after: t.handed, limit: min(room, t.page), head: t.head}, true, 0, false
	}
	return fetch{}, false, wait, len(f.lagging) == 0 && len(f.blocked) == 0
}

// prune forgets the gaps that have closed by themselves.
func (f *feed) prune() {
	kept := f.lagging[:0]
	for _, t := range f.lagging {
		if t.missing() {
			kept = append(kept, t)
		} else {
			t.lagging = false
		}
	}
	clear(f.lagging[len(kept):])
	f.lagging = kept
}

// bound notes that larger pages of what is being fetched were too large.
func (f *feed) bound(page int) { f.fetching.page = page }

// fetched takes the page that was wanted, which covers all seqs up to last; with more there are some behind. own says
// which of its entries this Client sent.
func (f *feed) fetched(w fetch, page []Entry, last uint64, more bool, own func(Entry) bool) {
	t := f.fetching
	f.fetching = nil
	for i := range page {
		if own(page[i]) || slices.Contains(t.mine, page[i].Mark()) {
			t.offer(page[i].Mark(), nil, true)
		} else {
			f.offer(t, &page[i], true)
		}
	}
	t.settle(last, w.head, more)
	f.advance(t, time.Time{})
}

// unfetched gives back what was wanted. gone says that the conversation cannot be read any more: what came
// by itself is all there is.
func (f *feed) unfetched(w fetch, gone bool) {
	t := f.fetching
	f.fetching = nil
	switch {
	case gone && t.doubt:
		f.trust(t, Mark{Seq: t.reach})
		t.probe, t.left = false, true
	case gone:
		t.settle(w.after, w.head, false)
		t.left = true
	}
	f.advance(t, time.Time{})
}
