package client

import (
	"slices"
	"time"

	"github.com/msgserver/msgserver/service"
)

const (
	// gapDelay is how long a gap may close by itself: an answer to a message of one's own may come a little
	// after the push of the message behind it.
	gapDelay = 20 * time.Millisecond
	// historyPage is how many entries are fetched at a time; the protocol's limit.
	historyPage = 200
	// maxEarly is how many entries wait ahead of their turn, over all conversations, in multiples of the queue.
	maxEarly = 4
)

// feed is what comes in for the application: timelines in order, and a bounded queue of what it can take.
// Whatever does not fit is forgotten but for its seq, and fetched when there is room. It has no lock and no
// network, and is told the time; its owner is the Client, under mu.
type feed struct {
	user  service.UserID
	limit int // of queue

	lines    map[Conversation]*timeline
	queue    []*Entry
	early    int         // entries ahead of their turn
	blocked  []*timeline // have an entry whose turn it is, but there was no room
	lagging  []*timeline // miss something
	confirms []*timeline // have something to confirm
	telling  int         // of what confirm gave, not confirmedTo yet
	fetching *timeline   // was asked for
	out      int         // entries in the application's hands
	epoch    string      // of the server's data; "" if it does not say
	synced   bool        // every conversation of the server is known
	fresh    bool        // the last sync was the first one
	syncs    int         // how often the list was read
	dirty    bool        // a cursor has moved since cursors
}

func newFeed(user service.UserID, limit int) *feed {
	return &feed{user: user, limit: limit, lines: map[Conversation]*timeline{}}
}

// restore begins where cursors left off. With partial there may be more conversations that the application knows.
func (f *feed) restore(cursors []Cursor, partial bool) {
	f.synced = !partial
	for _, c := range cursors {
		f.lines[c.Conversation] = &timeline{
			conv: c.Conversation, adopted: true, handed: c.Seq, done: c.Seq, head: c.Seq, confirmed: c.Seq, left: c.Left,
			page: historyPage, epoch: c.Epoch, marks: slices.Clone(c.Marks),
		}
	}
}

// cursors is how far the application has come in every conversation.
func (f *feed) cursors() []Cursor {
	f.dirty = false
	all := make([]Cursor, 0, len(f.lines))
	for conv, t := range f.lines {
		if t.adopted || t.doubt {
			all = append(all, Cursor{
				Conversation: conv, Seq: t.done, Left: t.left && t.settled(), Epoch: t.epoch, Marks: slices.Clone(t.marks),
			})
		}
	}
	return all
}

func (f *feed) line(conv Conversation) *timeline {
	t := f.lines[conv]
	if t == nil {
		// Once every conversation is known, one that is not is new: it is delivered from its beginning.
		t = &timeline{conv: conv, adopted: f.synced, page: historyPage, epoch: f.epoch}
		f.lines[conv] = t
	}
	return t
}

// pushed takes an entry that the server pushed; own says that this Client sent it.
func (f *feed) pushed(e Entry, own bool, now time.Time) {
	if t := f.line(e.Conversation); !own && !t.adopted && (t.first == 0 || e.Seq < t.first) {
		t.first = e.Seq
	}
	f.came(e, own, now)
}

// came takes an entry that the server pushed or answered with.
func (f *feed) came(e Entry, own bool, now time.Time) {
	if own {
		f.own(e.Conversation, e.Mark(), now)
		return
	}
	t := f.line(e.Conversation)
	if e.Seq > t.handed {
		t.left = false
	}
	f.offer(t, &e, f.early < maxEarly*f.limit)
	f.advance(t, now)
}

// own notes a message that this Client sent: the application knows it.
func (f *feed) own(conv Conversation, mark Mark, now time.Time) {
	t := f.line(conv)
	t.offer(mark, nil, true)
	f.advance(t, now)
}

func (f *feed) offer(t *timeline, e *Entry, keep bool) {
	if t.offer(e.Mark(), e, keep) {
		f.early++
	}
}

// advance queues what has its turn, and notes what is missing.
func (f *feed) advance(t *timeline, now time.Time) {
	for e := t.next(); e != nil; e = t.next() {
		if len(f.queue) >= f.limit {
			if !t.blocked {
				t.blocked = true
				f.blocked = append(f.blocked, t)
			}
			return
		}
		f.queue = append(f.queue, e)
		t.advance()
		t.queued++
		t.left = e.leaves(f.user)
		f.early--
	}
	f.moved(t)
	if t.missing() && !t.lagging && t != f.fetching {
		t.lagging, t.since = true, now
		f.lagging = append(f.lagging, t)
	}
}

// moved notes how far the application is with a conversation.
func (f *feed) moved(t *timeline) {
	if t.adopted && t.settled() && t.handed > t.done {
		t.finish(t.handed)
		f.dirty = true
	}
	if t.adopted && t.done > t.confirmed && !t.confirms {
		t.confirms = true
		f.confirms = append(f.confirms, t)
	}
}

// take gives the next entry for the application; done must follow.
func (f *feed) take(now time.Time) (e *Entry, ok bool) {
	if len(f.queue) == 0 {
		return nil, false
	}
	e = f.queue[0]
	f.queue[0] = nil
	if f.queue = f.queue[1:]; len(f.queue) == 0 {
		f.queue = nil
	}
	t := f.lines[e.Conversation]
	t.queued--
	t.hand = append(t.hand, held{entry: e})
	f.out++
	for len(f.blocked) > 0 && len(f.queue) < f.limit {
		t := f.blocked[0]
		f.blocked, t.blocked = f.blocked[1:], false
		f.advance(t, now)
	}
	return e, true
}

// done notes that the application has handled an entry. One that it does not have, or that the server has forgotten,
// is passed over.
func (f *feed) done(e Entry) {
	t := f.lines[e.Conversation]
	i := t.held(e)
	if i < 0 {
		return
	}
	t.hand[i].handled = true
	for len(t.hand) > 0 && t.hand[0].handled {
		first := t.hand[0].entry
		t.hand = t.hand[1:]
		f.out--
		if len(t.hand) == 0 {
			t.hand = nil
		}
		t.finish(first.Seq)
		t.remember(first.Mark())
		f.dirty = true
	}
	f.moved(t)
}

// giveBack takes an entry back from the application, which is given it next.
func (f *feed) giveBack(e Entry) {
	t := f.lines[e.Conversation]
	i := t.held(e)
	if i < 0 {
		return
	}
	f.queue = append([]*Entry{t.hand[i].entry}, f.queue...)
	t.hand = slices.Delete(t.hand, i, i+1)
	t.queued++
	f.out--
}

// confirm gives a conversation in which the server does not know yet how far the application is.
func (f *feed) confirm() (conv Conversation, seq uint64, ok bool) {
	if len(f.confirms) == 0 {
		return conv, 0, false
	}
	t := f.confirms[0]
	f.confirms, t.confirms = f.confirms[1:], false
	if t.doubt { // what the server has there is another thing
		return f.confirm()
	}
	f.telling++
	return t.conv, t.done, true
}

// unconfirmed reports whether there is anything to confirm, or on its way.
func (f *feed) unconfirmed() bool { return len(f.confirms)+f.telling > 0 }

// confirmedTo notes that the server knows, or need not know; with 0 that it has to be told again.
func (f *feed) confirmedTo(conv Conversation, seq uint64) {
	f.telling--
	t := f.lines[conv]
	t.confirmed = max(t.confirmed, seq)
	f.moved(t)
}
