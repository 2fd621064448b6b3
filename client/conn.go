package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

// Conn is one connection to a server. It is safe for concurrent use. It does not come back when it ends:
// that is what Client is for.
//
// Pushes are handed over in the order they came. When nobody takes them and the inbox is full, the
// connection is not read any more until someone does; after a while the server closes a client that does not
// read. Only while a request waits for its answer are pushes taken in further, up to sixteen times
// Options.Inbox, where the connection ends with ErrInboxFull. Whoever wants no pushes sets Options.OnPush to
// an empty function.
//
// An idle connection has one goroutine and one timer, and takes less than 8 KiB.
type Conn struct {
	// Static after Dial.
	opts   Options
	net    net.Conn
	out    writer
	inbox  *inbox        // nil with Options.OnPush
	window chan struct{} // a place for each message of SendAsync that is not answered
	ended  chan struct{} // closed when the connection has ended

	task     atomic.Int64          // the last taskId that was given out
	heard    atomic.Int64          // since began, at which bytes came in
	lastWord atomic.Pointer[Error] // an error push, if it was the last thing that came: it explains an end

	mu    sync.Mutex
	user  service.UserID
	calls map[int64]call      // guarded by mu: requests that are not answered
	asks  []func(bool, error) // guarded by mu: canConnect, in the order asked
	beat  *time.Timer         // guarded by mu
	cause error               // guarded by mu: why nothing can be written any more
	err   error               // guarded by mu: why the connection ended
}

// Dial opens a connection. ctx bounds the dialling only. Bind is what usually comes next: the server closes
// a connection that is not bound within some seconds.
func Dial(ctx context.Context, addr string, opts Options) (*Conn, error) {
	opts = opts.withDefaults()
	nc, err := opts.Dial(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", addr, err)
	}
	c := &Conn{
		opts: opts, net: nc, ended: make(chan struct{}), window: make(chan struct{}, opts.Window), calls: map[int64]call{},
	}
	c.out.net, c.out.broken = nc, c.broken
	c.hear()
	c.out.last.Store(int64(elapsed()))
	if opts.OnPush == nil {
		c.inbox = newInbox(opts.Inbox, c.hear)
	}
	if opts.Heartbeat > 0 {
		c.mu.Lock()
		c.beat = time.AfterFunc(opts.Heartbeat, c.heartbeat)
		c.mu.Unlock()
	}
	go c.read()
	return c, nil
}

// Close ends the connection. Requests without an answer end with ErrUnknownOutcome.
func (c *Conn) Close() error {
	c.end(ErrClosed)
	return nil
}

// Done is closed when the connection has ended; Err then says why.
func (c *Conn) Done() <-chan struct{} { return c.ended }

// Err says why the connection has ended: ErrClosed after Close, or an error that wraps it and the reason, which
// is an *Error if the server gave one. It is nil before.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// User is the user that the connection is bound to.
func (c *Conn) User() service.UserID {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.user
}

// end closes everything once, and fails what waits.
func (c *Conn) end(cause error) {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	c.err = c.reason(cause)
	calls, asks, why := c.calls, c.asks, c.err
	c.calls, c.asks = nil, nil
	if c.beat != nil {
		c.beat.Stop()
	}
	c.mu.Unlock()

	close(c.ended)
	c.net.Close()
	if c.inbox != nil {
		c.inbox.close()
	}
	for _, w := range calls {
		c.finish(w, nil, unanswered(w.label, why))
	}
	for _, ask := range asks {
		ask(false, unanswered(codec.CanConnect, why))
	}
}

// reason is the most telling of what is known about an end; c.mu is held.
func (c *Conn) reason(cause error) error {
	word := c.lastWord.Load()
	switch {
	case errors.Is(cause, ErrClosed):
		return cause
	case word != nil:
		return fmt.Errorf("%w: %w", ErrClosed, word)
	case c.cause != nil:
		return fmt.Errorf("%w: %w", ErrClosed, c.cause)
	}
	return fmt.Errorf("%w: %w", ErrClosed, cause)
}

// lastWords is how long a connection that cannot be written to is still read: what the server said last
// explains it better than the error of a write.
const lastWords = time.Second

// broken is called when a write has failed.
func (c *Conn) broken(err error) {
	c.mu.Lock()
	c.cause = err
	c.mu.Unlock()
	if c.net.SetReadDeadline(time.Now().Add(lastWords)) != nil {
		c.end(err)
	}
}

// hear notes a sign of life of the server.
func (c *Conn) hear() { c.heard.Store(int64(elapsed())) }

// began is a moment of the monotonic clock, which does not jump when somebody sets the time of day.
var began = time.Now()

// elapsed is the time since began.
func elapsed() time.Duration { return time.Since(began) }

// errSilent ends a connection whose server does not even echo heartbeats.
var errSilent = errors.New("the server gives no sign of life")

// heartbeat sends one when nothing went out or came in for a while, and ends a connection on which it was
// not echoed.
func (c *Conn) heartbeat() {
	now, every := elapsed(), c.opts.Heartbeat
	deaf := now - time.Duration(c.heard.Load())
	mute := now - time.Duration(c.out.last.Load())
	if c.inbox != nil && c.inbox.isStalled() {
		deaf = 0 // it is us who do not read
	}
	next := every - max(deaf, mute)
	switch {
	case deaf >= 2*every:
		c.end(errSilent)
		return
	case next <= 0:
		c.out.end(codec.AppendHeartbeat(c.out.begin()))
		next = every
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.beat.Reset(next)
	}
}
