package client_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msgserver/msgserver/client"
	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

const groupID = "01890000-0000-7000-8000-000000000001"

// TestTheAnswerToAChangeIsItsEntry, also with servers that have less to say.
func TestTheAnswerToAChangeIsItsEntry(t *testing.T) {
	group := &codec.GroupBody{GroupID: groupID, GroupName: "g", Creator: 1, MemberIDs: codec.IDs{2}, UpdateDate: 5, CreateDate: 5, UserID: codec.SomeID(1), Seq: 4}
	members := &codec.MembersBody{GroupID: groupID, MemberIDs: codec.IDs{2}, UserID: 1, Seq: 4, ServerReceiveDate: 5}
	gone := &codec.MembersBody{GroupID: groupID, UserID: 1, Seq: 4, ServerReceiveDate: 5}
	unchanged := &codec.MembersBody{GroupID: groupID, UserID: 1}
	in := client.Conversation{Group: groupID}
	for _, tc := range []struct {
		name   string
		label  codec.Label
		answer any
		want   client.Entry
	}{
		{"created", codec.CreateGroup, group, client.Entry{Conversation: in, Seq: 4, Label: codec.CreateGroupNoti, Content: group}},
		{"created, without an entry", codec.CreateGroup, &codec.GroupCreated{GroupID: groupID},
			client.Entry{Conversation: in, Label: codec.CreateGroupNoti, Content: &codec.GroupBody{GroupID: groupID}}},
		{"updated", codec.UpdateGroupInfo, group, client.Entry{Conversation: in, Seq: 4, Label: codec.GroupInfoUpdateNoti, Content: group}},
		{"added", codec.AddGroupMembers, members, client.Entry{Conversation: in, Seq: 4, Label: codec.GroupMembersAddNoti, Content: members}},
		{"added nobody", codec.AddGroupMembers, unchanged, client.Entry{Conversation: in, Label: codec.GroupMembersAddNoti, Content: unchanged}},
		{"added, without an entry", codec.AddGroupMembers, &codec.Empty{},
			client.Entry{Conversation: in, Label: codec.GroupMembersAddNoti, Content: &codec.MembersBody{}}},
		{"kicked", codec.KickGroupMembers, members, client.Entry{Conversation: in, Seq: 4, Label: codec.GroupMembersDelNoti, Content: members}},
		{"deleted", codec.DeleteGroup, gone, client.Entry{Conversation: in, Seq: 4, Label: codec.DeleteGroupNoti, Content: gone}},
		{"left", codec.DeleteGroup, members, client.Entry{Conversation: in, Seq: 4, Label: codec.GroupMembersDelNoti, Content: members}},
	} {
		for _, format := range formats {
			t.Run(tc.name+"/"+format.String(), func(t *testing.T) {
				addr := scripted(t, func(p *peer) {
					p.bind()
					r, _ := p.next()
					checkBody(t, r, &codec.GroupRequest{GroupID: groupID, MsgID: "mine"})
					p.answer(r, tc.answer)
					p.drain()
				})
				conn := bound(t, addr, client.Options{Format: format})
				got, err := conn.ChangeGroup(within(t), tc.label, codec.GroupRequest{GroupID: groupID, MsgID: "mine"})
				if diff := cmp.Diff(tc.want, got); diff != "" || err != nil {
					t.Errorf("error %v, entry (-want +got):\n%s", err, diff)
				}
			})
		}
	}
	conn := bound(t, scripted(t, func(p *peer) { p.bind(); p.drain() }), client.Options{})
	if _, err := conn.ChangeGroup(within(t), codec.QueryGroupInfo, codec.GroupRequest{GroupID: groupID}); err == nil {
		t.Error("a query passes for a change")
	}
}

// TestChangesOfOnesOwnNeedNoFetch: the answers have the seqs that the pushes to others have.
func TestChangesOfOnesOwnNeedNoFetch(t *testing.T) {
	for _, tells := range []bool{true, false} {
		t.Run(fmt.Sprintf("tells=%v", tells), func(t *testing.T) {
			var fetches atomic.Int32
			var log []codec.TimelineItem // owned by the connection's script
			addr := scripted(t, func(p *peer) {
				p.bind()
				group := func(label codec.Label) any {
					body := &codec.GroupBody{GroupID: groupID, Creator: 1, MemberIDs: codec.IDs{2}, UserID: codec.SomeID(1), Seq: uint64(len(log) + 1)}
					log = append(log, codec.TimelineItem{LabelName: label, Content: body})
					return body
				}
				members := func(label codec.Label, who ...codec.ID) any {
					body := &codec.MembersBody{GroupID: groupID, MemberIDs: who, UserID: 1, Seq: uint64(len(log) + 1)}
					log = append(log, codec.TimelineItem{LabelName: label, Content: body})
					return body
				}
				p.attend(func(r request) bool {
					var result any
					switch r.label {
					case codec.CreateGroup:
						result = group(codec.CreateGroupNoti)
					case codec.UpdateGroupInfo:
						result = group(codec.GroupInfoUpdateNoti)
					case codec.AddGroupMembers:
						result = members(codec.GroupMembersAddNoti, 3)
					case codec.DeleteGroup:
						result = members(codec.GroupMembersDelNoti, 1)
					case codec.QueryHistory:
						var h codec.HistoryRequest
						decode(t, r, &h)
						if h.SessionID == groupID {
							fetches.Add(1)
							p.answer(r, &codec.Timeline{Messages: log[min(int(h.AfterSeq.N), len(log)):]})
							return true
						}
						return false
					default:
						return false
					}
					said := &codec.MessageBody{FromUserID: 2, SessionID: groupID, MsgID: "m", Seq: uint64(len(log) + 1)}
					if r.label != codec.DeleteGroup {
						log = append(log, codec.TimelineItem{LabelName: codec.Message, Content: said})
					}
					if !tells {
						result = &codec.GroupCreated{GroupID: groupID}
					}
					if r.label == codec.AddGroupMembers { // the push overtakes the answer
						p.push(codec.Message, said)
						p.answer(r, result)
						return true
					}
					p.answer(r, result)
					if r.label != codec.DeleteGroup {
						p.push(codec.Message, said)
					}
					return true
				})
			})
			cursors := client.MemoryCursors()
			phases := make(states, 100)
			c := quick(t, addr, client.ClientOptions{OnState: phases.note, Cursors: cursors, NoConfirm: true})
			phases.until(t, client.CaughtUp)
			ctx := within(t)
			changes := []func() error{
				func() error {
					id, err := c.CreateGroup(ctx, "g", []service.UserID{2})
					if id != groupID {
						t.Errorf("created %q", id)
					}
					return err
				},
				func() error { return c.AddMembers(ctx, groupID, []service.UserID{3}) },
				func() error { return c.UpdateGroup(ctx, groupID, client.GroupUpdate{}) },
			}
			if tells {
				changes = append(changes, func() error { return c.DeleteGroup(ctx, groupID) })
			}
			want := []codec.Label{codec.CreateGroupNoti, codec.Message, codec.GroupMembersAddNoti, codec.Message,
				codec.GroupInfoUpdateNoti, codec.Message, codec.GroupMembersDelNoti}[:min(2*len(changes), 7)]
			for _, change := range changes {
				if err := change(); err != nil {
					t.Fatal(err)
				}
			}
			var got []codec.Label
			for e, err := range c.Messages(ctx) {
				if got = append(got, e.Label); err != nil || e.Seq != uint64(len(got)) {
					t.Fatalf("got %+v %v at place %d", e, err, len(got))
				}
				c.Ack(e)
				if len(got) == len(want) {
					break
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
			if n := fetches.Load(); (n == 0) != tells {
				t.Errorf("%d fetches", n)
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			saved, _, _ := cursors.Load(me)
			if diff := cmp.Diff([]client.Cursor{{Conversation: client.Conversation{Group: groupID}, Seq: uint64(len(want)), Left: tells}}, saved); diff != "" {
				t.Errorf("cursors (-want +got):\n%s", diff)
			}
		})
	}
}

// TestAChangeIsSentAgainWithItsMsgID: after a connection that broke, and to a server that was busy.
func TestAChangeIsSentAgainWithItsMsgID(t *testing.T) {
	var mu sync.Mutex
	var ids []string // guarded by mu
	addr := scripted(t, func(p *peer) {
		p.bind()
		p.attend(func(r request) bool {
			if r.label != codec.CreateGroup && r.label != codec.KickGroupMembers && r.label != codec.UpdateGroupInfo {
				return false
			}
			var g codec.GroupRequest
			decode(t, r, &g)
			mu.Lock()
			ids = append(ids, g.MsgID)
			attempt := len(ids)
			mu.Unlock()
			switch attempt % 3 {
			case 1:
				p.Close()
			case 2:
				p.refuse(r, service.Busy, "later")
			default:
				p.answer(r, &codec.GroupCreated{GroupID: groupID})
			}
			return true
		})
	})
	c := quick(t, addr, client.ClientOptions{})
	for _, change := range []func(context.Context) error{
		func(ctx context.Context) error { _, err := c.CreateGroup(ctx, "g", nil); return err },
		func(ctx context.Context) error { return c.KickMembers(ctx, groupID, []service.UserID{2}) },
		func(ctx context.Context) error { return c.UpdateGroup(ctx, groupID, client.GroupUpdate{MsgID: "mine"}) },
	} {
		if err := change(within(t)); err != nil {
			t.Fatal(err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(ids) != 9 || ids[0] == "" || ids[0] == ids[3] || ids[6] != "mine" {
		t.Fatalf("the msgIds are %q", ids)
	}
	for i := range ids {
		if ids[i] != ids[i/3*3] {
			t.Errorf("attempt %d has another msgId: %q", i, ids)
		}
	}
}
