package client

import (
	"context"
	"fmt"

	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

// Conversation names one: a group, or another user.
type Conversation struct {
	Group string
	Peer  service.UserID // if Group is empty
}

// String is for errors.
func (v Conversation) String() string {
	if v.Group != "" {
		return "group " + v.Group
	}
	return fmt.Sprintf("user %d", v.Peer)
}

func (v Conversation) peer() codec.OptID {
	if v.Group != "" {
		return codec.OptID{}
	}
	return codec.SomeID(codec.ID(v.Peer))
}

// HistoryPage asks for a piece of a conversation: before or after a seq (exclusive), or the newest.
type HistoryPage struct {
	Conversation
	Before uint64 // 0: not asked
	After  uint64 // used if HasAfter
	// HasAfter asks for what follows After, which may be 0: the beginning.
	HasAfter bool
	Limit    int // 0: the server's default
}

// HistoryPage reads a page of a conversation, ascending by seq.
func (c *Conn) HistoryPage(ctx context.Context, p HistoryPage) (*codec.Timeline, error) {
	return do[codec.Timeline](ctx, c, codec.QueryHistory, func(t codec.TaskID) any {
		req := &codec.HistoryRequest{SessionID: p.Group, PeerID: p.peer(), Limit: limit(p.Limit), TaskID: t}
		if p.Before > 0 {
			req.BeforeSeq = codec.SomeInteger(int64(p.Before))
		}
		if p.HasAfter {
			req.AfterSeq = codec.SomeInteger(int64(p.After))
		}
		return req
	})
}

// Offline gives what others wrote or did and the caller has not confirmed, oldest first.
func (c *Conn) Offline(ctx context.Context, max int) (*codec.Timeline, error) {
	return do[codec.Timeline](ctx, c, codec.QueryOfflineMessage, func(t codec.TaskID) any {
		return &codec.OfflineRequest{Limit: limit(max), TaskID: t}
	})
}

// Sessions lists the caller's conversations, most recent first; after is the After of the page before.
func (c *Conn) Sessions(ctx context.Context, max int, after string) (*codec.SessionList, error) {
	return do[codec.SessionList](ctx, c, codec.QuerySessionList, func(t codec.TaskID) any {
		return &codec.SessionsRequest{Limit: limit(max), After: after, TaskID: t}
	})
}

// Confirm says that everything of a conversation up to seq has been delivered to (service.StateDelivered) or
// read by (service.StateRead) the caller.
func (c *Conn) Confirm(ctx context.Context, v Conversation, state service.State, seq uint64) error {
	return c.confirm(ctx, codec.StatusRequest{SessionID: v.Group, PeerID: v.peer(), State: codec.Integer(state), Seq: codec.Integer(seq)})
}

// ConfirmMessages is Confirm for messages named by their msgIds.
func (c *Conn) ConfirmMessages(ctx context.Context, v Conversation, state service.State, msgIDs []string) error {
	return c.confirm(ctx, codec.StatusRequest{SessionID: v.Group, PeerID: v.peer(), State: codec.Integer(state), MsgIDs: msgIDs})
}

func (c *Conn) confirm(ctx context.Context, req codec.StatusRequest) error {
	_, err := do[codec.Empty](ctx, c, codec.MessageStatus, func(t codec.TaskID) any {
		req.TaskID = t
		return &req
	})
	return err
}

// MessageInfo looks at one message and how far it has come.
func (c *Conn) MessageInfo(ctx context.Context, v Conversation, msgID string) (*codec.MessageInfo, error) {
	return do[codec.MessageInfo](ctx, c, codec.QueryMessageInfo, func(t codec.TaskID) any {
		return &codec.InfoRequest{SessionID: v.Group, PeerID: v.peer(), MsgID: msgID, TaskID: t}
	})
}

func limit(n int) codec.OptInteger {
	if n <= 0 {
		return codec.OptInteger{}
	}
	return codec.SomeInteger(int64(n))
}
