package client

import (
	"slices"

	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

// Entry is one element of a conversation: a message, or a notice that a change of the group left.
type Entry struct {
	Conversation
	Seq     uint64      // 1, 2, 3, … in its conversation
	Label   codec.Label // message, or that of the notice
	Content any         // *codec.MessageBody, *codec.GroupBody or *codec.MembersBody, as with Push
}

// Message gives the message of an entry that is one; ok is false for a notice.
func (e Entry) Message() (m *codec.MessageBody, ok bool) {
	m, ok = e.Content.(*codec.MessageBody)
	return m, ok
}

// entryOf makes an entry of what a push or a page of history says; ok is false for what is no entry.
func entryOf(user service.UserID, label codec.Label, content any) (e Entry, ok bool) {
	e = Entry{Label: label, Content: content}
	switch body := content.(type) {
	case *codec.MessageBody:
		e.Seq, e.Group = body.Seq, body.SessionID
		if e.Group == "" {
			if e.Peer = service.UserID(body.FromUserID); e.Peer == user {
				e.Peer = service.UserID(body.ToUserID)
			}
		}
	case *codec.GroupBody:
		e.Seq, e.Group = body.Seq, body.GroupID
	case *codec.MembersBody:
		e.Seq, e.Group = body.Seq, body.GroupID
	default:
		return e, false
	}
	return e, e.Seq > 0
}

// leaves reports whether the entry is the last that user sees of the group, for now.
func (e Entry) leaves(user service.UserID) bool {
	switch e.Label {
	case codec.DeleteGroupNoti:
		return true
	case codec.GroupMembersDelNoti:
		body, ok := e.Content.(*codec.MembersBody)
		return ok && slices.Contains(body.MemberIDs, codec.ID(user))
	}
	return false
}
