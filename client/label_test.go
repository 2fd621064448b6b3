package client_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msgserver/msgserver/client"
	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

// TestLabels calls every method against a server that answers it once with a result and once with a refusal,
// and looks at what went over the wire.
func TestLabels(t *testing.T) {
	const group = "01890000-0000-7000-8000-000000000001"
	message := codec.MessageBody{FromUserID: 2, ToUserID: 1, ContentStr: "hé", MsgID: "m", SendDate: "5", MsgContentType: 1, ServerReceiveDate: 6, State: 2, Seq: 7}
	one, two := 1, 2
	name, creator := "renamed", service.UserID(3)
	with := client.Conversation{Peer: 0}
	in := client.Conversation{Group: group, Peer: 9}

	type exchange struct {
		name   string
		call   func(context.Context, *client.Conn) (any, error)
		label  codec.Label
		body   any // what the server must see, but for its taskId
		result any // what it answers, and with want nil what the caller must get
		want   any
	}
	nothing := func(call func(context.Context, *client.Conn) error) func(context.Context, *client.Conn) (any, error) {
		return func(ctx context.Context, c *client.Conn) (any, error) { return &codec.Empty{}, call(ctx, c) }
	}
	for _, x := range []exchange{
		{"send", func(ctx context.Context, c *client.Conn) (any, error) {
			s, err := c.Send(ctx, client.Outgoing{To: 0, MsgID: "m", Text: "hé\n\"\x01", SendDate: 5})
			return &s, err
		}, codec.Message, &codec.MessageRequest{ToUserID: codec.SomeID(0), ContentStr: "hé\n\"\x01", MsgID: "m", SendDate: "5", MsgContentType: codec.SomeInteger(1)},
			&client.Sent{MsgID: "m", Seq: 3, ServerReceiveDate: 4, State: 1}, nil},
		{"send to a group", func(ctx context.Context, c *client.Conn) (any, error) {
			s, err := c.Send(ctx, client.Outgoing{To: 2, Group: group, MsgID: "m", ContentType: -7, SendDate: 5})
			return &s, err
		}, codec.Message, &codec.MessageRequest{MsgID: "m", SendDate: "5", MsgContentType: codec.SomeInteger(-7), SessionID: group},
			&client.Sent{MsgID: "m", Seq: 3, ServerReceiveDate: 4, State: 1}, nil},
		{"createGroup", func(ctx context.Context, c *client.Conn) (any, error) {
			return c.CreateGroup(ctx, name, []service.UserID{2, 3})
		}, codec.CreateGroup, &codec.GroupRequest{GroupName: &name, MemberIDs: codec.IDs{2, 3}}, &codec.GroupCreated{GroupID: group}, group},
		{"queryGroupList", func(ctx context.Context, c *client.Conn) (any, error) { return c.Groups(ctx) },
			codec.QueryGroupList, &codec.GroupRequest{}, []client.Group{{GroupID: group, GroupName: "g", Creator: 1, MemberIDs: codec.IDs{2}, UpdateDate: 8, CreateDate: 7}}, nil},
		{"queryGroupList of nothing", func(ctx context.Context, c *client.Conn) (any, error) { return c.Groups(ctx) },
			codec.QueryGroupList, &codec.GroupRequest{}, []client.Group{}, nil},
		{"queryGroupInfo", func(ctx context.Context, c *client.Conn) (any, error) { return c.Group(ctx, group) },
			codec.QueryGroupInfo, &codec.GroupRequest{GroupID: group}, client.Group{GroupID: group, MemberIDs: codec.IDs{}}, nil},
		{"addGroupMembers", nothing(func(ctx context.Context, c *client.Conn) error {
			return c.AddMembers(ctx, group, []service.UserID{4})
		}), codec.AddGroupMembers, &codec.GroupRequest{GroupID: group, MemberIDs: codec.IDs{4}}, &codec.Empty{}, nil},
		{"kickGroupMembers", nothing(func(ctx context.Context, c *client.Conn) error {
			return c.KickMembers(ctx, group, []service.UserID{4})
		}), codec.KickGroupMembers, &codec.GroupRequest{GroupID: group, MemberIDs: codec.IDs{4}}, &codec.Empty{}, nil},
		{"updateGroupInfo", nothing(func(ctx context.Context, c *client.Conn) error {
			return c.UpdateGroup(ctx, group, client.GroupUpdate{Name: &name, Creator: &creator, MsgID: "u"})
		}), codec.UpdateGroupInfo, &codec.GroupRequest{GroupID: group, GroupName: &name, Creator: codec.SomeID(3), MsgID: "u"}, &codec.Empty{}, nil},
		{"deleteGroup", nothing(func(ctx context.Context, c *client.Conn) error { return c.DeleteGroup(ctx, group) }),
			codec.DeleteGroup, &codec.GroupRequest{GroupID: group}, &codec.Empty{}, nil},
		{"messageStatus by seq", nothing(func(ctx context.Context, c *client.Conn) error {
			return c.Confirm(ctx, with, service.StateRead, 9)
		}), codec.MessageStatus, &codec.StatusRequest{State: 3, Seq: 9, PeerID: codec.SomeID(0)}, &codec.Empty{}, nil},
		{"messageStatus by msgIds", nothing(func(ctx context.Context, c *client.Conn) error {
			return c.ConfirmMessages(ctx, in, service.StateDelivered, []string{"a", "b"})
		}), codec.MessageStatus, &codec.StatusRequest{State: 2, MsgIDs: []string{"a", "b"}, SessionID: group}, &codec.Empty{}, nil},
		{"queryMessageInfo", func(ctx context.Context, c *client.Conn) (any, error) { return c.MessageInfo(ctx, in, "m") },
			codec.QueryMessageInfo, &codec.InfoRequest{MsgID: "m", SessionID: group},
			&codec.MessageInfo{MessageBody: message, DeliveredCount: &two, ReadCount: &one}, nil},
		{"queryOfflineMessage", func(ctx context.Context, c *client.Conn) (any, error) { return c.Offline(ctx, 20) },
			codec.QueryOfflineMessage, &codec.OfflineRequest{Limit: codec.SomeInteger(20)},
			&codec.Timeline{Messages: []codec.TimelineItem{
				{LabelName: codec.Message, Content: &message},
				{LabelName: codec.GroupMembersDelNoti, Content: &codec.MembersBody{GroupID: group, MemberIDs: codec.IDs{4}, UserID: 1, Seq: 8, ServerReceiveDate: 9}},
				{LabelName: codec.CreateGroupNoti, Content: &codec.GroupBody{GroupID: group, MemberIDs: codec.IDs{}, Seq: 1}},
			}, More: true}, nil},
		{"queryHistory before", func(ctx context.Context, c *client.Conn) (any, error) {
			return c.HistoryPage(ctx, client.HistoryPage{Conversation: with, Before: 5, Limit: 2})
		}, codec.QueryHistory, &codec.HistoryRequest{PeerID: codec.SomeID(0), BeforeSeq: codec.SomeInteger(5), Limit: codec.SomeInteger(2)},
			&codec.Timeline{Messages: []codec.TimelineItem{}, FirstSeq: 3}, nil},
		{"queryHistory from the beginning", func(ctx context.Context, c *client.Conn) (any, error) {
			return c.HistoryPage(ctx, client.HistoryPage{Conversation: in, HasAfter: true})
		}, codec.QueryHistory, &codec.HistoryRequest{SessionID: group, AfterSeq: codec.SomeInteger(0)}, &codec.Timeline{Messages: []codec.TimelineItem{}}, nil},
		{"querySessionList", func(ctx context.Context, c *client.Conn) (any, error) { return c.Sessions(ctx, 10, "there") },
			codec.QuerySessionList, &codec.SessionsRequest{Limit: codec.SomeInteger(10), After: "there"},
			&codec.SessionList{Sessions: []codec.SessionBody{
				{PeerID: codec.SomeID(0), Seq: 7, ReadSeq: 5, DeliveredSeq: 6, Unread: 2, LastMessage: &message, UpdateDate: 6},
				{SessionID: group, Seq: 1, UpdateDate: 5},
			}, More: true, After: "here"}, nil},
	} {
		for _, format := range formats {
			t.Run(x.name+"/"+format.String(), func(t *testing.T) {
				addr := scripted(t, func(p *peer) {
					p.bind()
					for i := 0; ; i++ {
						r, ok := p.next()
						if !ok {
							return
						}
						if r.label != x.label || r.format != format || r.task.IsZero() {
							t.Errorf("request %s in %s with task %q, want %s in %s", r.label, r.format, r.task, x.label, format)
						}
						checkBody(t, r, x.body)
						if i == 0 {
							p.answer(r, x.result)
						} else {
							p.refuse(r, service.Denied, "not you")
						}
					}
				})
				conn := bound(t, addr, client.Options{Format: format})
				got, err := x.call(within(t), conn)
				want := x.want
				if want == nil {
					want = x.result
				}
				if diff := cmp.Diff(want, got); diff != "" || err != nil {
					t.Errorf("error %v, result (-want +got):\n%s", err, diff)
				}
				_, err = x.call(within(t), conn)
				checkRefused(t, err, client.Error{Code: service.Denied, Message: "not you", Label: x.label})
			})
		}
	}
}

// checkBody compares a request's body with what it must be, but for its taskId and for a msgId that the client made.
func checkBody(t *testing.T, r request, want any) {
	t.Helper()
	got := map[codec.Label]any{
		codec.Message: &codec.MessageRequest{}, codec.MessageStatus: &codec.StatusRequest{}, codec.QueryMessageInfo: &codec.InfoRequest{},
		codec.QueryOfflineMessage: &codec.OfflineRequest{}, codec.QueryHistory: &codec.HistoryRequest{}, codec.QuerySessionList: &codec.SessionsRequest{},
	}[r.label]
	if got == nil {
		got = &codec.GroupRequest{}
	}
	decode(t, r, got)
	if g, ok := got.(*codec.GroupRequest); ok && want.(*codec.GroupRequest).MsgID == "" {
		change := r.label != codec.QueryGroupList && r.label != codec.QueryGroupInfo
		if change != (g.MsgID != "") || len(g.MsgID) > 128 {
			t.Errorf("%s with the msgId %q", r.label, g.MsgID)
		}
		g.MsgID = ""
	}
	anyTask := cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".TaskID" }, cmp.Ignore())
	if diff := cmp.Diff(want, got, anyTask); diff != "" {
		t.Errorf("%s (-want +got):\n%s", r.label, diff)
	}
}

func checkRefused(t *testing.T, err error, want client.Error) {
	t.Helper()
	var refused *client.Error
	if !errors.As(err, &refused) || *refused != want {
		t.Errorf("error %v, want %v", err, &want)
		return
	}
	if code, ok := client.CodeOf(err); !ok || code != want.Code {
		t.Errorf("code %v %v, want %v", code, ok, want.Code)
	}
}

func TestBind(t *testing.T) {
	for _, format := range formats {
		t.Run(format.String(), func(t *testing.T) {
			addr := scripted(t, func(p *peer) {
				r, _ := p.next()
				var b codec.Bind
				decode(t, r, &b)
				want := codec.Bind{UserID: codec.SomeID(0), Token: "secret", DeviceID: "phone", TaskID: b.TaskID}
				if b != want || r.label != codec.GetUserID {
					t.Errorf("%s %+v, want %+v", r.label, b, want)
				}
				p.refuse(r, service.Unauthenticated, "the token is wrong")
				r, _ = p.next()
				p.answer(r, &codec.Bound{UserID: 0, ServerDate: 1})
				p.drain()
			})
			conn := dial(t, addr, client.Options{Format: format, Token: "secret", DeviceID: "phone"})
			checkRefused(t, conn.Bind(within(t), 0), client.Error{Code: service.Unauthenticated, Message: "the token is wrong", Label: codec.GetUserID})
			if err := conn.Bind(within(t), 0); err != nil || conn.User() != 0 {
				t.Error(err, conn.User())
			}
		})
	}
}

func TestCanConnect(t *testing.T) {
	addr := scripted(t, func(p *peer) {
		for _, yes := range []bool{true, false} {
			r, _ := p.next()
			if r.label != codec.CanConnect || r.format != codec.None || len(r.body) != 0 {
				t.Errorf("%s in %s with %q", r.label, r.format, r.body)
			}
			p.raw(codec.AppendBool(nil, r.format, r.label, yes))
		}
		p.drain()
	})
	conn := dial(t, addr, client.Options{})
	for _, want := range []bool{true, false} {
		if yes, err := conn.CanConnect(within(t)); yes != want || err != nil {
			t.Errorf("%v %v, want %v", yes, err, want)
		}
	}
}
