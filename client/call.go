package client

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

// call is a request that waits for its answer. One of the two functions is set.
type call struct {
	label    codec.Label
	answer   func(result []byte, err error) // result is valid during the call only
	sent     func(Sent, error)
	windowed bool // it has a place in the window
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
	if c.inbox != nil {
		c.inbox.asked()
	}
	return task, nil
}

// forget drops a request that is answered or given up.
func (c *Conn) forget(task int64) (w call, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w, ok = c.calls[task]; ok {
		delete(c.calls, task)
		if c.inbox != nil {
			c.inbox.answered()
		}
	}
	return w, ok
}

// finish tells the caller how a request ended.
func (c *Conn) finish(w call, result []byte, err error) {
	if w.windowed {
		<-c.window
	}
	if w.answer != nil {
		w.answer(result, err)
		return
	}
	var sent Sent
	if err == nil {
		err = codec.DecodeMessageStored(c.opts.Format, result, &sent)
	}
	w.sent(sent, err)
}

// do sends a request, waits for its answer and decodes the result.
func do[T any](ctx context.Context, c *Conn, label codec.Label, body func(codec.TaskID) any) (*T, error) {
	return doAndSee(ctx, c, label, body, func(*T) {})
}

// doAndSee is do with a function that sees the result before anything that the server sent after it is handled. It
// runs on the goroutine that reads.
func doAndSee[T any](ctx context.Context, c *Conn, label codec.Label, body func(codec.TaskID) any, see func(*T)) (*T, error) {
	type outcome struct {
		result *T
		err    error
	}
	if err := ctx.Err(); err != nil {
		return nil, notSent(label, err)
	}
	answered := make(chan outcome, 1)
	task, err := c.register(call{label: label, answer: func(raw []byte, err error) {
		o := outcome{result: new(T), err: err}
		if err == nil && len(raw) > 0 {
			if err := codec.UnmarshalValue(c.opts.Format, raw, o.result); err != nil {
				o.err = fmt.Errorf("%s: decode the result: %w", label, err)
			}
		}
		if o.err == nil {
			see(o.result)
		}
		answered <- o
	}})
	if err != nil {
		return nil, notSent(label, err)
	}
	if err := c.request(label, body(codec.IntTask(c.opts.Format, task))); err != nil {
		c.forget(task)
		return nil, err
	}
	var late <-chan time.Time
	if c.opts.requestTimeout > 0 {
		t := time.NewTimer(c.opts.requestTimeout)
		defer t.Stop()
		late = t.C
	}
	for {
		select {
		case o := <-answered:
			return o.result, o.err
		case <-late:
			c.end(lateAnswer(label, c.opts.requestTimeout)) // which answers
			late = nil
		case <-ctx.Done():
			c.forget(task)
			return nil, unanswered(label, ctx.Err())
		}
	}
}

// lateAnswer is why a connection counts as dead.
func lateAnswer(label codec.Label, limit time.Duration) error {
	return fmt.Errorf("%s has no answer after %v: %w", label, limit, context.DeadlineExceeded)
}

func (c *Conn) request(label codec.Label, body any) error {
	frame, at := codec.BeginFrame(nil, c.opts.Format, codec.Request, label)
	frame, err := codec.AppendBody(frame, c.opts.Format, body)
	if err != nil {
		return &Error{Code: service.Invalid, Message: err.Error(), Label: label}
	}
	size := len(frame) - codec.HeaderLen
	if frame, err = codec.EndFrame(frame, at); err != nil || size > c.opts.MaxFrame {
		return oversized(label, size, c.opts.MaxFrame)
	}
	c.out.end(append(c.out.begin(), frame...))
	return nil
}

// oversized refuses what the server would end the connection for.
func oversized(label codec.Label, size, limit int) error {
	return &Error{Code: service.TooLarge, Message: fmt.Sprintf("a frame of %d bytes is over the limit of %d", size, limit), Label: label}
}

// CanConnect asks whether the server would take a new client now. It needs no Bind.
func (c *Conn) CanConnect(ctx context.Context) (bool, error) {
	type outcome struct {
		yes bool
		err error
	}
	answered := make(chan outcome, 1)
	c.mu.Lock()
	if c.err != nil {
		defer c.mu.Unlock()
		return false, notSent(codec.CanConnect, c.err)
	}
	c.asks = append(c.asks, func(yes bool, err error) { answered <- outcome{yes, err} })
	c.out.end(codec.AppendFrame(c.out.begin(), codec.None, codec.Request, codec.CanConnect, nil))
	c.mu.Unlock()
	select {
	case o := <-answered:
		return o.yes, o.err
	case <-ctx.Done():
		return false, unanswered(codec.CanConnect, ctx.Err())
	}
}

// canConnectAnswer belongs to the oldest question: these answers carry no taskId and come in order.
func (c *Conn) canConnectAnswer(f codec.Frame) error {
	c.mu.Lock()
	if len(c.asks) == 0 {
		c.mu.Unlock()
		return fmt.Errorf("the server answered %s unasked", codec.CanConnect)
	}
	ask := c.asks[0]
	c.asks = c.asks[1:]
	c.mu.Unlock()
	var yes bool
	if err := codec.UnmarshalValue(f.Format, f.Body, &yes); err != nil {
		return fmt.Errorf("response to %s: %w", codec.CanConnect, err)
	}
	ask(yes, nil)
	return nil
}

// Bind makes the connection that of a user, for good.
func (c *Conn) Bind(ctx context.Context, user service.UserID) error {
	body := func(t codec.TaskID) any {
		return &codec.Bind{UserID: codec.SomeID(codec.ID(user)), Token: c.opts.Token, DeviceID: c.opts.DeviceID, TaskID: t}
	}
	_, err := doAndSee(ctx, c, codec.GetUserID, body, c.opts.onBound)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.user = user
	return nil
}

// checkText refuses what JSON and MessagePack strings cannot carry.
func checkText(label codec.Label, texts ...string) error {
	for _, s := range texts {
		if !utf8.ValidString(s) {
			return &Error{Code: service.Invalid, Message: fmt.Sprintf("%.40q is not valid UTF-8", s), Label: label}
		}
	}
	return nil
}
