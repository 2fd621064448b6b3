package client

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"time"

	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

// Outgoing is a message to be sent: to a user, or to a group.
type Outgoing struct {
	To          service.UserID
	Group       string // the group's id; To is ignored then
	MsgID       string // yours, to send the same message again safely; NewMsgID makes one if it is empty
	Text        string // valid UTF-8
	ContentType int64  // default 1, text
	SendDate    int64  // Unix milliseconds; default now
}

// Sent is the server's acknowledgement: the message is on its disk.
type Sent = codec.MessageStored

// NewMsgID makes a msgId that nobody else has.
func NewMsgID() string {
	var b [15]byte
	rand.Read(b[:])
	return base32.StdEncoding.EncodeToString(b[:])
}

// do sends a request, waits for its answer and decodes the result.
func do[T any](ctx context.Context, c *Conn, label codec.Label, body func(codec.TaskID) any) (*T, error) {
	type outcome struct {
		result *T
		err    error
	}
	answered := make(chan outcome, 1)
	task, err := c.register(call{answer: func(a codec.Answer, err error) {
		o := outcome{result: new(T), err: err}
		if err == nil && len(a.Result) > 0 {
			o.err = decodeResult(c.opts.Format, a.Result, o.result)
		}
		answered <- o
	}})
	if err != nil {
		return nil, err
	}
	if err := c.request(label, body(codec.IntTask(c.opts.Format, task))); err != nil {
		c.forget(task)
		return nil, err
	}
	select {
	case o := <-answered:
		return o.result, o.err
	case <-ctx.Done():
		c.forget(task)
		return nil, fmt.Errorf("%s: %w: %w", label, ErrUnknownOutcome, ctx.Err())
	}
}

// decodeResult reads a result, which is an object but for queryGroupList's array.
func decodeResult(f codec.Format, raw []byte, v any) error {
	if err := codec.UnmarshalValue(f, raw, v); err != nil {
		return fmt.Errorf("decode the result: %w", err)
	}
	return nil
}

func (c *Conn) request(label codec.Label, body any) error {
	frame, at := codec.BeginFrame(nil, c.opts.Format, codec.Request, label)
	frame, err := codec.AppendBody(frame, c.opts.Format, body)
	if err == nil {
		frame, err = codec.EndFrame(frame, at)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", label, err)
	}
	c.write(func(out []byte) []byte { return append(out, frame...) })
	return nil
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
		return false, c.err
	}
	c.asks = append(c.asks, func(yes bool, err error) { answered <- outcome{yes, err} })
	c.write(func(out []byte) []byte {
		return codec.AppendFrame(out, codec.None, codec.Request, codec.CanConnect, nil)
	})
	c.mu.Unlock()
	select {
	case o := <-answered:
		return o.yes, o.err
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// canConnectAnswer belongs to the oldest question: these answers carry no taskId and come in order.
func (c *Conn) canConnectAnswer(f codec.Frame) error {
	c.mu.Lock()
	if len(c.asks) == 0 {
		c.mu.Unlock()
		return errors.New("the server answered canConnect unasked")
	}
	ask := c.asks[0]
	c.asks = c.asks[1:]
	c.mu.Unlock()
	ask(string(f.Body) == "true", nil)
	return nil
}

// Bind makes the connection that of a user.
func (c *Conn) Bind(ctx context.Context, user service.UserID) error {
	_, err := do[codec.Bound](ctx, c, codec.GetUserID, func(t codec.TaskID) any {
		return &codec.Bind{UserID: codec.SomeID(codec.ID(user)), Token: c.opts.Token, DeviceID: c.opts.DeviceID, TaskID: t}
	})
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.user = user
	return nil
}

// Send sends a message and waits until the server has it on its disk.
func (c *Conn) Send(ctx context.Context, m Outgoing) (Sent, error) {
	type outcome struct {
		sent Sent
		err  error
	}
	answered := make(chan outcome, 1)
	if err := c.SendAsync(ctx, m, func(s Sent, err error) { answered <- outcome{s, err} }); err != nil {
		return Sent{}, err
	}
	select {
	case o := <-answered:
		return o.sent, o.err
	case <-ctx.Done():
		return Sent{}, fmt.Errorf("message: %w: %w", ErrUnknownOutcome, ctx.Err())
	}
}

// SendAsync sends a message; done runs exactly once, when it is acknowledged or refused or the connection has
// ended. done runs on the goroutine that reads and must not block. SendAsync waits while as many messages
// as Options.Window are not answered; an error means that the message was not sent.
func (c *Conn) SendAsync(ctx context.Context, m Outgoing, done func(Sent, error)) error {
	select {
	case c.window <- struct{}{}:
	default:
		select {
		case c.window <- struct{}{}:
		case <-c.ended:
			return c.Err()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	task, err := c.register(call{stored: func(s codec.MessageStored, err error) {
		<-c.window
		done(s, err)
	}})
	if err != nil {
		<-c.window
		return err
	}
	req := m.request(codec.IntTask(c.opts.Format, task))
	c.write(func(out []byte) []byte { return codec.AppendMessageRequest(out, c.opts.Format, &req) })
	return nil
}

func (m Outgoing) request(task codec.TaskID) codec.MessageRequest {
	req := codec.MessageRequest{ContentStr: m.Text, MsgID: m.MsgID, SessionID: m.Group, TaskID: task}
	if m.Group == "" {
		req.ToUserID = codec.SomeID(codec.ID(m.To))
	}
	if req.MsgID == "" {
		req.MsgID = NewMsgID()
	}
	if m.ContentType == 0 {
		m.ContentType = 1
	}
	if m.SendDate == 0 {
		m.SendDate = time.Now().UnixMilli()
	}
	req.MsgContentType = codec.SomeInteger(m.ContentType)
	req.SendDate = codec.Scalar(codec.IntTask(codec.JSON, m.SendDate))
	return req
}
