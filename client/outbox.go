package client

import (
	"container/list"
	"time"
)

// slowStart is how many letters are written to a new connection before one is answered; every answer allows one
// more. A refusal because the server is busy halves what it was, and from there on a whole window of answers allows
// one more. A connection that breaks after a moment then still brings the outbox forward, while a whole outbox
// written at once would be written again and again.
const slowStart = 32

// letter is a message on its way: it stays in the outbox until the server has answered it for good.
type letter struct {
	m      Outgoing
	done   func(Sent, error)
	prompt bool      // done does not block, and is called at once
	turn   int       // on that connection: 1 for the first that was written
	at     time.Time // when it was written
	on     int       // the connection it was written to last; 0: none, or it has to be written again
	ever   bool      // it was written at least once
	place  *list.Element
}

// size is about what the letter takes.
func (l *letter) size() int { return len(l.m.Text) + len(l.m.MsgID) + len(l.m.Group) + 256 }

// outbox holds letters in the order they were sent, up to a number and a size, and says which of them is to be
// written next. It has no lock and no network; its owner is the Client, under mu.
type outbox struct {
	limit, maxBytes int
	letters         list.List
	bytes           int
	byID            map[letterKey]*letter

	// Of the present connection.
	number  int           // counts connections
	next    *list.Element // no letter before it has to be written
	flying  int           // written, not answered
	allowed int           // of flying
	careful int           // allowed grows slowly from here on
	credit  int           // answers since it grew
	turns   int           // letters written
	shrunk  int           // letters written, when allowed shrank
	reached int           // the highest turn that was answered
	heard   time.Time     // the last answer
}

// letterKey names a message: senders may use a msgId once in each conversation.
type letterKey struct {
	conv  Conversation
	msgID string
}

func (l *letter) key() letterKey { return letterKey{l.m.conversation(), l.m.MsgID} }

func newOutbox(limit, maxBytes int) *outbox {
	return &outbox{limit: limit, maxBytes: maxBytes, byID: map[letterKey]*letter{}}
}

// add puts a letter at the end; it reports false if there is no room. One letter always has room.
func (o *outbox) add(l *letter) bool {
	if n := o.letters.Len(); n > 0 && (n >= o.limit || o.bytes+l.size() > o.maxBytes) {
		return false
	}
	l.place = o.letters.PushBack(l)
	if o.next == nil {
		o.next = l.place
	}
	o.bytes += l.size()
	o.byID[l.key()] = l
	return true
}

// remove takes a letter out; it reports false if it is not in any more.
func (o *outbox) remove(l *letter) bool {
	if l.place == nil {
		return false
	}
	if o.next == l.place {
		o.next = l.place.Next()
	}
	o.letters.Remove(l.place)
	l.place = nil
	o.bytes -= l.size()
	if o.byID[l.key()] == l {
		delete(o.byID, l.key())
	}
	return true
}

func (o *outbox) len() int { return o.letters.Len() }

// has reports whether a message with this msgId to this conversation waits for its answer.
func (o *outbox) has(conv Conversation, msgID string) bool {
	return o.byID[letterKey{conv, msgID}] != nil
}

// connected begins with a new connection, to which every letter has to be written.
func (o *outbox) connected() {
	o.number++
	o.flying, o.allowed, o.careful, o.credit = 0, slowStart, max(o.limit, slowStart), 0
	o.turns, o.shrunk, o.reached, o.heard = 0, 0, 0, time.Time{}
	o.rescan()
}

// rescan looks at all letters again: some have to be written once more.
func (o *outbox) rescan() { o.next = o.letters.Front() }

// write gives the next letter to be written to the present connection, nil if there is none or answers have to
// come first.
func (o *outbox) write(now time.Time) *letter {
	for ; o.next != nil && o.flying < o.allowed; o.next = o.next.Next() {
		if l := o.next.Value.(*letter); l.on != o.number {
			o.turns++
			o.flying++
			l.on, l.ever, l.turn, l.at = o.number, true, o.turns, now
			return l
		}
	}
	return nil
}

// answered notes an answer to a letter that was written to a connection; again says that it has to be
// written once more.
func (o *outbox) answered(l *letter, number int, again bool, now time.Time) {
	if number == o.number {
		o.flying--
		o.heard, o.reached = now, max(o.reached, l.turn)
		if !again {
			o.grow()
		}
	}
	if again && l.on == number {
		l.on = 0
	}
}

// grow allows one more after an answer, or after as many as are allowed.
func (o *outbox) grow() {
	if o.credit++; o.allowed < o.careful || o.credit >= o.allowed {
		o.allowed, o.credit = min(o.allowed+1, max(o.limit, slowStart)), 0
	}
}

// shrink allows half as many, once for all the letters that were on their way when the first of them was refused.
func (o *outbox) shrink(refused *letter) {
	if refused.turn <= o.shrunk {
		return
	}
	o.shrunk = o.turns
	o.allowed = max(o.allowed/2, 1)
	o.careful, o.credit = o.allowed, 0
}

// wait is how long the server has until a message that was written counts as not answered, 0 or less if one does:
// for limit after it was written, and as long as others before it are answered. flying is false if none is on its way.
func (o *outbox) wait(now time.Time, limit time.Duration) (wait time.Duration, flying bool) {
	for e := o.letters.Front(); e != nil; e = e.Next() {
		l := e.Value.(*letter)
		if l.on != o.number {
			continue
		}
		since := l.at
		if l.turn > o.reached && o.heard.After(since) {
			since = o.heard
		}
		if left := limit - now.Sub(since); !flying || left < wait {
			wait, flying = left, true
		}
	}
	return wait, flying
}

// empty takes everything out, oldest first.
func (o *outbox) empty() []*letter {
	var all []*letter
	for e := o.letters.Front(); e != nil; e = o.letters.Front() {
		l := e.Value.(*letter)
		o.remove(l)
		all = append(all, l)
	}
	return all
}
