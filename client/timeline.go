package client

import "time"

// maxOwn is how many messages of one's own a timeline remembers ahead of its turn.
const maxOwn = 1024

// timeline puts the entries of one conversation in order, once each, and knows what is missing. It has no
// lock, no clock and no network; its owner is the feed.
//
//	1 … handed | known: what is not early does not concern us | early, with gaps … head
type timeline struct {
	conv    Conversation
	adopted bool   // handed says where to begin
	handed  uint64 // up to here everything was handed over or is none of the application's business
	known   uint64 // up to here the server was asked: whatever is not early is not for this user
	head    uint64 // the newest entry that is known to exist
	first   uint64 // until adopted: the oldest entry that came by itself
	floor   uint64 // handed, before the list is read
	probe   bool   // head may be out of date: ask the server
	page    int    // how many entries are fetched at a time
	left    bool   // the user is not in the group any more

	early map[uint64]*Entry // ahead of their turn; nil for a message of one's own
	own   int               // how many of early are nil

	// For the feed.
	queued    int       // entries that were handed over and are not done
	done      uint64    // the application is done with everything up to here
	confirmed uint64    // what the server knows to be delivered
	blocked   bool      // in feed.blocked
	lagging   bool      // in feed.lagging
	since     time.Time // when it began to lag; zero: there is no need to wait
	confirms  bool      // in feed.confirms
	listed    int       // the sync that has seen it in the list
}

// offer notes an entry wherever its place is, and reports whether it is kept. e is nil for a message of one's
// own, whose place must be filled all the same. With keep false only its existence is noted.
func (t *timeline) offer(seq uint64, e *Entry, keep bool) bool {
	if t.adopted && seq <= t.handed {
		return false
	}
	t.head = max(t.head, seq)
	if !t.adopted && (t.first == 0 || seq < t.first) {
		t.first = seq
	}
	if _, there := t.early[seq]; there || !keep || e == nil && t.own >= maxOwn {
		return false
	}
	if t.early == nil {
		t.early = map[uint64]*Entry{}
	}
	if t.early[seq] = e; e == nil {
		t.own++
	}
	return true
}

// begin says that everything up to base is old news. What came by itself is never older than that.
func (t *timeline) begin(base uint64) {
	if t.first > 0 {
		base = min(base, t.first-1)
	}
	t.adopted, t.handed, t.done, t.head = true, base, base, max(t.head, base)
}

// rewind begins again at head: the server has forgotten what was behind it, and uses its seqs again. It gives
// how many entries it threw away; what is not of the past among them is fetched.
func (t *timeline) rewind(head uint64) (dropped int) {
	dropped = len(t.early) - t.own
	t.early, t.own = nil, 0
	t.handed, t.done, t.head, t.known, t.confirmed, t.probe = head, head, head, 0, 0, true
	return dropped
}

// next gives the entry whose turn it is, nil if it is not here or there is none.
func (t *timeline) next() *Entry {
	for t.adopted && t.handed < t.head {
		seq := t.handed + 1
		e, there := t.early[seq]
		switch {
		case e != nil:
			return e
		case there:
			delete(t.early, seq)
			t.own--
			t.handed = seq
		case seq <= t.known:
			t.handed = t.lastHole()
		default:
			return nil
		}
	}
	return nil
}

// lastHole is where the run of seqs ends that are not for us.
func (t *timeline) lastHole() uint64 {
	last := t.known
	for seq := range t.early {
		last = min(last, seq-1)
	}
	return last
}

// advance moves on over the entry that next gave.
func (t *timeline) advance() {
	t.handed++
	delete(t.early, t.handed)
}

// missing reports whether the server must be asked for what comes next.
func (t *timeline) missing() bool {
	if !t.adopted {
		return false
	}
	_, there := t.early[t.handed+1]
	return t.probe || t.handed < t.head && !there
}

// settle notes that the server was asked for everything behind handed, when head was asked, and that the
// entries of its answer were offered, up to last. With more to come, head is not the end; otherwise there
// is nothing for us up to asked but what was offered.
func (t *timeline) settle(last, asked uint64, more bool) {
	t.known = max(t.known, last)
	if t.probe = more; !more {
		t.known = max(t.known, asked)
	}
	t.head = max(t.head, t.known)
}
