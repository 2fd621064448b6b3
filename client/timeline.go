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

	early map[uint64]early // ahead of their turn
	own   int              // how many of early are messages of one's own

	// For the feed.
	queued    int       // entries in its queue
	hand      []held    // what the application has and is not done with, in order
	done      uint64    // the application is done with everything up to here
	marks     []Mark    // of the last entries up to done
	mine      []Mark    // of messages of one's own behind done
	epoch     string    // of the server's data that done is about
	doubt     bool      // the server was restored: whether it has what the application was given is to be checked
	reach     uint64    // with doubt: the last entry that the application was given
	at        uint64    // with doubt: from here on nothing is shared
	confirmed uint64    // what the server knows to be delivered
	blocked   bool      // in feed.blocked
	lagging   bool      // in feed.lagging
	since     time.Time // when it began to lag; zero: there is no need to wait
	confirms  bool      // in feed.confirms
	listed    int       // the sync that has seen it in the list
}

// early is an entry, or without one a message of one's own.
type early struct {
	entry *Entry
	mark  Mark
}

// held is an entry in the application's hands.
type held struct {
	entry   *Entry
	handled bool // but one before it is not
}

// offer notes an entry wherever its place is, and reports whether it is kept. e is nil for a message of one's
// own, whose place must be filled all the same. With keep false only its existence is noted.
func (t *timeline) offer(mark Mark, e *Entry, keep bool) bool {
	seq := mark.Seq
	if t.adopted && seq <= t.handed {
		return false
	}
	t.head = max(t.head, seq)
	if _, there := t.early[seq]; there || !keep || e == nil && t.own >= maxOwn {
		return false
	}
	if t.early == nil {
		t.early = map[uint64]early{}
	}
	if t.early[seq] = (early{e, mark}); e == nil {
		t.own++
	}
	return true
}

// begin says that everything up to base is old news. What came by itself is never older than that. It returns how many
// entries it threw away.
func (t *timeline) begin(base uint64) (dropped int) {
	if t.first > 0 {
		base = min(base, t.first-1)
	}
	t.adopted, t.handed, t.done, t.head = true, base, base, max(t.head, base)
	for seq, early := range t.early {
		if seq > base {
			continue
		}
		if delete(t.early, seq); early.entry == nil {
			t.own--
		} else {
			dropped++
		}
	}
	return dropped
}

// unlearn forgets what the server has. It returns how many entries it threw away.
func (t *timeline) unlearn() (dropped int) {
	dropped = len(t.early) - t.own
	t.early, t.own = nil, 0
	t.adopted, t.handed, t.head, t.known, t.first, t.floor, t.probe = false, 0, 0, 0, 0, 0, false
	return dropped
}

// next gives the entry whose turn it is, nil if it is not here or there is none.
func (t *timeline) next() *Entry {
	for t.adopted && t.handed < t.head {
		seq := t.handed + 1
		e, there := t.early[seq]
		switch {
		case e.entry != nil:
			return e.entry
		case there:
			delete(t.early, seq)
			t.own--
			t.handed = seq
			t.passed(e.mark)
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
		return t.doubt
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
