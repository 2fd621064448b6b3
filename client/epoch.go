package client

import (
	"hash/fnv"
	"slices"
	"strconv"
	"time"

	"github.com/msgserver/msgserver/codec"
)

// This file is what a restore from a backup takes. The server's data has an epoch, and another one after a restore. Then
// each conversation is as it was at the time of the backup, and goes on from there with seqs that were used before. What
// the application was given up to that point both sides share; the cursor goes back to its end, and what is behind it is
// delivered. Until that end is found the conversation is in doubt: its cursor stays that of the old epoch, and nothing
// is confirmed.
//
// It is found by marks of the last entries that the application was given. The server dates its entries in their order, and
// those it wrote after the restore later than all that it had delivered before. So going back from the cursor, an
// entry of which there is a mark is shared if it has the same, and any other if its date is not behind those of the marks.

// maxMarks is how many marks a conversation keeps: one would do if clocks were never set back.
const maxMarks = 4

// maxMine is how many messages of one's own a conversation remembers that the application has sent and not reached yet.
const maxMine = 16

// Mark tells an entry from another one that has its seq after a restore of the server. A Cursor has some.
type Mark struct {
	Seq  uint64
	Date int64  // the server's, Unix milliseconds
	Sum  uint32 // of what else does not change about an entry
}

// Mark is the mark of an entry.
func (e Entry) Mark() Mark {
	m := Mark{Seq: e.Seq}
	switch body := e.Content.(type) {
	case *codec.MessageBody:
		return messageMark(e.Seq, body.ServerReceiveDate, body.FromUserID, body.MsgID)
	case *codec.GroupBody:
		m.Date, m.Sum = body.UpdateDate, sum(e.Label, body.UserID.ID, "")
	case *codec.MembersBody:
		m.Date, m.Sum = body.ServerReceiveDate, sum(e.Label, body.UserID, "")
	case *codec.UnknownBody:
		m.Date, m.Sum = body.ServerReceiveDate, sum(e.Label, body.FromUserID, "")
	}
	return m
}

func messageMark(seq uint64, date int64, from codec.ID, msgID string) Mark {
	return Mark{Seq: seq, Date: date, Sum: sum(codec.Message, from, msgID)}
}

func sum(label codec.Label, from codec.ID, msgID string) uint32 {
	h := fnv.New32a()
	b := strconv.AppendUint(append([]byte(label), ' '), uint64(from), 10)
	h.Write(append(append(b, ' '), msgID...)) // never fails
	return h.Sum32()
}

// serves notes the epoch of the server that is about to be listened to.
func (f *feed) serves(epoch string) {
	if f.epoch = epoch; epoch == "" {
		return
	}
	for _, t := range f.lines {
		switch {
		case t.doubt || t.epoch != "" && t.epoch != epoch:
			f.distrust(t)
		case t.epoch == "":
			t.epoch, f.dirty = epoch, true
		}
	}
}

// distrust begins to doubt a conversation: its seqs may be those of other entries now.
func (f *feed) distrust(t *timeline) {
	if !t.doubt {
		t.doubt, t.reach = true, t.done
		if n := len(t.hand); n > 0 {
			t.reach = t.hand[n-1].entry.Seq
		}
	}
	t.at = t.reach + 1
	f.early -= t.unlearn()
	f.forget(t, t.reach)
}

// forget throws away what is in the queue behind a seq.
func (f *feed) forget(t *timeline, seq uint64) {
	f.queue = slices.DeleteFunc(f.queue, func(e *Entry) bool {
		gone := e.Conversation == t.conv && e.Seq > seq
		if gone {
			t.queued--
		}
		return gone
	})
}

// trust ends the doubt: up to last, which is kept as a mark, the server has what the application was given.
func (f *feed) trust(t *timeline, last Mark) {
	shared := last.Seq
	f.forget(t, shared)
	t.hand = slices.DeleteFunc(t.hand, func(h held) bool {
		gone := h.entry.Seq > shared
		if gone {
			f.out--
		}
		return gone
	})
	t.marks = slices.DeleteFunc(t.marks, func(m Mark) bool { return m.Seq > shared })
	done := t.done
	f.early -= t.begin(shared)
	t.done = min(done, t.done)
	if len(t.marks) == 0 && t.done >= shared {
		t.remember(last)
	}
	t.doubt, t.epoch, t.probe, f.dirty = false, f.epoch, t.listed != f.syncs, true
	f.advance(t, time.Time{})
}

// checked takes the page that was wanted to end a doubt, which reaches down to lowest.
func (f *feed) checked(page []Entry, lowest uint64, more bool) {
	t := f.fetching
	f.fetching = nil
	for _, e := range slices.Backward(page) {
		if e.Seq <= t.reach && t.shares(e.Mark()) {
			f.trust(t, e.Mark())
			return
		}
	}
	if t.at = lowest; !more || lowest <= 1 {
		f.trust(t, Mark{})
		return
	}
	f.advance(t, time.Time{})
}

// checkPage is how many entries are looked at: few at first, since most conversations have not changed.
func checkPage(t *timeline) int {
	if t.at > t.reach {
		return 2 * maxMarks
	}
	return historyPage
}

// shares reports whether an entry of the server up to reach is one that the application was given.
func (t *timeline) shares(m Mark) bool {
	newest := int64(0)
	for k := range t.given() {
		if k.Seq == m.Seq {
			return k == m
		}
		newest = max(newest, k.Date)
	}
	return m.Date > 0 && m.Date <= newest
}

// dated reports whether there is anything to go by.
func (t *timeline) dated() bool {
	for k := range t.given() {
		if k.Date > 0 {
			return true
		}
	}
	return false
}

// given gives the marks of what the application was given.
func (t *timeline) given() func(func(Mark) bool) {
	return func(yield func(Mark) bool) {
		for _, h := range t.hand {
			if !yield(h.entry.Mark()) {
				return
			}
		}
		for _, m := range t.marks {
			if !yield(m) {
				return
			}
		}
	}
}

// settled reports whether the application has all that was handed over behind it.
func (t *timeline) settled() bool { return t.queued == 0 && len(t.hand) == 0 }

// held is the place in hand of an entry that is not handled, -1 if it has none.
func (t *timeline) held(e Entry) int {
	if t == nil {
		return -1
	}
	return slices.IndexFunc(t.hand, func(h held) bool {
		return !h.handled && h.entry.Seq == e.Seq && h.entry.Content == e.Content
	})
}

// passed notes the mark of a message of one's own whose turn it was.
func (t *timeline) passed(m Mark) {
	if t.settled() {
		t.remember(m)
		return
	}
	if len(t.mine) == maxMine {
		t.mine = slices.Delete(t.mine, 0, 1)
	}
	t.mine = append(t.mine, m)
}

// finish notes that the application is done up to a seq.
func (t *timeline) finish(seq uint64) {
	t.done = seq
	for len(t.mine) > 0 && t.mine[0].Seq <= seq {
		t.remember(t.mine[0])
		t.mine = t.mine[1:]
	}
}

// remember keeps the marks of the last entries.
func (t *timeline) remember(m Mark) {
	if m.Date == 0 {
		return
	}
	t.marks = append(t.marks, m)
	slices.SortFunc(t.marks, func(a, b Mark) int { return int(int64(a.Seq) - int64(b.Seq)) })
	if len(t.marks) > maxMarks {
		t.marks = slices.Delete(t.marks, 0, len(t.marks)-maxMarks)
	}
}
