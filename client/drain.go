package client

import (
	"context"
	"errors"
	"fmt"
)

// Drain sends nothing more that is new, waits until everything in the outbox is answered and what the application
// has taken is confirmed, and closes. If ctx ends before, it closes too and says how many messages have no answer.
func (c *Client) Drain(ctx context.Context) error {
	c.mu.Lock()
	c.draining = true
	c.changed.ring()
	var err error
	for err == nil && c.owes() {
		changed := c.changed.wait()
		c.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			err = ctx.Err()
		}
		c.mu.Lock()
	}
	left := c.outbox.len()
	c.mu.Unlock()
	if err != nil {
		err = fmt.Errorf("%d messages have no answer: %w", left, err)
	}
	return errors.Join(err, c.close(ctx))
}

// owes reports whether the server has to be told something yet; c.mu is held.
func (c *Client) owes() bool {
	confirms := c.conn != nil && !c.opts.NoConfirm && c.feed.unconfirmed()
	return c.err == nil && (c.outbox.len() > 0 || confirms)
}

// Close ends the connection and everything else, and saves the cursors; its error is that of saving. Messages
// without an answer end with ErrUnknownOutcome, those that were never written with ErrClosed. Before that it waits for
// the entries that the application is handling, for at most ClientOptions.CloseWait: a loop over Messages that is to call
// Close itself is left first.
func (c *Client) Close() error { return c.close(context.Background()) }

func (c *Client) close(ctx context.Context) error {
	c.awaitHandled(ctx)
	c.stop(ErrClosed)
	c.all.Wait()
	return c.saveCursors()
}

// awaitHandled gives the application nothing more, and waits until it is done with what it has.
func (c *Client) awaitHandled(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, c.opts.CloseWait)
	defer cancel()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closing = true
	c.arrived.ring()
	for c.err == nil && c.feed.out > 0 && ctx.Err() == nil {
		changed := c.changed.wait()
		c.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		c.mu.Lock()
	}
}

// stop ends the Client once.
func (c *Client) stop(why error) {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	c.err = why
	for _, l := range c.outbox.empty() {
		c.conclude(l, Sent{}, l.lost(why))
	}
	c.release()
	c.changed.ring()
	c.arrived.ring()
	c.mu.Unlock()
	c.cancel()
	close(c.done)
	c.tell(State{Phase: Stopped, Err: why})
}
