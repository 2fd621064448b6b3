package client

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"math"
	"time"

	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

// Outgoing is a message to be sent: to a user, or to a group.
type Outgoing struct {
	To          service.UserID
	Group       string // the group's id; To is ignored then
	MsgID       string // yours, to send the same message again safely; at most 128 bytes; empty: NewMsgID
	Text        string // valid UTF-8, at most 64 KiB unless the server says otherwise
	ContentType int64  // default 1, text; others belong to the application
	SendDate    int64  // Unix milliseconds; default now
}

// Sent is the server's acknowledgement: the message is on its disk.
type Sent = codec.MessageStored

// NewMsgID makes a msgId that nobody else has: 24 characters.
func NewMsgID() string {
	var b [15]byte
	rand.Read(b[:])
	return base32.StdEncoding.EncodeToString(b[:])
}

// Send sends a message and waits until the server has it on its disk. An error that wraps ErrUnknownOutcome
// means that it may have it; sending it again with the same MsgID stores it once.
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
		return Sent{}, unanswered(codec.Message, ctx.Err())
	}
}

// SendAsync sends a message; done runs exactly once, when it is acknowledged or refused or the connection has
// ended. done runs on the goroutine that reads, or the one that ends the connection, and must not block. SendAsync waits while as many messages
// as Options.Window are not answered, or much is not written yet. An error means that the message was not sent
// and done will not run.
func (c *Conn) SendAsync(ctx context.Context, m Outgoing, done func(Sent, error)) error {
	m.complete()
	if err := m.check(c.opts.Format, c.opts.MaxFrame); err != nil {
		return err
	}
	if err := c.reserve(ctx); err != nil {
		return notSent(codec.Message, err)
	}
	if err := c.post(&m, call{label: codec.Message, sent: done, windowed: true}); err != nil {
		<-c.window
		return err
	}
	return nil
}

// reserve waits for a place in the window and for room to write.
func (c *Conn) reserve(ctx context.Context) error {
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
	if err := c.out.room(ctx, c.ended); err != nil {
		<-c.window
		return err
	}
	return nil
}

// post writes a message that is complete and checked, without waiting.
func (c *Conn) post(m *Outgoing, w call) error {
	task, err := c.register(w)
	if err != nil {
		return notSent(codec.Message, err)
	}
	req := m.request(codec.IntTask(c.opts.Format, task))
	c.out.end(codec.AppendMessageRequest(c.out.begin(), c.opts.Format, &req))
	return nil
}

// complete fills what was left to its default.
func (m *Outgoing) complete() {
	if m.MsgID == "" {
		m.MsgID = NewMsgID()
	}
	if m.ContentType == 0 {
		m.ContentType = 1
	}
	if m.SendDate == 0 {
		m.SendDate = time.Now().UnixMilli()
	}
}

// inflation is how much longer a byte may get on the wire, as \u0001; frameExtra is what a message's frame
// has beside its strings, at most.
const (
	inflation  = 6
	frameExtra = 512
)

// check refuses what the server would end the connection for.
func (m *Outgoing) check(f codec.Format, maxFrame int) error {
	if err := checkText(codec.Message, m.Text, m.MsgID, m.Group); err != nil {
		return err
	}
	size := len(m.Text) + len(m.MsgID) + len(m.Group)
	if size <= maxFrame && inflation*size+frameExtra > maxFrame {
		req := m.request(codec.IntTask(f, math.MaxInt64))
		size = len(codec.AppendMessageRequest(nil, f, &req)) - codec.HeaderLen
	}
	if size > maxFrame {
		return oversized(codec.Message, size, maxFrame)
	}
	return nil
}

func (m *Outgoing) request(task codec.TaskID) codec.MessageRequest {
	req := codec.MessageRequest{
		ContentStr: m.Text, MsgID: m.MsgID, SessionID: m.Group, TaskID: task,
		MsgContentType: codec.SomeInteger(m.ContentType),
		SendDate:       codec.Scalar(codec.IntTask(codec.JSON, m.SendDate)),
	}
	if m.Group == "" {
		req.ToUserID = codec.SomeID(codec.ID(m.To))
	}
	return req
}
