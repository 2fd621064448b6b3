package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

// Conn is one connection to a server. It is safe for concurrent use.
//
// Pushes are handed over in the order they came. When nobody takes them and the inbox is full, the
// connection is not read any more until someone does: the server's answers wait behind them, and after a while
// the server closes a client that does not read. Whoever wants no pushes sets Options.OnPush to an empty function.
type Conn struct {
	// Static after Dial.
	opts   Options
	net    net.Conn
	inbox  chan Push
	window chan struct{} // a place for each message of SendAsync that is not answered
	ended  chan struct{} // closed when the connection has ended

	task     atomic.Int64 // the last taskId that was given out
	lastSent atomic.Int64 // Unix nanoseconds

	wmu     sync.Mutex
	out     []byte // guarded by wmu: frames to write
	spare   []byte // guarded by wmu
	writing bool   // guarded by wmu: a goroutine is writing

	mu       sync.Mutex
	user     service.UserID
	calls    map[int64]call // guarded by mu: requests that are not answered
	asks     []func(bool, error)
	err      error  // guarded by mu: why the connection ended
	lastWord *Error // guarded by mu: the latest error push, which explains an end
	beat     *time.Timer
}

// call is a request that waits for its answer. One of the two is set.
type call struct {
	answer func(codec.Answer, error)
	stored func(codec.MessageStored, error)
}

// Dial opens a connection. ctx bounds the dialling only. Bind is what usually comes next.
func Dial(ctx context.Context, addr string, opts Options) (*Conn, error) {
	opts = opts.withDefaults()
	nc, err := opts.Dial(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", addr, err)
	}
	c := &Conn{
		opts: opts, net: nc, ended: make(chan struct{}), window: make(chan struct{}, opts.Window),
		calls: map[int64]call{},
	}
	if opts.OnPush == nil {
		c.inbox = make(chan Push, opts.Inbox)
	}
	if opts.Heartbeat > 0 {
		c.beat = time.AfterFunc(opts.Heartbeat, c.heartbeat)
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

// Err says why the connection has ended: ErrClosed after Close, or an error that wraps it. It is nil before.
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
	if c.lastWord != nil && !errors.Is(cause, ErrClosed) {
		cause = fmt.Errorf("%w: %w", ErrClosed, c.lastWord)
	} else if !errors.Is(cause, ErrClosed) {
		cause = fmt.Errorf("%w: %w", ErrClosed, cause)
	}
	c.err = cause
	calls, asks := c.calls, c.asks
	c.calls, c.asks = nil, nil
	c.mu.Unlock()

	close(c.ended)
	c.net.Close()
	if c.beat != nil {
		c.beat.Stop()
	}
	lost := fmt.Errorf("%w: %w", ErrUnknownOutcome, cause)
	for _, w := range calls {
		w.fail(lost)
	}
	for _, ask := range asks {
		ask(false, lost)
	}
}

func (w call) fail(err error) {
	if w.stored != nil {
		w.stored(codec.MessageStored{}, err)
		return
	}
	w.answer(codec.Answer{}, err)
}

// heartbeat sends one if nothing else was sent for a while.
func (c *Conn) heartbeat() {
	quiet := time.Duration(time.Now().UnixNano() - c.lastSent.Load())
	if quiet >= c.opts.Heartbeat {
		c.write(codec.AppendHeartbeat)
		quiet = 0
	}
	select {
	case <-c.ended:
	default:
		c.beat.Reset(c.opts.Heartbeat - quiet)
	}
}

// write appends a frame to what goes out. A goroutine writes as long as there is something; frames that
// come meanwhile leave together.
func (c *Conn) write(frame func([]byte) []byte) {
	c.lastSent.Store(time.Now().UnixNano())
	c.wmu.Lock()
	c.out = frame(c.out)
	start := !c.writing
	c.writing = true
	c.wmu.Unlock()
	if start {
		go c.flush()
	}
}

// keepBuffer is the largest write buffer that is kept for the next time.
const keepBuffer = 64 << 10

func (c *Conn) flush() {
	for {
		c.wmu.Lock()
		out := c.out
		c.out = c.spare[:0]
		c.spare = nil
		if len(out) == 0 {
			c.writing = false
			c.out = out
			c.wmu.Unlock()
			return
		}
		c.wmu.Unlock()
		if _, err := c.net.Write(out); err != nil {
			c.end(err)
			return // writing stays true: nothing is written any more
		}
		c.wmu.Lock()
		if cap(out) <= keepBuffer {
			c.spare = out[:0]
		}
		c.wmu.Unlock()
	}
}

// Sizes of the read buffer: idle connections keep it small, busy ones grow it.
const (
	smallRead = 1 << 10
	largeRead = 64 << 10
)

// read hands over what comes in until the connection ends.
func (c *Conn) read() {
	defer func() {
		if c.inbox != nil {
			close(c.inbox)
		}
	}()
	buf, n := make([]byte, smallRead), 0
	for {
		m, err := c.net.Read(buf[n:])
		n += m
		used, need, frameErr := c.frames(buf[:n])
		if frameErr != nil {
			c.end(frameErr)
			return
		}
		full := n == len(buf)
		n = copy(buf, buf[used:n])
		if need > len(buf) || full && len(buf) < largeRead {
			grown := make([]byte, max(need, min(2*len(buf), largeRead)))
			copy(grown, buf[:n])
			buf = grown
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = errors.New("the server closed it")
			}
			c.end(err)
			return
		}
	}
}

// frames handles the complete frames in b. need is the size of the one that is not complete, if that is known.
func (c *Conn) frames(b []byte) (used, need int, err error) {
	for {
		f, n, err := codec.ParseFrame(b[used:], codec.MaxLength)
		if err != nil {
			return used, 0, err
		}
		if n == 0 {
			if rest := b[used:]; len(rest) >= codec.HeaderLen {
				need = codec.HeaderLen + (int(rest[1])<<16 | int(rest[2])<<8 | int(rest[3]))
			}
			return used, need, nil
		}
		used += n
		if !f.Heartbeat() {
			if err := c.frame(f); err != nil {
				return used, 0, err
			}
		}
	}
}

func (c *Conn) frame(f codec.Frame) error {
	label, known := codec.LookupLabel(f.Label)
	switch {
	case !known:
		return nil // of a newer server
	case f.Kind == codec.Response && label == codec.CanConnect:
		return c.canConnectAnswer(f)
	case f.Kind == codec.Response:
		return c.answer(label, f)
	case f.Kind == codec.Push:
		return c.push(label, f)
	}
	return fmt.Errorf("the server sent a request: %s", label)
}

// answer finds the request that a response belongs to.
func (c *Conn) answer(label codec.Label, f codec.Frame) error {
	a, err := codec.DecodeResponse(f.Format, f.Body)
	if err != nil {
		return fmt.Errorf("response to %s: %w", label, err)
	}
	task, ok := a.TaskID.Int(f.Format)
	if !ok {
		return nil // to a request that was not ours
	}
	c.mu.Lock()
	w, ok := c.calls[task]
	delete(c.calls, task)
	c.mu.Unlock()
	if !ok {
		return nil // the caller gave up
	}
	if a.Code != 0 {
		err = &Error{Code: service.Code(a.Code), Message: a.Error, Label: label}
	}
	if w.stored == nil {
		w.answer(a, err)
		return nil
	}
	var stored codec.MessageStored
	if err == nil {
		err = codec.DecodeMessageStored(f.Format, a.Result, &stored)
	}
	w.stored(stored, err)
	return nil
}

// register notes a request before it is written.
func (c *Conn) register(w call) (task int64, err error) {
	task = c.task.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return 0, c.err
	}
	c.calls[task] = w
	return task, nil
}

// forget drops a request whose caller gave up.
func (c *Conn) forget(task int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.calls, task)
}
