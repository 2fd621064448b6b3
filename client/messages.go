package client

import (
	"context"
	"iter"
	"slices"
	"time"

	"github.com/msgserver/msgserver/codec"
)

// Messages gives the entries of all conversations as they come, those of one conversation in order, without
// a gap and once, beginning where the cursors left off. A conversation that the cursors do not know
// begins with what the user has not confirmed on any device, or if they know others, with its first entry.
//
// An entry counts as done when the loop comes back for the next one, or is left. The error is the last thing
// the iterator gives: that of ctx, or why the Client has stopped. One loop at a time; another goes on where
// it left off.
func (c *Client) Messages(ctx context.Context) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for {
			e, err := c.nextEntry(ctx)
			if err != nil {
				yield(Entry{}, err)
				return
			}
			goOn := yield(*e, nil)
			c.mu.Lock()
			c.feed.done(e)
			c.ringFeed()
			c.mu.Unlock()
			if !goOn {
				return
			}
		}
	}
}

// nextEntry waits for an entry. What came before the Client stopped by itself is still given; after Close
// nothing is, since the cursors are saved.
func (c *Client) nextEntry(ctx context.Context) (*Entry, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		c.mu.Lock()
		if c.err == ErrClosed {
			defer c.mu.Unlock()
			return nil, c.err
		}
		if e, ok := c.feed.take(time.Now()); ok {
			c.ringFeed() // there is room now
			c.mu.Unlock()
			return e, nil
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
