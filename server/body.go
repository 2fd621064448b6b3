package server

import (
	"fmt"

	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

// This file turns the domain's types into the wire's bodies.

func appendEntryPush(dst []byte, f codec.Format, e *service.Entry, state service.State) ([]byte, error) {
	if e.Kind == service.KindMessage {
		body := messageBody(e, state)
		return codec.AppendMessagePush(dst, f, &body), nil
	}
	label, body := noticeBody(e)
	return codec.AppendPush(dst, f, label, body)
}

func appendSignal(dst []byte, f codec.Format, sig service.Signal) ([]byte, error) {
	switch sig := sig.(type) {
	case service.Receipt:
		return codec.AppendStatusPush(dst, f, &codec.StatusBody{
			MsgID: sig.MsgID, State: int(sig.State), Seq: uint64(sig.Seq),
			UserID: codec.OptID{ID: codec.ID(sig.User), Set: true}, SessionID: sessionID(sig.Conv),
		}), nil
	}
	return nil, fmt.Errorf("no push for a %T", sig)
}

func messageBody(e *service.Entry, state service.State) codec.MessageBody {
	return codec.MessageBody{
		FromUserID: codec.ID(e.From), ToUserID: codec.ID(e.To), ContentStr: e.Content, MsgID: e.MsgID,
		SendDate: codec.Scalar(e.SendDate), MsgContentType: e.ContentType, SessionID: sessionID(e.Conv),
		ServerReceiveDate: e.ServerDate, State: int(state), Seq: uint64(e.Seq),
	}
}

// noticeBody is the label and content of a notice about a group.
func noticeBody(e *service.Entry) (codec.Label, any) {
	switch e.Kind {
	case service.KindGroupCreated, service.KindGroupUpdated:
		body := groupBody(e.Group)
		body.UserID = codec.OptID{ID: codec.ID(e.From), Set: true}
		body.Seq = uint64(e.Seq)
		if e.Kind == service.KindGroupCreated {
			return codec.CreateGroupNoti, body
		}
		return codec.GroupInfoUpdateNoti, body
	}
	body := &codec.MembersBody{
		GroupID: sessionID(e.Conv), MemberIDs: wireIDs(e.Members), UserID: codec.ID(e.From),
		Seq: uint64(e.Seq), ServerReceiveDate: e.ServerDate,
	}
	switch e.Kind {
	case service.KindMembersAdded:
		return codec.GroupMembersAddNoti, body
	case service.KindMembersGone:
		return codec.GroupMembersDelNoti, body
	}
	body.MemberIDs = nil
	return codec.DeleteGroupNoti, body
}

func groupBody(g *service.Group) *codec.GroupBody {
	members := make([]codec.ID, 0, len(g.Members))
	for _, u := range g.Members {
		if u != g.Creator {
			members = append(members, codec.ID(u))
		}
	}
	return &codec.GroupBody{
		GroupID: g.ID.String(), GroupName: g.Name, GroupHeadImage: g.HeadImage, Creator: codec.ID(g.Creator),
		MemberIDs: members, UpdateDate: g.UpdateDate, CreateDate: g.CreateDate,
	}
}

// sessionID is the wire's name of a conversation: the group, or "" for a pair.
func sessionID(c service.ConvID) string {
	if g, ok := c.Group(); ok {
		return g.String()
	}
	return ""
}

func wireIDs(us []service.UserID) []codec.ID {
	ids := make([]codec.ID, len(us))
	for i, u := range us {
		ids[i] = codec.ID(u)
	}
	return ids
}

func userIDs(ids []codec.ID) []service.UserID {
	us := make([]service.UserID, len(ids))
	for i, id := range ids {
		us[i] = service.UserID(id)
	}
	return us
}
