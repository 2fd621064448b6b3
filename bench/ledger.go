package bench

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/msgserver/msgserver/bench/result"
	"github.com/msgserver/msgserver/client"
	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

// ledger knows what was sent and what became of it. A message's msgId says which flow it belongs to and its number
// there, so that a receiver can tell what it should have got before.
type ledger struct {
	run string // prefix of every msgId, so that what an earlier run left on the server is told apart

	mu         sync.Mutex
	flows      []*flow  // guarded by mu
	violations []string // guarded by mu: the first ones
	broken     int64    // guarded by mu: how many there were
	silences   int64    // guarded by mu: requests that were never answered
	silence    string   // guarded by mu: the first of them
	notices    int64    // guarded by mu: missedNoti that came
}

// maxViolations is how many are told in words.
const maxViolations = 10

// flow is what one session sends to one conversation: messages 0, 1, 2, …
type flow struct {
	// Static once the load begins.
	index   int
	from    *session
	to      client.Conversation
	readers []*session // that must get each message

	sent  int64        // owned by the driver that sends; read when it has stopped
	begun atomic.Int64 // the same, for those who read it meanwhile

	mu       sync.Mutex
	acked    int64 // guarded by mu
	refused  spans // guarded by mu: answered with an error that says it is not stored
	unknown  spans // guarded by mu: no answer, which is a violation of its own, or one that leaves it open
	ackedN   int64 // guarded by mu: the highest number that was acknowledged, and its seq
	ackSeq   uint64
	receipts *receipts // guarded by mu: those that came back; nil if none are expected

	seqMu sync.Mutex
	seqs  []uint32 // guarded by seqMu: what each message is called by answers, pushes and pages; 0 while it is not known
}

// flow adds one.
func (l *ledger) flow(from *session, to client.Conversation, readers []*session) *flow {
	l.mu.Lock()
	f := &flow{index: len(l.flows), from: from, to: to, readers: readers, ackedN: -1}
	l.flows = append(l.flows, f)
	l.mu.Unlock()
	for _, s := range readers {
		s.expect(f)
	}
	return f
}

// at gives the flow of a number in a msgId.
func (l *ledger) at(index int) *flow {
	l.mu.Lock()
	defer l.mu.Unlock()
	if index >= len(l.flows) {
		return nil
	}
	return l.flows[index]
}

// msgID names message n of a flow.
func (l *ledger) msgID(f *flow, n int64) string {
	b := make([]byte, 0, 32)
	b = append(append(b, l.run...), '-')
	b = append(strconv.AppendInt(b, int64(f.index), 36), '-')
	return string(strconv.AppendInt(b, n, 36))
}

// parse is what msgID wrote; ok is false for a message that this run did not send.
func (l *ledger) parse(msgID string) (flow int, n int64, ok bool) {
	k := len(l.run)
	if len(msgID) < k+4 || msgID[:k] != l.run || msgID[k] != '-' {
		return 0, 0, false
	}
	f, at, ok := base36(msgID, k+1)
	if !ok || at >= len(msgID) {
		return 0, 0, false
	}
	n, at, ok = base36(msgID, at+1)
	return int(f), n, ok && at == len(msgID)
}

// base36 reads a number up to a '-' or the end.
func base36(s string, at int) (v int64, end int, ok bool) {
	begin := at
	for ; at < len(s) && s[at] != '-'; at++ {
		switch c := s[at]; {
		case c >= '0' && c <= '9':
			v = v*36 + int64(c-'0')
		case c >= 'a' && c <= 'z':
			v = v*36 + int64(c-'a') + 10
		default:
			return 0, at, false
		}
	}
	return v, at, at > begin && at-begin <= 11
}

// violation notes what must never happen.
func (l *ledger) violation(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken++; len(l.violations) < maxViolations {
		l.violations = append(l.violations, fmt.Sprintf(format, args...))
	}
}

// unanswered notes a request that no answer came to.
func (l *ledger) unanswered(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.silences++; l.silences == 1 {
		l.silence = fmt.Sprintf(format, args...)
	}
}

// acknowledge notes that message n is on the server's disk. It returns a violation, or "".
func (f *flow) acknowledge(n int64, seq uint64) (violation string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.acked++
	if (n > f.ackedN) != (seq > f.ackSeq) {
		violation = fmt.Sprintf("flow %d: message %d was acknowledged with seq %d, message %d with seq %d", f.index, f.ackedN, f.ackSeq, n, seq)
	}
	if n > f.ackedN {
		f.ackedN, f.ackSeq = n, seq
	}
	return violation
}

// named notes that message n, which was begun, has a seq, and returns what it was called before, or the same.
func (f *flow) named(n int64, seq uint64) (before uint64) {
	f.seqMu.Lock()
	defer f.seqMu.Unlock()
	for int64(len(f.seqs)) <= n {
		f.seqs = append(f.seqs, 0)
	}
	if f.seqs[n] == 0 {
		f.seqs[n] = uint32(min(seq, math.MaxUint32))
	}
	return uint64(f.seqs[n])
}

// seq is what message n is called, 0 if nothing said so.
func (f *flow) seq(n int64) uint64 {
	f.seqMu.Lock()
	defer f.seqMu.Unlock()
	if n >= int64(len(f.seqs)) {
		return 0
	}
	return uint64(f.seqs[n])
}

// flaw says what is wrong with a message that is said to be message n of the flow, "" if nothing is. A push says that it was
// just stored.
func (f *flow) flaw(n int64, m *codec.MessageBody, push bool) string {
	wrong := f.wrongSeq(n, m.Seq)
	switch state := service.State(m.State); {
	case wrong != "":
		return wrong
	case service.UserID(m.FromUserID) != f.from.user:
		return fmt.Sprintf("says that it is of user %d, and user %d sent it", m.FromUserID, f.from.user)
	case m.SessionID != f.to.Group, service.UserID(m.ToUserID) != f.to.Peer:
		return fmt.Sprintf("says that it is for user %d or group %q, and was sent to user %d or group %q", m.ToUserID, m.SessionID, f.to.Peer, f.to.Group)
	case m.MsgContentType != 1:
		return fmt.Sprintf("is of type %d, and was sent with type 1", m.MsgContentType)
	case push && state != service.StateStored, state < service.StateStored, state > service.StateRead:
		return fmt.Sprintf("has state %d", m.State)
	}
	return ""
}

// wrongSeq says what is wrong with a seq that message n of the flow is given.
func (f *flow) wrongSeq(n int64, seq uint64) string {
	switch {
	case n >= f.begun.Load():
		return "was never sent"
	case seq == 0:
		return "has no seq"
	}
	if before := f.named(n, seq); before != seq {
		return fmt.Sprintf("has seq %d here, and %d elsewhere", seq, before)
	}
	return ""
}

// fail notes that message n was not acknowledged.
func (f *flow) fail(n int64, outcome *spans) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return outcome.add(n, n+1)
}

// open is how many messages have neither been acknowledged nor failed. The driver has stopped.
func (f *flow) open() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sent - f.acked - f.refused.count() - f.unknown.count()
}

// reading is what one receiver has got of one flow.
type reading struct {
	flow *flow
	last *uint64 // the highest seq that came of the conversation, shared by its flows

	next       int64 // the number that comes next
	missing    spans // below next, and not there yet
	got        int64
	duplicated int64
	reordered  int64
	missed     int64 // of what was got: its push was dropped, and it was fetched
	lost       int64 // more than missing can hold
}

// take notes that message n came, and reports whether it is the first time.
func (r *reading) take(n int64) (first bool) {
	switch {
	case n >= r.next:
		if n > r.next && !r.missing.add(r.next, n) {
			r.lost += n - r.next
		}
		r.next = n + 1
	case r.missing.remove(n):
		r.reordered++
	default:
		r.duplicated++
		return false
	}
	r.got++
	return true
}

// lacks is which of the flow's messages did not come.
func (r *reading) lacks(f *flow) spans {
	missing := append(spans(nil), r.missing...)
	if f.sent > r.next {
		missing.add(r.next, f.sent)
	}
	return missing
}

// settled reports whether everything has come that must. What was not acknowledged may have come, too. f.mu is held.
func (r *reading) settled(f *flow) bool {
	if r.lost > 0 || r.got < f.acked {
		return false
	}
	if len(f.refused)+len(f.unknown) == 0 {
		return true
	}
	missing := r.lacks(f)
	return missing.count() <= missing.overlap(f.refused)+missing.overlap(f.unknown)
}

// settled reports whether nothing is on its way any more.
func (f *flow) settled() bool {
	if f.open() > 0 {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.receipts != nil && !f.receipts.settled(f.acked) {
		return false
	}
	for _, s := range f.readers {
		if !s.settled(f) {
			return false
		}
	}
	return true
}

// check judges the whole run. Nothing comes in any more.
func (l *ledger) check() result.Check {
	l.mu.Lock()
	flows := l.flows
	l.mu.Unlock()
	var c result.Check
	l.checkSeqs(flows)
	for _, f := range flows {
		f.mu.Lock()
		c.Sent += f.sent
		c.Acked += f.acked
		for _, s := range f.readers {
			s.judge(f, &c, l)
		}
		if f.receipts != nil {
			f.receipts.mu.Lock()
			f.judge(&f.receipts.reading, "its sender as receipts", false, &c, l)
			f.receipts.mu.Unlock()
		}
		f.mu.Unlock()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c.Violations = append(l.violations, c.Violations...)
	if c.Unanswered = l.silences; l.silences > 0 {
		c.Violations = append(c.Violations[:min(len(c.Violations), maxViolations-1)], fmt.Sprintf("%d requests were never answered, the first of them %s", l.silences, l.silence))
	}
	c.Violations = c.Violations[:min(len(c.Violations), maxViolations)]
	c.Broken, c.Notices = l.broken, l.notices
	return c
}

// numbers are the seqs of a conversation's messages.
type numbers struct {
	seqs   []uint32
	unsure int64 // messages that may have one that nobody has seen
	name   string
	first  uint32 // that a message can have; 0 where changes of a group come before
}

// checkSeqs looks for seqs of a conversation that two messages have or none: they are dense.
func (l *ledger) checkSeqs(flows []*flow) {
	all := map[[2]service.UserID]*numbers{}
	groups := map[string]*numbers{}
	for _, f := range flows {
		pair := [2]service.UserID{min(f.from.user, f.to.Peer), max(f.from.user, f.to.Peer)}
		c := all[pair]
		if f.to.Group != "" {
			c = groups[f.to.Group]
		}
		switch {
		case c != nil:
		case f.to.Group != "":
			c = &numbers{name: "group " + f.to.Group}
			groups[f.to.Group] = c
		default:
			c = &numbers{name: fmt.Sprintf("users %d and %d", pair[0], pair[1]), first: 1}
			all[pair] = c
		}
		c.add(f)
	}
	for _, c := range all {
		c.check(l)
	}
	for _, c := range groups {
		c.check(l)
	}
}

func (c *numbers) add(f *flow) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, seq := range f.seqs {
		if seq > 0 {
			c.seqs = append(c.seqs, seq)
		}
	}
	for _, s := range f.unknown {
		for n := s.lo; n < s.hi; n++ {
			if f.seq(n) == 0 {
				c.unsure++
			}
		}
	}
}

func (c *numbers) check(l *ledger) {
	if len(c.seqs) == 0 {
		return
	}
	slices.Sort(c.seqs)
	last := c.seqs[0]
	holes := int64(0)
	if c.first > 0 {
		holes = int64(last - c.first)
	}
	for _, seq := range c.seqs[1:] {
		if seq == last {
			l.violation("%s: two messages have seq %d", c.name, seq)
			continue
		}
		holes += int64(seq-last) - 1
		last = seq
	}
	if holes > c.unsure {
		l.violation("%s: %d seqs up to %d belong to no message", c.name, holes, last)
	}
}

// judge adds what one receiver got to the check; an absent one did not ask for what it lacks. f.mu is held.
func (f *flow) judge(r *reading, where string, absent bool, c *result.Check, l *ledger) {
	missing := r.lacks(f)
	excused := missing.overlap(f.refused) + missing.overlap(f.unknown)
	lost := missing.count() + r.lost - excused
	c.Expected += f.acked
	if absent {
		c.Expected -= lost
		lost = 0
	}
	c.Delivered += r.got
	c.Lost += lost
	c.Duplicated += r.duplicated
	c.Reordered += r.reordered
	c.Missed += r.missed
	if refused := f.refused.count() - missing.overlap(f.refused); refused > 0 {
		l.violation("flow %d: %d messages that the server refused came to %s", f.index, refused, where)
	}
	if lost > 0 && len(missing) > 0 {
		c.Note("flow %d of user %d: %d acknowledged messages did not come to %s; the first hole begins at message %d",
			f.index, f.from.user, lost, where, missing[0].lo)
	}
}
