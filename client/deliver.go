package client

import (
	"context"
	"errors"
	"time"

	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

// Send sends a message and waits until the server has it on its disk, however many connections that takes. The
// server stores it once. When ctx ends first the message is not repeated any more; an error that wraps
// ErrUnknownOutcome then means that the server may have it.
func (c *Client) Send(ctx context.Context, m Outgoing) (Sent, error) {
	type outcome struct {
		sent Sent
		err  error
	}
	answered := make(chan outcome, 1)
	l, err := c.enqueue(ctx, m, func(s Sent, err error) { answered <- outcome{s, err} })
	if err != nil {
		return Sent{}, err
	}
	select {
	case o := <-answered:
		return o.sent, o.err
	case <-ctx.Done():
	}
	c.mu.Lock()
	withdrawn := c.outbox.remove(l)
	c.changed.ring()
	c.mu.Unlock()
	if !withdrawn {
		o := <-answered
		return o.sent, o.err
	}
	return Sent{}, l.lost(ctx.Err())
}

// SendAsync puts a message into the outbox; done runs exactly once, when the server has answered it for good or
// the Client has stopped. done must not block. SendAsync waits while the outbox is full; an error means
// that the message was not sent and done will not run.
//
// Messages to one conversation are stored in the order they were sent, unless the server is too busy for
// one of them (service.Busy, service.Unavailable) and takes the next: that one is sent again.
func (c *Client) SendAsync(ctx context.Context, m Outgoing, done func(Sent, error)) error {
	_, err := c.enqueue(ctx, m, done)
	return err
}

func (c *Client) enqueue(ctx context.Context, m Outgoing, done func(Sent, error)) (*letter, error) {
	m.complete()
	if err := m.check(c.opts.Conn.Format, c.opts.Conn.MaxFrame); err != nil {
		return nil, err
	}
	l := &letter{m: m, done: done}
	for {
		c.mu.Lock()
		err, changed := c.err, c.changed.wait()
		if err == nil && c.draining {
			err = ErrClosed
		}
		if err == nil && c.outbox.add(l) {
			c.postAll()
			c.mu.Unlock()
			return l, nil
		}
		c.mu.Unlock()
		if err != nil {
			return nil, notSent(codec.Message, err)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, notSent(codec.Message, ctx.Err())
		}
	}
}

// postAll writes what may be written to the present connection, in order; c.mu is held. If the connection has just
// ended the letters go out on the next one.
func (c *Client) postAll() {
	if c.conn == nil || c.pause != nil {
		return
	}
	for l := c.outbox.write(); l != nil; l = c.outbox.write() {
		number := l.on
		err := c.conn.post(&l.m, call{label: codec.Message, sent: func(s Sent, err error) { c.answered(l, number, s, err) }})
		if err != nil {
			return
		}
	}
}

// answered takes the answer to a letter, on the goroutine that reads.
func (c *Client) answered(l *letter, number int, sent Sent, err error) {
	if errors.Is(err, ErrUnknownOutcome) {
		return // the connection has ended; the next one repeats it
	}
	code, refused := CodeOf(err)
	again := refused && code.Retry()
	c.mu.Lock()
	c.outbox.answered(l, number, again)
	if err == nil {
		c.feed.own(l.m.conversation(), sent.Seq, time.Now())
		c.ringFeed()
		c.busy.tries = 1
	}
	mine := false
	if again {
		c.hold()
	} else {
		mine = c.outbox.remove(l)
		c.changed.ring()
	}
	c.postAll()
	c.mu.Unlock()
	if mine {
		l.done(sent, err)
	}
}

// hold keeps the outbox back for a while, because the server is busy; c.mu is held.
func (c *Client) hold() {
	if c.pause != nil || c.err != nil {
		return
	}
	c.pause = time.AfterFunc(c.busy.next(0), func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.pause != nil {
			c.pause = nil
			c.outbox.rescan()
			c.postAll()
		}
	})
}

// release ends a pause with the connection that it was for; c.mu is held.
func (c *Client) release() {
	if c.pause != nil {
		c.pause.Stop()
		c.pause = nil
	}
}

// lost is what the sender of a letter without an answer is told.
func (l *letter) lost(why error) error {
	if l.ever {
		return unanswered(codec.Message, why)
	}
	return notSent(codec.Message, why)
}

// conversation is where a message goes.
func (m *Outgoing) conversation() Conversation { return conversation(m.Group, m.To) }

func conversation(group string, peer service.UserID) Conversation {
	if group != "" {
		return Conversation{Group: group}
	}
	return Conversation{Peer: peer}
}
