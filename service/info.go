package service

import (
	"context"
	"errors"
)

// InfoQuery names one message, by its msgId or by its seq.
type InfoQuery struct {
	Where
	MsgID string
	Seq   Seq
}

// MessageInfo is a message and how far it has come.
type MessageInfo struct {
	Stated
	Group           bool
	Delivered, Read int // of a group message: how many of the present members other than its sender
}

// Info looks at one message.
func (s *Service) Info(ctx context.Context, c Caller, q InfoQuery) (MessageInfo, error) {
	if err := c.verify(); err != nil {
		return MessageInfo{}, err
	}
	v, err := s.view(ctx, c.User, q.Where)
	if err != nil {
		return MessageInfo{}, err
	}
	e, err := s.find(ctx, v, q)
	if err != nil {
		return MessageInfo{}, err
	}
	stated, err := s.state(ctx, v.conv, []Entry{e})
	if err != nil {
		return MessageInfo{}, err
	}
	info := MessageInfo{Stated: stated[0]}
	id, group := v.conv.Group()
	if !group {
		return info, nil
	}
	info.Group = true
	g, err := s.store.Group(ctx, id)
	if err != nil {
		return info, ignoreGone(err) // a dissolved group has no present members
	}
	others := minus(g.Members, []UserID{e.From})
	marks, err := s.store.MemberMarks(ctx, v.conv, others)
	for _, m := range marks {
		if m.Delivered >= e.Seq {
			info.Delivered++
		}
		if m.Read >= e.Seq {
			info.Read++
		}
	}
	return info, err
}

// find is the message that q names, if the user may see it. Of two senders' messages with the same msgId it
// is the newer one.
func (s *Service) find(ctx context.Context, v view, q InfoQuery) (Entry, error) {
	var found []Entry
	var err error
	switch {
	case q.MsgID != "" && q.Seq != 0, q.MsgID == "" && q.Seq == 0:
		return Entry{}, Errorf(Invalid, "name one message: its msgId, or its seq")
	case q.MsgID != "":
		found, err = s.store.Find(ctx, v.conv, q.MsgID)
	default:
		found, err = s.read(ctx, v, q.Seq, 1, s.limits.PageBytes, Forward)
	}
	if err != nil {
		return Entry{}, err
	}
	for _, e := range found {
		if e.Kind == KindMessage && v.sees(e.Seq, e.Seq) && (q.Seq == 0 || e.Seq == q.Seq) {
			return e, nil
		}
	}
	return Entry{}, Errorf(NotFound, "there is no such message in this conversation")
}

// ignoreGone is err unless it says that a group is gone.
func ignoreGone(err error) error {
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}
