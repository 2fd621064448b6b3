package client

import (
	"context"
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/msgserver/msgserver/codec"
)

// Messages gives the entries of all conversations as they come, those of one conversation in order, without
// a gap and once, beginning where the cursors left off. A conversation that the cursors do not know
// begins with what the user has not confirmed on any device, or if they know others, with its first entry. A seq that
// is not above the last one of its conversation means that the server was restored from a backup: what the
// application has from that seq on is no longer there.
//
// An entry counts as handled when the loop comes back for the next one. It does not when the loop is left with break,
// return or a panic: the next loop, or the next Client, is given it again, unless it was given to Ack. With
// ClientOptions.ByAck an entry counts as handled only by Ack, which may come later, from anywhere and in any order; the
// loop waits while ClientOptions.Queue entries are not. What is handled is confirmed, and moves the cursor, as far as
// everything before it in its conversation is handled, too.
//
// The error is the last thing the iterator gives: that of ctx, why the Client has stopped, or ErrSecondLoop. One loop at
// a time; another goes on where it left off.
func (c *Client) Messages(ctx context.Context) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		if !c.beginLoop() {
			yield(Entry{}, ErrSecondLoop)
			return
		}
		defer c.endLoop()
		for {
			e, err := c.nextEntry(ctx)
			if err != nil {
				yield(Entry{}, err)
				return
			}
			if !c.give(*e, yield) {
				return
			}
		}
	}
}

// ErrSecondLoop says that there is a loop over Messages already.
var ErrSecondLoop = errors.New("another loop over Messages is running: a Client has one at a time")

func (c *Client) beginLoop() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := !c.looping
	c.looping = true
	return first
}

func (c *Client) endLoop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.looping = false
}

// give has the loop handle an entry. Also if it panics, the entry is not handled.
func (c *Client) give(e Entry, yield func(Entry, error) bool) (goOn bool) {
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		switch {
		case c.opts.ByAck:
		case goOn:
			c.feed.done(e)
		default:
			c.feed.giveBack(e)
		}
		c.ringFeed()
		c.changed.ring()
	}()
	return yield(e, nil)
}

// Ack says that an entry of Messages is handled. It may be called again, and with ClientOptions.ByAck unset too: then
// before the loop is left.
func (c *Client) Ack(e Entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.feed.done(e)
	c.ringFeed()
	c.arrived.ring()
	c.changed.ring()
}

// nextEntry waits for an entry. What came before the Client stopped by itself is still given; after Close
// nothing is, since the cursors are saved.
func (c *Client) nextEntry(ctx context.Context) (*Entry, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		c.mu.Lock()
		if c.err == ErrClosed || c.closing {
			c.mu.Unlock()
			return nil, ErrClosed
		}
		if !c.opts.ByAck || c.feed.out < c.opts.Queue {
			if e, ok := c.feed.take(time.Now()); ok {
				c.ringFeed() // there is room now
				c.mu.Unlock()
				return e, nil
			}
		}
		if c.err != nil {
			defer c.mu.Unlock()
			return nil, c.err
		}
		arrived := c.arrived.wait()
		c.mu.Unlock()
		select {
		case <-arrived:
		case <-ctx.Done():
		}
	}
}

// History gives a conversation's entries, page by page: with HasAfter those behind After, oldest first, to the
// end; otherwise those before Before, or from the newest, newest first, to the beginning. Limit is that of a
// page. It moves no cursor and confirms nothing, and goes on over lost connections. A server that says that there is more and
// gives nothing new is an error.
func (c *Client) History(ctx context.Context, from HistoryPage) iter.Seq2[Entry, error] {
	from.Conversation = conversation(from.Group, from.Peer)
	return func(yield func(Entry, error) bool) {
		for {
			var page *codec.Timeline
			var err error
			from.Limit, err = halving(from.Limit, func(limit int) error {
				from.Limit = limit
				return c.Do(ctx, func(conn *Conn) (err error) {
					page, err = conn.HistoryPage(ctx, from)
					return err
				})
			})
			if err != nil {
				yield(Entry{}, err)
				return
			}
			if !from.HasAfter {
				slices.Reverse(page.Messages)
			}
			at := from.Before
			if from.HasAfter {
				at = from.After
			}
			began := at
			for _, item := range page.Messages {
				e, next, ok := step(c.user, from.Conversation, item, at, !from.HasAfter)
				if at = next; ok && !yield(e, nil) {
					return
				}
			}
			switch {
			case !page.More || !from.HasAfter && at == 1:
				return
			case at == began || at == 0:
				yield(Entry{}, noProgress(from.Conversation, began))
				return
			case from.HasAfter:
				from.After = at
			default:
				from.Before = at
			}
		}
	}
}

// Sessions lists the conversations of the user, most recent first, page by page. One that moves to the front meanwhile
// may be missing: what a listing must not miss comes through Messages.
func (c *Client) Sessions(ctx context.Context) iter.Seq2[codec.SessionBody, error] {
	return func(yield func(codec.SessionBody, error) bool) {
		for after, limit := "", sessionPage; ; {
			var list *codec.SessionList
			var err error
			limit, err = halving(limit, func(limit int) error {
				return c.Do(ctx, func(conn *Conn) (err error) {
					list, err = conn.Sessions(ctx, limit, after)
					return err
				})
			})
			if err != nil {
				yield(codec.SessionBody{}, err)
				return
			}
			for _, s := range list.Sessions {
				if !yield(s, nil) {
					return
				}
			}
			if !list.More || list.After == "" || list.After == after {
				return
			}
			after = list.After
		}
	}
}
