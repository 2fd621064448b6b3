package client

import (
	"cmp"
	"slices"

	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

// Entry is one element of a conversation: a message, or a notice that a change of the group left. A newer server may
// have more kinds: their Content is a *codec.UnknownBody.
type Entry struct {
	Conversation
	Seq     uint64      // 1, 2, 3, … in its conversation
	Label   codec.Label // message, or that of the notice
	Content any         // *codec.MessageBody, *codec.GroupBody, *codec.MembersBody or *codec.UnknownBody, as with Push
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
		e.Seq, e.Conversation = body.Seq, between(user, body.SessionID, body.FromUserID, body.ToUserID)
	case *codec.UnknownBody:
		e.Seq, e.Conversation = body.Seq, between(user, cmp.Or(body.SessionID, body.GroupID), body.FromUserID, body.ToUserID)
	case *codec.GroupBody:
		e.Seq, e.Group = body.Seq, body.GroupID
	case *codec.MembersBody:
		e.Seq, e.Group = body.Seq, body.GroupID
	default:
		return e, false
	}
	return e, e.Seq > 0
}

// between is the conversation of user that an entry of two others stands in.
func between(user service.UserID, group string, from, to codec.ID) Conversation {
	if peer := service.UserID(from); peer != user {
		return conversation(group, peer)
	}
	return conversation(group, service.UserID(to))
}

// step is how far an item of a page brings a reader of v who is at seq at: to its seq, if that is beyond; by one if it
// is of an unknown kind and does not tell its seq, since two entries do not share one. The entry is the application's,
// if ok. back reads towards the beginning; at 0 is the end then.
func step(user service.UserID, v Conversation, item codec.TimelineItem, at uint64, back bool) (e Entry, next uint64, ok bool) {
	e, ok = entryOf(user, item.LabelName, item.Content)
	if _, unknown := item.Content.(*codec.UnknownBody); unknown {
		if e.Conversation = v; !ok && back {
			return e, max(at, 1) - 1, false
		} else if !ok {
			return e, at + 1, false
		}
	}
	if !ok || back && at > 0 && e.Seq >= at || !back && e.Seq <= at {
		return e, at, false
	}
	return e, e.Seq, e.Conversation == v
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
