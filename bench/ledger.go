package bench

import (
	"fmt"
	"strconv"
	"sync"

	"github.com/msgserver/msgserver/bench/result"
	"github.com/msgserver/msgserver/client"
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

	sent int64 // owned by the driver that sends; read when it has stopped

	mu       sync.Mutex
	acked    int64 // guarded by mu
	refused  spans // guarded by mu: answered with an error that says it is not stored
	unknown  spans // guarded by mu: no answer, which is a violation of its own, or one that leaves it open
	ackedN   int64 // guarded by mu: the highest number that was acknowledged, and its seq
	ackSeq   uint64
	receipts *receipts // guarded by mu: those that came back; nil if none are expected
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
	next       int64 // the number that comes next
	missing    spans // below next, and not there yet
	got        int64
	duplicated int64
	reordered  int64
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
	c.Broken = l.broken
	return c
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
	if refused := f.refused.count() - missing.overlap(f.refused); refused > 0 {
		l.violation("flow %d: %d messages that the server refused came to %s", f.index, refused, where)
	}
	if lost > 0 && len(missing) > 0 {
		c.Note("flow %d of user %d: %d acknowledged messages did not come to %s; the first hole begins at message %d",
			f.index, f.from.user, lost, where, missing[0].lo)
	}
}
