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

// Client is a user's lasting presence on a server. It connects and connects again, repeats what was not
// acknowledged, finds out what was missed, and gives the application every entry of every conversation of the
// user in order and once: Messages. It is safe for concurrent use.
//
// Messages that this Client sends itself are answered by Send and do not come through Messages, unless the
// application lags more than a thousand of them behind. What other devices of the user send does come. So do the
// notices of what this Client itself changes in a group.
// Once means: once in the life of a Client. Cursors are saved now and then, so after a crash the last entries
// may come again.
//
// It keeps about 300 bytes for each conversation of the user, a bounded queue and a bounded outbox. What the
// application does not take is left on the server until it does; nothing waits for it.
type Client struct {
	// Static after New.
	addr   string
	user   service.UserID
	opts   ClientOptions
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	all    sync.WaitGroup // every goroutine
	done   chan struct{}  // closed when the Client has stopped

	ghosts ghosts // owned by run

	saving sync.Mutex // one Save at a time

	telling sync.Mutex // one OnState at a time
	state   State      // guarded by telling: the last one

	mu       sync.Mutex
	conn     *Conn         // guarded by mu: bound; nil while there is none
	feed     *feed         // guarded by mu
	outbox   *outbox       // guarded by mu
	outcomes []outcome     // guarded by mu: of letters, to be told
	reports  bool          // guarded by mu: a goroutine tells outcomes
	pause    *time.Timer   // guarded by mu: the outbox waits, because the server is busy
	until    time.Time     // guarded by mu: the end of pause
	busy     backoff       // guarded by mu: of pause
	watch    *time.Timer   // guarded by mu: looks for messages without an answer; nil while there are none
	drain    time.Duration // guarded by mu: what the server that shuts down asks to wait
	draining bool          // guarded by mu: nothing more is to be sent
	closing  bool          // guarded by mu: nothing more is to be given to the application
	looping  bool          // guarded by mu: there is a loop over Messages
	told     int           // guarded by mu: confirmations, of the Client and through it
	missed   time.Time     // guarded by mu: since when the server has dropped pushes that were not looked for yet
	err      error         // guarded by mu: why it stopped
	changed  bell          // guarded by mu: conn, outbox, what is confirmed, what the application has, draining or err
	arrived  bell          // guarded by mu: there is something in the feed to take, or err
	lag      bell          // guarded by mu: there may be something to fetch
	confirms bell          // guarded by mu: there is something to confirm
}

// bell wakes those who wait for a change. The lock of what changes guards it.
type bell struct{ ch chan struct{} }

// wait gives what the next ring closes.
func (b *bell) wait() <-chan struct{} {
	if b.ch == nil {
		b.ch = make(chan struct{})
	}
	return b.ch
}

func (b *bell) ring() {
	if b.ch != nil {
		close(b.ch)
		b.ch = nil
	}
}

// New makes the Client of a user and starts to connect. The only error is that of reading the cursors. Close it.
func New(addr string, user service.UserID, opts ClientOptions) (*Client, error) {
	opts = opts.withDefaults()
	cursors, found, err := opts.Cursors.Load(user)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &Client{
		addr: addr, user: user, opts: opts, ctx: ctx, cancel: cancel, done: make(chan struct{}),
		feed: newFeed(user, opts.Queue), outbox: newOutbox(opts.Outbox, opts.OutboxBytes),
		busy: backoff{min: opts.RetryMin, max: opts.RetryMax, random: rand.Float64, tries: 1},
	}
	if found {
		c.feed.restore(cursors, opts.PartialCursors)
	}
	c.all.Go(c.run)
	c.all.Go(c.keepCursors)
	return c, nil
}

// User is the user whose Client it is.
func (c *Client) User() service.UserID { return c.user }

// Done is closed when the Client has stopped for good; Err then says why.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err says why the Client has stopped: ErrClosed after Close, or what does not heal, such as an *Error with the code
// service.Unauthenticated, or one with the label kickedNoti, whose Reason is that the same device has connected elsewhere, say.
// It is nil before.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Conn gives the present connection, bound, for requests that the Client has no method for. It waits while there
// is none. Do not close it.
func (c *Client) Conn(ctx context.Context) (*Conn, error) {
	for {
		c.mu.Lock()
		conn, err, changed := c.conn, c.err, c.changed.wait()
		c.mu.Unlock()
		if conn != nil || err != nil {
			return conn, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("not connected: %w", ctx.Err())
		}
	}
}

// Do runs ask with a connection, and runs it again when the connection ended under it or the server was busy.
// It is for what may be done twice, such as reading and confirming. Changes of groups have methods of their own,
// which give each attempt the same msgId.
func (c *Client) Do(ctx context.Context, ask func(*Conn) error) error {
	again := backoff{min: c.opts.RetryMin, max: c.opts.RetryMax, random: rand.Float64, tries: 1}
	for {
		conn, err := c.Conn(ctx)
		if err != nil {
			return err
		}
		err = ask(conn)
		code, refused := CodeOf(err)
		switch {
		case err == nil || ctx.Err() != nil || refused && !code.Retry():
			return err
		case !refused && !errors.Is(err, ErrClosed):
			return err
		}
		// Also after an end: until the Client knows, Conn gives the same connection.
		if sleep(ctx, again.after(err)) != nil {
			return err
		}
	}
}

// Confirm says that everything of a conversation up to seq has been read (service.StateRead) or delivered.
func (c *Client) Confirm(ctx context.Context, v Conversation, state service.State, seq uint64) error {
	return c.confirmed(c.Do(ctx, func(conn *Conn) error { return conn.Confirm(ctx, v, state, seq) }))
}

// ConfirmMessages is Confirm for messages named by their msgIds.
func (c *Client) ConfirmMessages(ctx context.Context, v Conversation, state service.State, msgIDs []string) error {
	return c.confirmed(c.Do(ctx, func(conn *Conn) error { return conn.ConfirmMessages(ctx, v, state, msgIDs) }))
}

// MessageInfo looks at one message and how far it has come.
func (c *Client) MessageInfo(ctx context.Context, v Conversation, msgID string) (info *codec.MessageInfo, err error) {
	err = c.Do(ctx, func(conn *Conn) (err error) {
		info, err = conn.MessageInfo(ctx, v, msgID)
		return err
	})
	return info, err
}

// confirmed notes that the server was told something: what is not confirmed may show more now.
func (c *Client) confirmed(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told++
	c.lag.ring()
	return err
}

// tell calls OnState; nothing follows Stopped.
func (c *Client) tell(s State) {
	c.telling.Lock()
	defer c.telling.Unlock()
	if c.state.Phase != Stopped {
		c.state = s
		c.opts.OnState(s)
	}
}

// pushed takes what the server pushes, on the goroutine that reads.
func (c *Client) pushed(p Push) {
	switch body := p.Body.(type) {
	case *codec.StatusBody:
		c.opts.OnReceipt(conversation(body.SessionID, service.UserID(body.UserID.ID)), *body)
	case *codec.DrainBody:
		c.mu.Lock()
		defer c.mu.Unlock()
		c.drain = min(max(time.Duration(body.RetryAfterMs)*time.Millisecond, 0), c.opts.RetryMax)
	case *codec.Empty: // missedNoti
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.missed.IsZero() {
			c.missed = time.Now()
		}
		c.lag.ring()
	default:
		if e, ok := entryOf(c.user, p.Label, p.Body); ok {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.feed.pushed(e, c.isOwn(e), time.Now())
			c.ringFeed()
		}
	}
}

// entered takes the entry that is the answer to a change of a group, on the goroutine that reads. It may be an old one,
// if the change was sent again.
func (c *Client) entered(e Entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.feed.came(e, false, time.Now())
	c.ringFeed()
}

// isOwn reports whether an entry is a message of this Client that waits for its answer; c.mu is held.
func (c *Client) isOwn(e Entry) bool {
	m, ok := e.Message()
	return ok && service.UserID(m.FromUserID) == c.user && c.outbox.has(e.Conversation, m.MsgID)
}

// ringFeed wakes whoever the feed may have something for; c.mu is held.
func (c *Client) ringFeed() {
	if len(c.feed.queue) > 0 {
		c.arrived.ring()
	}
	if len(c.feed.lagging) > 0 || len(c.feed.queue) == 0 {
		c.lag.ring()
	}
	if len(c.feed.confirms) > 0 {
		c.confirms.ring()
	}
}

// sleep waits, unless ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
