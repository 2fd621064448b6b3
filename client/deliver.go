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
	answered := make(chan outcome, 1)
	l := &letter{m: m, prompt: true}
	l.done = func(s Sent, err error) { answered <- outcome{l, s, err} }
	err := c.enqueue(ctx, l)
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
// the Client has stopped. The calls of done come one after the other, on a goroutine of their own: done may send,
// and wait, but holds up the others. SendAsync waits while the outbox is full; an error means that the message
// was not sent and done will not run.
//
// Messages to one conversation are stored in the order they were sent, unless the server is too busy for
// one of them (service.Busy, service.Unavailable) and takes the next: that one is sent again.
func (c *Client) SendAsync(ctx context.Context, m Outgoing, done func(Sent, error)) error {
	return c.enqueue(ctx, &letter{m: m, done: done})
}

func (c *Client) enqueue(ctx context.Context, l *letter) error {
	l.m.complete()
	if err := l.m.check(c.opts.Conn.Format, c.opts.Conn.MaxFrame); err != nil {
		return err
	}
	for {
		c.mu.Lock()
		err, changed := c.err, c.changed.wait()
		if err == nil && c.draining {
			err = ErrClosed
		}
		if err == nil && c.outbox.add(l) {
			c.postAll()
			c.mu.Unlock()
			return nil
		}
		c.mu.Unlock()
		if err != nil {
			return notSent(codec.Message, err)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return notSent(codec.Message, ctx.Err())
		}
	}
}

// postAll writes what may be written to the present connection, in order; c.mu is held. If the connection has just
// ended the letters go out on the next one.
func (c *Client) postAll() {
	if c.conn == nil || c.pause != nil {
		return
	}
	for l := c.outbox.write(time.Now()); l != nil; l = c.outbox.write(time.Now()) {
		number := l.on
		err := c.conn.post(&l.m, call{label: codec.Message, sent: func(s Sent, err error) { c.answered(l, number, s, err) }})
		if err != nil {
			return
		}
	}
	if c.watch == nil && c.outbox.flying > 0 {
		conn := c.conn
		c.watch = time.AfterFunc(c.opts.RequestTimeout, func() { c.look(conn) })
	}
}

// look ends a connection on which a message has no answer, and otherwise looks again when the next may be late.
func (c *Client) look(conn *Conn) {
	c.mu.Lock()
	if c.watch == nil || c.conn != conn {
		c.mu.Unlock()
		return
	}
	wait, flying := c.outbox.wait(time.Now(), c.opts.RequestTimeout)
	switch {
	case !flying:
		c.watch = nil
	case wait > 0:
		c.watch.Reset(wait)
	}
	c.mu.Unlock()
	if flying && wait <= 0 {
		conn.end(lateAnswer(codec.Message, c.opts.RequestTimeout))
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
	c.outbox.answered(l, number, again, time.Now())
	if err == nil {
		mark := messageMark(sent.Seq, sent.ServerReceiveDate, codec.ID(c.user), l.m.MsgID)
		c.feed.own(l.m.conversation(), mark, time.Now())
		c.ringFeed()
		c.busy.tries = 1
	}
	if again {
		c.hold(l, err)
	} else {
		if c.outbox.remove(l) {
			c.conclude(l, sent, err)
		}
		c.changed.ring()
	}
	c.postAll()
	c.mu.Unlock()
}

// outcome is what became of a letter.
type outcome struct {
	l    *letter
	sent Sent
	err  error
}

// conclude has the sender of a letter told what became of it; c.mu is held.
func (c *Client) conclude(l *letter, sent Sent, err error) {
	if l.prompt {
		l.done(sent, err)
		return
	}
	c.outcomes = append(c.outcomes, outcome{l, sent, err})
	if !c.reports {
		c.reports = true
		c.all.Go(c.report)
	}
}

// report tells outcomes in order, until there are no more. It is not the goroutine that reads: that must go on
// while somebody waits for room in the outbox.
func (c *Client) report() {
	for {
		c.mu.Lock()
		all := c.outcomes
		c.outcomes = nil
		c.reports = len(all) > 0
		c.mu.Unlock()
		if len(all) == 0 {
			return
		}
		for _, o := range all {
			o.l.done(o.sent, o.err)
		}
	}
}

// hold keeps the outbox back for a while, because the server is busy, and then writes less at once; c.mu is held.
func (c *Client) hold(l *letter, busy error) {
	if c.err != nil {
		return
	}
	if c.pause != nil { // another one of the same window
		var refused *Error
		if errors.As(busy, &refused) && time.Until(c.until) < refused.RetryAfter {
			c.until = time.Now().Add(refused.RetryAfter)
			c.pause.Reset(refused.RetryAfter)
		}
		return
	}
	c.outbox.shrink(l)
	wait := c.busy.after(busy)
	c.until = time.Now().Add(wait)
	c.pause = time.AfterFunc(wait, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.pause != nil {
			c.pause = nil
			c.outbox.rescan()
			c.postAll()
		}
	})
}

// release ends the timers with the connection that they were for; c.mu is held.
func (c *Client) release() {
	if c.watch != nil {
		c.watch.Stop()
		c.watch = nil
	}
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
