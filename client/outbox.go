package client

import "container/list"

// letter is a message on its way: it stays in the outbox until the server has answered it for good.
type letter struct {
	m      Outgoing
	done   func(Sent, error)
	on     *Conn // the connection it was written to last; nil: none, or it has to be written again
	posted bool  // it was written at least once
	place  *list.Element
}

// size is about what the letter takes.
func (l *letter) size() int { return len(l.m.Text) + len(l.m.MsgID) + len(l.m.Group) + 256 }

// outbox holds letters in the order they were sent, up to a number and a size. It has no lock and no network;
// its owner is the Client, under mu.
type outbox struct {
	limit, maxBytes int
	letters         list.List
	bytes           int
	byID            map[string]*letter
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
	o.bytes += l.size()
	o.byID[l.m.MsgID] = l
	return true
}

// remove takes a letter out; it reports false if it is not in any more.
func (o *outbox) remove(l *letter) bool {
	if l.place == nil {
		return false
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

// unposted gives the letters that are not on conn, oldest first.
func (o *outbox) unposted(conn *Conn) []*letter {
	var all []*letter
	for e := o.letters.Front(); e != nil; e = e.Next() {
		if l := e.Value.(*letter); l.on != conn {
			all = append(all, l)
		}
	}
	return all
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
