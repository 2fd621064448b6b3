package server_test

import (
	"fmt"
	"testing"

	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/server"
)

// texts are the contents of a page, notices by their labels.
func texts(page doc) []string {
	out := []string{}
	for _, m := range page["messages"].([]any) {
		item := m.(doc)
		if item["labelName"] == "message" {
			out = append(out, item["content"].(doc)["contentStr"].(string))
		} else {
			out = append(out, item["labelName"].(string))
		}
	}
	return out
}

func pageIs(t *testing.T, page doc, more bool, want ...string) {
	t.Helper()
	if got := texts(page); fmt.Sprint(got) != fmt.Sprint(want) || page["more"] != more {
		t.Errorf("page %v more %v, want %v more %v", got, page["more"], want, more)
	}
}

func TestHistory(t *testing.T) {
	n := start(t, server.Config{})
	for i, f := range formats {
		t.Run(f.String(), func(t *testing.T) {
			a, b := 10*i+1, 10*i+2
			alice, bob := n.bind(t, f, a), n.bind(t, f, b)
			pageIs(t, bob.want("queryHistory", doc{"peerId": a}), false)
			for k := range 5 {
				alice.want("message", say(b, fmt.Sprint("t", k+1), fmt.Sprint("m", k)))
			}
			for range 5 {
				bob.push("message")
			}
			pageIs(t, bob.want("queryHistory", doc{"peerId": a}), false, "t1", "t2", "t3", "t4", "t5")
			pageIs(t, bob.want("queryHistory", doc{"peerId": a, "limit": 2}), true, "t4", "t5")
			pageIs(t, bob.want("queryHistory", doc{"peerId": a, "limit": 2, "beforeSeq": 4}), true, "t2", "t3")
			pageIs(t, bob.want("queryHistory", doc{"peerId": a, "beforeSeq": 2}), false, "t1")
			pageIs(t, bob.want("queryHistory", doc{"peerId": a, "beforeSeq": 1}), false)
			pageIs(t, bob.want("queryHistory", doc{"peerId": a, "limit": 2, "afterSeq": 0}), true, "t1", "t2")
			pageIs(t, bob.want("queryHistory", doc{"peerId": a, "limit": 2, "afterSeq": "3"}), false, "t4", "t5")
			pageIs(t, bob.want("queryHistory", doc{"peerId": a, "afterSeq": 5}), false)
			bob.refused(105, "queryHistory", doc{"peerId": a, "limit": 201})
			bob.refused(100, "queryHistory", doc{"peerId": a, "limit": 0})
			bob.refused(100, "queryHistory", doc{"peerId": a, "beforeSeq": 3, "afterSeq": 1})
			bob.refused(100, "queryHistory", doc{})
			bob.refused(103, "queryHistory", doc{"sessionId": "x"})
		})
	}
}

func TestReceipts(t *testing.T) {
	n := start(t, server.Config{})
	alice, bob, bobToo := n.bind(t, codec.JSON, 1), n.bind(t, codec.MsgPack, 2), n.bind(t, codec.JSON, 2)
	for k := range 3 {
		alice.want("message", say(2, fmt.Sprint("t", k+1), fmt.Sprint("m", k+1)))
		bob.push("message")
		bobToo.push("message")
	}
	info := alice.want("queryMessageInfo", doc{"msgId": "m2", "peerId": 2})
	check(t, info, doc{"contentStr": "t2", "state": 1, "seq": 2})
	if _, has := info["readCount"]; has {
		t.Error("a personal message has counts")
	}
	bob.want("messageStatus", doc{"state": 2, "peerId": 1, "msgIds": []string{"m2"}})
	check(t, alice.push("messageStatus"), doc{"msgId": "m2", "state": 2, "seq": 2, "userId": 2, "sessionId": ""})
	bob.want("messageStatus", doc{"state": 2, "peerId": 1, "seq": 1}) // moves nothing
	alice.quiet()
	pageIs(t, bob.want("queryOfflineMessage", doc{}), false, "t3")
	bob.want("messageStatus", doc{"state": 3, "peerId": 1, "seq": 999})
	for k := range 3 {
		check(t, alice.push("messageStatus"), doc{"msgId": fmt.Sprint("m", k+1), "state": 3, "userId": 2})
	}
	alice.quiet()
	check(t, bob.want("queryMessageInfo", doc{"seq": 1, "peerId": 1}), doc{"state": 3})
	check(t, alice.want("message", say(2, "t1", "m1")), doc{"seq": 1, "state": 3}) // a duplicate says how far it came
	pageIs(t, bob.want("queryOfflineMessage", doc{}), false)
	bob.refused(100, "messageStatus", doc{"state": 1, "peerId": 1, "seq": 1})
	bob.refused(100, "messageStatus", doc{"state": 2, "peerId": 1})
	bob.refused(100, "messageStatus", doc{"state": 2, "seq": 1})
	bob.refused(103, "messageStatus", doc{"state": 2, "peerId": 1, "msgIds": []string{"nothing"}})
	bob.refused(103, "queryMessageInfo", doc{"msgId": "nothing", "peerId": 1})
	bobToo.quiet()
}

func TestGroupReceipts(t *testing.T) {
	n := start(t, server.Config{})
	alice, bob := n.bind(t, codec.JSON, 1), n.bind(t, codec.JSON, 2)
	id := alice.want("createGroup", doc{"groupName": "g", "memberIds": []int{2, 3}})["groupId"].(string)
	bob.push("createGroupNoti")
	alice.want("message", sayGroup(id, "t1", "m1"))
	bob.push("message")
	bob.want("messageStatus", doc{"state": 3, "sessionId": id, "seq": 2})
	check(t, alice.push("messageStatus"), doc{"msgId": "m1", "state": 3, "userId": 2, "sessionId": id})
	check(t, bob.want("queryMessageInfo", doc{"msgId": "m1", "sessionId": id}), doc{"state": 1, "deliveredCount": 1, "readCount": 1})
	n.bind(t, codec.JSON, 4).refused(102, "messageStatus", doc{"state": 2, "sessionId": id, "seq": 1})
}

func TestOfflineAcrossConversations(t *testing.T) {
	n := start(t, server.Config{})
	alice, carol := n.bind(t, codec.JSON, 1), n.bind(t, codec.JSON, 3)
	alice.want("message", say(2, "first", ""))
	id := carol.want("createGroup", doc{"groupName": "g", "memberIds": []int{2}})["groupId"].(string)
	carol.want("message", sayGroup(id, "second", ""))
	alice.want("message", say(2, "third", ""))
	carol.want("kickGroupMembers", doc{"groupId": id, "memberIds": []int{2}})
	carol.want("message", sayGroup(id, "not for you", ""))

	bob := n.bind(t, codec.JSON, 2)
	bob.want("message", say(1, "my own", ""))
	// Oldest first as far as the clock of milliseconds tells; within a conversation always.
	page := bob.want("queryOfflineMessage", doc{})
	if got := texts(page); len(got) != 5 || page["more"] != false {
		t.Fatalf("%v more %v", got, page["more"])
	}
	if got := bob.want("queryOfflineMessage", doc{}); len(texts(got)) != 5 {
		t.Error("reading confirmed something")
	}
	if got := bob.want("queryOfflineMessage", doc{"limit": 2}); len(texts(got)) != 2 || got["more"] != true {
		t.Errorf("%v", got)
	}
	bob.want("messageStatus", doc{"state": 2, "sessionId": id, "seq": 3})
	pageIs(t, bob.want("queryOfflineMessage", doc{}), false, "first", "third")
	pageIs(t, bob.want("queryHistory", doc{"sessionId": id}), false, "createGroupNoti", "second", "groupMembersDelNoti")
	bob.refused(105, "queryOfflineMessage", doc{"limit": 1000})
}

func TestANewMemberSeesFromWhenHeJoined(t *testing.T) {
	n := start(t, server.Config{})
	alice, bob := n.bind(t, codec.JSON, 1), n.bind(t, codec.JSON, 2)
	id := alice.want("createGroup", doc{"groupName": "g"})["groupId"].(string)
	alice.want("message", sayGroup(id, "before", ""))
	alice.want("addGroupMembers", doc{"groupId": id, "memberIds": []int{2}})
	alice.want("message", sayGroup(id, "during", ""))
	alice.want("kickGroupMembers", doc{"groupId": id, "memberIds": []int{2}})
	alice.want("message", sayGroup(id, "without", ""))
	alice.want("addGroupMembers", doc{"groupId": id, "memberIds": []int{2}})
	alice.want("message", sayGroup(id, "again", ""))
	want := []string{"groupMembersAddNoti", "during", "groupMembersDelNoti", "groupMembersAddNoti", "again"}
	for _, label := range []string{"groupMembersAddNoti", "message", "groupMembersDelNoti", "groupMembersAddNoti", "message"} {
		bob.push(label)
	}
	pageIs(t, bob.want("queryHistory", doc{"sessionId": id}), false, want...)
	pageIs(t, bob.want("queryHistory", doc{"sessionId": id, "afterSeq": 0, "limit": 4}), true, want[:4]...)
	pageIs(t, bob.want("queryHistory", doc{"sessionId": id, "beforeSeq": 6, "limit": 2}), true, want[1:3]...)
	bob.refused(103, "queryMessageInfo", doc{"sessionId": id, "seq": 2})
}

func TestSessionList(t *testing.T) {
	n := start(t, server.Config{})
	alice, bob := n.bind(t, codec.JSON, 1), n.bind(t, codec.MsgPack, 2)
	id := alice.want("createGroup", doc{"groupName": "g", "memberIds": []int{2}})["groupId"].(string)
	left := alice.want("createGroup", doc{"groupName": "left", "memberIds": []int{2}})["groupId"].(string)
	bob.want("deleteGroup", doc{"groupId": left})
	for k := range 3 {
		alice.want("message", say(2, fmt.Sprint("t", k+1), ""))
	}
	bob.want("messageStatus", doc{"state": 3, "peerId": 1, "seq": 1})
	list := bob.want("querySessionList", doc{})
	sessions := list["sessions"].([]any)
	if len(sessions) != 2 || list["more"] != false {
		t.Fatalf("%v", list)
	}
	for _, s := range sessions {
		s := s.(doc)
		if s["sessionId"] == id {
			check(t, s, doc{"seq": 1, "unread": 0, "lastMessage": nil})
			continue
		}
		check(t, s, doc{"peerId": 1, "seq": 3, "readSeq": 1, "deliveredSeq": 1, "unread": 2})
		check(t, s["lastMessage"].(doc), doc{"contentStr": "t3", "state": 1})
	}
	first := bob.want("querySessionList", doc{"limit": 1})
	second := bob.want("querySessionList", doc{"limit": 1, "after": first["after"]})
	if first["more"] != true || second["more"] != false {
		t.Errorf("%v\n%v", first, second)
	}
	a, b := first["sessions"].([]any)[0].(doc), second["sessions"].([]any)[0].(doc)
	if a["sessionId"] == b["sessionId"] {
		t.Errorf("the same session twice: %v", a)
	}
	bob.refused(100, "querySessionList", doc{"after": "nonsense"})
}
