package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

// run keeps the Client connected until it stops.
func (c *Client) run() {
	retry := backoff{min: c.opts.RetryMin, max: c.opts.RetryMax, random: rand.Float64}
	for {
		c.tell(State{Phase: Connecting})
		lived, err := c.session()
		if c.ctx.Err() != nil {
			return
		}
		if !c.heals(err) {
			c.stop(err)
			return
		}
		wait := retry.next(lived)
		if asked := c.askedToWait(); asked > 0 {
			wait = asked + time.Duration(rand.Float64()*float64(asked))
		}
		c.tell(State{Phase: Waiting, Err: err, RetryIn: wait})
		if sleep(c.ctx, wait) != nil {
			return
		}
	}
}

// askedToWait is what a server that shut down asked for, once.
func (c *Client) askedToWait() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	asked := c.drain
	c.drain = 0
	return asked
}

// fatalError is what a new connection would not change.
type fatalError struct{ error }

func (e fatalError) Unwrap() error { return e.error }

// heals reports whether another attempt may end otherwise than with err.
func (c *Client) heals(err error) bool {
	var refused *Error
	switch {
	case errors.As(err, new(fatalError)):
		return false
	case !errors.As(err, &refused) || refused.Label != codec.KickedNoti || refused.Code.Retry():
		return true
	}
	return c.ghosts.exorcise(time.Now())
}

// ghostLife is how long after it was written a bind may still reach the server.
const ghostLife = time.Minute

// ghosts are binds whose answer never came, because the connection broke or was given up. The server may take
// such a bind later than that of the next connection, and close the living one in favour of a dead one of the
// same device. Only a kick that no ghost explains means that the device is in use elsewhere.
type ghosts struct {
	count int
	until time.Time
}

func (g *ghosts) raise(now time.Time) {
	if now.After(g.until) {
		g.count = 0
	}
	g.count++
	g.until = now.Add(ghostLife)
}

// exorcise reports whether a kick may be the work of a ghost, which can kick only once.
func (g *ghosts) exorcise(now time.Time) bool {
	if g.count == 0 || now.After(g.until) {
		return false
	}
	g.count--
	return true
}

// session is the life of one connection. lived is how long it was of use.
func (c *Client) session() (lived time.Duration, err error) {
	c.mu.Lock()
	c.feed.beginSync()
	c.missed = time.Time{} // this finds it, too
	c.mu.Unlock()
	conn, err := c.connect()
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	began := time.Now()
	c.tell(State{Phase: Online})
	c.mu.Lock()
	c.conn = conn
	c.outbox.connected()
	c.postAll()
	c.changed.ring()
	c.mu.Unlock()

	ctx, cancel := context.WithCancel(c.ctx)
	var both sync.WaitGroup
	both.Go(func() { c.catchUp(ctx, conn) })
	if !c.opts.NoConfirm {
		both.Go(func() { c.confirmDelivered(ctx, conn) })
	}
	select {
	case <-conn.Done():
	case <-ctx.Done():
	}
	cancel()
	c.mu.Lock()
	c.conn = nil
	c.release()
	c.changed.ring()
	c.mu.Unlock()
	both.Wait()
	return time.Since(began), conn.Err()
}

// connect dials and binds.
func (c *Client) connect() (*Conn, error) {
	conn, err := c.attempt()
	code, _ := CodeOf(err)
	if code == service.Unauthenticated && c.opts.Token != nil && errors.Is(err, errBind) {
		conn, err = c.attempt() // the token may have expired on its way
	}
	if code, refused := CodeOf(err); refused && !code.Retry() && !errors.Is(err, ErrClosed) {
		err = fatalError{err}
	}
	return conn, err
}

// errBind says that it was the server that refused.
var errBind = errors.New("bind")

func (c *Client) attempt() (*Conn, error) {
	ctx, cancel := context.WithTimeout(c.ctx, c.opts.RequestTimeout)
	defer cancel()
	opts := c.opts.Conn
	opts.OnPush, opts.onEntry, opts.onBound = c.pushed, c.entered, c.bound
	opts.requestTimeout = c.opts.RequestTimeout
	opts.Token = ""
	if c.opts.Token != nil {
		token, err := c.opts.Token(ctx)
		if err != nil {
			return nil, fmt.Errorf("get a token: %w", err)
		}
		opts.Token = token
	}
	conn, err := Dial(ctx, c.addr, opts)
	if err != nil {
		return nil, err
	}
	if err := conn.Bind(ctx, c.user); err != nil {
		conn.Close()
		if errors.Is(err, ErrUnknownOutcome) {
			c.ghosts.raise(time.Now())
		}
		return nil, fmt.Errorf("%w user %d: %w", errBind, c.user, err)
	}
	return conn, nil
}

// bound takes the answer to a bind, on the goroutine that reads: pushes of another epoch may follow at once.
func (c *Client) bound(b *codec.Bound) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.feed.serves(b.Epoch)
}

// keepCursors saves them now and then while they move.
func (c *Client) keepCursors() {
	for sleep(c.ctx, c.opts.SaveEvery) == nil {
		if err := c.saveCursors(); err != nil {
			c.opts.OnError(err)
		}
	}
}

// saveCursors saves them if they have moved.
func (c *Client) saveCursors() error {
	c.saving.Lock()
	defer c.saving.Unlock()
	c.mu.Lock()
	if !c.feed.dirty || !c.feed.synced {
		c.mu.Unlock()
		return nil
	}
	cursors := c.feed.cursors()
	c.mu.Unlock()
	err := c.opts.Cursors.Save(c.user, cursors)
	if err != nil {
		c.mu.Lock()
		c.feed.dirty = true
		c.mu.Unlock()
	}
	return err
}
