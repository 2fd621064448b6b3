package server_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/server"
	"github.com/msgserver/msgserver/service"
)

// numbers is a JSON list of numbers.
func numbers(v any) []int {
	list, _ := v.([]any)
	out := make([]int, len(list))
	for i := range list {
		out[i] = int(list[i].(float64))
	}
	return out
}

func members(t *testing.T, d doc, want ...int) {
	t.Helper()
	if got := numbers(d["memberIds"]); !slices.Equal(got, want) {
		t.Errorf("memberIds %v, want %v", got, want)
	}
}

func TestGroupLife(t *testing.T) {
	n := start(t, server.Config{})
	for i, f := range formats {
		t.Run(f.String(), func(t *testing.T) {
			base := 100 * (i + 1)
			u := func(k int) int { return base + k }
			alice, bob, carol, dave := n.bind(t, f, u(1)), n.bind(t, formats[1-i], u(2)), n.bind(t, f, u(3)), n.bind(t, f, u(4))

			id := alice.want("createGroup", doc{"groupName": "friends", "memberIds": []any{u(2), fmt.Sprint(u(1)), u(2)}, "groupHeadImage": "http://x/y.png"})["groupId"].(string)
			noti := bob.push("createGroupNoti")
			check(t, noti, doc{"groupId": id, "groupName": "friends", "creator": u(1), "seq": 1, "groupHeadImage": "http://x/y.png"})
			members(t, noti, u(2))
			alice.quiet()

			check(t, bob.want("message", sayGroup(id, "hello", "m1")), doc{"seq": 2})
			check(t, alice.push("message"), doc{"sessionId": id, "toUserId": 0, "contentStr": "hello", "seq": 2})
			carol.refused(102, "message", sayGroup(id, "let me in", "m2"))
			carol.refused(102, "queryGroupInfo", doc{"groupId": id})

			bob.want("addGroupMembers", doc{"groupId": id, "memberIds": []int{u(3), u(2)}})
			for _, p := range []*peer{alice, carol} {
				add := p.push("groupMembersAddNoti")
				check(t, add, doc{"groupId": id, "userId": u(2), "seq": 3})
				members(t, add, u(3))
			}
			bob.want("addGroupMembers", doc{"groupId": id, "memberIds": []int{u(3)}}) // changes nothing
			bob.refused(102, "kickGroupMembers", doc{"groupId": id, "memberIds": []int{u(3)}})
			bob.refused(102, "updateGroupInfo", doc{"groupId": id, "groupName": "mine"})
			alice.refused(102, "kickGroupMembers", doc{"groupId": id, "memberIds": []int{u(1)}})
			alice.refused(103, "updateGroupInfo", doc{"groupId": id, "creator": u(4)})

			alice.want("kickGroupMembers", doc{"groupId": id, "memberIds": []int{u(3), u(4)}})
			for _, p := range []*peer{bob, carol} {
				gone := p.push("groupMembersDelNoti")
				check(t, gone, doc{"userId": u(1), "seq": 4})
				members(t, gone, u(3))
			}
			alice.want("message", sayGroup(id, "secret", "m3"))
			bob.push("message")
			carol.quiet()

			alice.want("updateGroupInfo", doc{"groupId": id, "creator": u(2), "groupName": "renamed"})
			check(t, bob.push("groupInfoUpdateNoti"), doc{"creator": u(2), "groupName": "renamed", "seq": 6, "groupHeadImage": "http://x/y.png"})
			info := alice.want("queryGroupInfo", doc{"groupId": id})
			check(t, info, doc{"groupName": "renamed", "creator": u(2)})
			members(t, info, u(1))

			bob.want("addGroupMembers", doc{"groupId": id, "memberIds": []int{u(4)}})
			alice.push("groupMembersAddNoti")
			dave.push("groupMembersAddNoti")
			dave.want("deleteGroup", doc{"groupId": id}) // a member who is not the creator leaves
			for _, p := range []*peer{alice, bob} {
				members(t, p.push("groupMembersDelNoti"), u(4))
			}
			dave.refused(102, "deleteGroup", doc{"groupId": id})

			bob.want("deleteGroup", doc{"groupId": id})
			check(t, alice.push("deleteGroupNoti"), doc{"groupId": id, "userId": u(2)})
			alice.refused(103, "message", sayGroup(id, "anyone?", "m4"))
			alice.refused(103, "queryGroupInfo", doc{"groupId": id})
			carol.quiet()
			dave.quiet()
		})
	}
}

func TestGroupList(t *testing.T) {
	n := start(t, server.Config{})
	p := n.bind(t, codec.MsgPack, 1)
	for i := range 3 {
		p.want("createGroup", doc{"groupName": fmt.Sprint("g", i), "memberIds": []int{2}})
	}
	q := n.bind(t, codec.JSON, 2)
	a := q.ask("queryGroupList", doc{"userId": 2})
	groups := a["result"].([]any)
	if len(groups) != 3 {
		t.Fatalf("%v", a)
	}
	var names []string
	for _, g := range groups { // in the order of their ids, which is random within a millisecond
		check(t, g.(doc), doc{"creator": 1})
		members(t, g.(doc), 2)
		names = append(names, g.(doc)["groupName"].(string))
	}
	if slices.Sort(names); !slices.Equal(names, []string{"g0", "g1", "g2"}) {
		t.Errorf("groups %v", names)
	}
	q.want("deleteGroup", doc{"groupId": groups[0].(doc)["groupId"]})
	if left := q.ask("queryGroupList", doc{})["result"].([]any); len(left) != 2 {
		t.Errorf("%d groups after leaving one of 3", len(left))
	}
}

func TestGroupLimits(t *testing.T) {
	n := start(t, server.Config{Limits: service.Limits{Members: 3, Groups: 2, Name: 8}})
	p := n.bind(t, codec.JSON, 1)
	p.refused(100, "createGroup", doc{"memberIds": []int{2}})
	p.refused(105, "createGroup", doc{"groupName": "too long a name", "memberIds": []int{2}})
	p.refused(105, "createGroup", doc{"groupName": "g", "memberIds": []int{2, 3, 4}})
	p.refused(100, "createGroup", doc{"groupName": "g", "memberIds": []any{nil}})
	id := p.want("createGroup", doc{"groupName": "g", "memberIds": []int{2, 3}})["groupId"]
	p.refused(105, "addGroupMembers", doc{"groupId": id, "memberIds": []int{4}})
	p.refused(100, "addGroupMembers", doc{"memberIds": []int{4}})
	p.want("createGroup", doc{"groupName": "h", "memberIds": []int{2}})
	p.refused(105, "createGroup", doc{"groupName": "i", "memberIds": []int{}})
	q := n.bind(t, codec.JSON, 3)
	q.want("createGroup", doc{"groupName": "j"})
	third := n.bind(t, codec.JSON, 5)
	other := third.want("createGroup", doc{"groupName": "k"})["groupId"]
	third.refused(105, "addGroupMembers", doc{"groupId": other, "memberIds": []int{1}})
}
