package client

import (
	"context"
	"errors"
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
//	missedNoti                                     *codec.Empty
type Push struct {
	Label codec.Label
	Body  any
}

// Pushes gives the pushes as they come, until the connection ends or ctx does; the error that ends it is the
// last thing it gives. What came before the end is still given. One loop at a time; another may go on where
// it left off.
func (c *Conn) Pushes(ctx context.Context) iter.Seq2[Push, error] {
	return func(yield func(Push, error) bool) {
		if c.inbox == nil {
			yield(Push{}, errors.New("the pushes of this connection go to Options.OnPush"))
			return
		}
		for {
			p, ok, err := c.inbox.take(ctx)
			if err == nil && !ok {
				err = c.Err()
			}
			if err != nil {
				yield(Push{}, err)
				return
			}
			if !yield(p, nil) {
				return
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
	case codec.MissedNoti:
		p.Body, err = decode[codec.Empty](f)
	case codec.DrainNoti:
		p.Body, err = decode[codec.DrainBody](f)
	case codec.ReceiveError, codec.KickedNoti:
		body, decodeErr := decode[codec.ErrorBody](f)
		p.Body, err = body, decodeErr
		c.note(label, body)
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
	return c.inbox.put(p, len(f.Body))
}

func decode[T any](f codec.Frame) (*T, error) {
	v := new(T)
	return v, codec.UnmarshalValue(f.Format, f.Body, v)
}

// note keeps an error push: if nothing comes after it, it says why the connection ended.
func (c *Conn) note(label codec.Label, e *codec.ErrorBody) {
	word := &Error{Code: service.Code(e.Code), Message: e.Error, Label: codec.Label(e.Label), Reason: e.Reason}
	if label == codec.KickedNoti {
		word.Label = label
	}
	c.lastWord.Store(word)
}
