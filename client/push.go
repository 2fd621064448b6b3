package client

import (
	"context"
	"fmt"
	"iter"

	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

// Push is something the server sent unasked. Body's type follows from Label:
//
//	message                                        *codec.MessageBody
//	messageStatus                                  *codec.StatusBody
//	createGroupNoti, groupInfoUpdateNoti           *codec.GroupBody
//	groupMembersAddNoti, …DelNoti, deleteGroupNoti *codec.MembersBody
//	receiveError, kickedNoti                       *codec.ErrorBody
//	drainNoti                                      *codec.DrainBody
type Push struct {
	Label codec.Label
	Body  any
}

// Pushes gives the pushes as they come, until the connection ends or ctx does; the error that ends it is the
// last thing it gives. One loop at a time.
func (c *Conn) Pushes(ctx context.Context) iter.Seq2[Push, error] {
	return func(yield func(Push, error) bool) {
		for {
			select {
			case <-ctx.Done():
				yield(Push{}, ctx.Err())
				return
			case p, ok := <-c.inbox:
				if !ok {
					yield(Push{}, c.Err())
					return
				}
				if !yield(p, nil) {
					return
				}
			}
		}
	}
}

func (c *Conn) push(label codec.Label, f codec.Frame) error {
	p := Push{Label: label}
	var err error
	switch label {
	case codec.Message:
		m := &codec.MessageBody{}
		p.Body, err = m, codec.DecodeMessagePush(f.Format, f.Body, m)
	case codec.MessageStatus:
		p.Body, err = decode[codec.StatusBody](f)
	case codec.CreateGroupNoti, codec.GroupInfoUpdateNoti:
		p.Body, err = decode[codec.GroupBody](f)
	case codec.GroupMembersAddNoti, codec.GroupMembersDelNoti, codec.DeleteGroupNoti:
		p.Body, err = decode[codec.MembersBody](f)
	case codec.DrainNoti:
		p.Body, err = decode[codec.DrainBody](f)
	case codec.ReceiveError, codec.KickedNoti:
		body, decodeErr := decode[codec.ErrorBody](f)
		p.Body, err = body, decodeErr
		c.note(body)
	default:
		return nil
	}
	if err != nil {
		return fmt.Errorf("push %s: %w", label, err)
	}
	if c.opts.OnPush != nil {
		c.opts.OnPush(p)
		return nil
	}
	select {
	case c.inbox <- p:
	case <-c.ended:
	}
	return nil
}

func decode[T any](f codec.Frame) (*T, error) {
	v := new(T)
	return v, codec.Unmarshal(f.Format, f.Body, v)
}

// note keeps an error push: if the connection ends next, it says why.
func (c *Conn) note(e *codec.ErrorBody) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastWord = &Error{Code: service.Code(e.Code), Message: e.Error, Label: codec.Label(e.Label)}
}
