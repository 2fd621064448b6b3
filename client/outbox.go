package client

import "container/list"

// slowStart is how many letters are written to a new connection before one is answered; every answer allows one
// more. A connection that breaks after a moment then still brings the outbox forward, while a whole outbox
// written at once would be written again and again.
const slowStart = 32

// letter is a message on its way: it stays in the outbox until the server has answered it for good.
type letter struct {
	m     Outgoing
	done  func(Sent, error)
	on    int  // the connection it was written to last; 0: none, or it has to be written again
	ever  bool // it was written at least once
	place *list.Element
}

// size is about what the letter takes.
func (l *letter) size() int { return len(l.m.Text) + len(l.m.MsgID) + len(l.m.Group) + 256 }

// outbox holds letters in the order they were sent, up to a number and a size, and says which of them is to be
// written next. It has no lock and no network; its owner is the Client, under mu.
type outbox struct {
	limit, maxBytes int
	letters         list.List
	bytes           int
	byID            map[string]*letter

	// Of the present connection.
	number  int           // counts connections
	next    *list.Element // no letter before it has to be written
	flying  int           // written, not answered
	allowed int           // of flying
}

func newOutbox(limit, maxBytes int) *outbox {
	return &outbox{limit: limit, maxBytes: maxBytes, byID: map[string]*letter{}}
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
	o.byID[l.m.MsgID] = l
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
	if o.byID[l.m.MsgID] == l {
		delete(o.byID, l.m.MsgID)
	}
	return true
}

func (o *outbox) len() int { return o.letters.Len() }

// has reports whether a message with this msgId waits for its answer.
func (o *outbox) has(msgID string) bool { return o.byID[msgID] != nil }

// connected begins with a new connection, to which every letter has to be written.
func (o *outbox) connected() {
	o.number++
	o.flying, o.allowed = 0, slowStart
	o.rescan()
}

// rescan looks at all letters again: some have to be written once more.
func (o *outbox) rescan() { o.next = o.letters.Front() }

// write gives the next letter to be written to the present connection, nil if there is none or answers have to
// come first.
func (o *outbox) write() *letter {
	for ; o.next != nil && o.flying < o.allowed; o.next = o.next.Next() {
		if l := o.next.Value.(*letter); l.on != o.number {
			l.on, l.ever = o.number, true
			o.flying++
			return l
		}
	}
	return nil
}

// answered notes an answer to a letter that was written to a connection; again says that it has to be
// written once more.
func (o *outbox) answered(l *letter, number int, again bool) {
	if number == o.number {
		o.flying--
		o.allowed = min(o.allowed+1, max(o.limit, slowStart))
	}
	if again && l.on == number {
		l.on = 0
	}
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
