package server_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/server"
	"github.com/msgserver/msgserver/service"
)

// TestWhatReadsKnowsTheReceiptBefore: 29 of 30 queryOfflineMessage right behind a messageStatus did not.
func TestWhatReadsKnowsTheReceiptBefore(t *testing.T) {
	n := start(t, server.Config{})
	alice, bob := n.bind(t, codec.JSON, 1), n.bind(t, codec.JSON, 2)
	for i := range 30 {
		alice.want("message", say(2, fmt.Sprint(i), ""))
		bob.push("message")
		both := bob.frame("messageStatus", doc{"state": 2, "peerId": 1, "seq": i + 1, "taskId": "s"})
		both = append(both, bob.frame("queryOfflineMessage", doc{"taskId": "o"})...)
		bob.write(both)
		check(t, bob.answer("messageStatus"), doc{"code": 0})
		page, _ := bob.answer("queryOfflineMessage")["result"].(doc)
		if got := texts(page); len(got) != 0 {
			t.Fatalf("confirmed %d, and still offline: %v", i+1, got)
		}
	}
}

// TestAFormerMembersReceiptEndsWithHim: it ended at the group's head.
func TestAFormerMembersReceiptEndsWithHim(t *testing.T) {
	n := start(t, server.Config{})
	alice, bob := n.bind(t, codec.JSON, 1), n.bind(t, codec.JSON, 2)
	g := alice.want("createGroup", doc{"groupName": "g", "memberIds": []int{2}})["groupId"].(string)
	alice.want("kickGroupMembers", doc{"groupId": g, "memberIds": []int{2}})
	for i := range 3 {
		alice.want("message", sayGroup(g, "without him", fmt.Sprint(i)))
	}
	bob.want("messageStatus", doc{"state": 3, "sessionId": g, "seq": 5})
	alice.want("addGroupMembers", doc{"groupId": g, "memberIds": []int{2}})
	for _, s := range bob.want("querySessionList", doc{})["sessions"].([]any) {
		check(t, s.(doc), doc{"readSeq": 2})
	}
}

// TestTheNewestMessagesAreTold: of 25 messages of 60 KiB confirmed by seq the sender heard of the first few only.
func TestTheNewestMessagesAreTold(t *testing.T) {
	n := start(t, server.Config{})
	alice, bob := n.bind(t, codec.JSON, 1), n.bind(t, codec.JSON, 2)
	alice.flood(2, 25, repeated("x", 60<<10))
	bob.send("messageStatus", doc{"state": 2, "peerId": 1, "seq": 25, "taskId": 1})
	for i := range 25 {
		check(t, alice.push("messageStatus"), doc{"state": 2, "seq": i + 1})
	}
}

// TestChangesOfGroupsMayBeSentAgain: a second createGroup made a second group.
func TestChangesOfGroupsMayBeSentAgain(t *testing.T) {
	for _, f := range formats {
		t.Run(f.String(), func(t *testing.T) {
			n := start(t, server.Config{})
			alice, bob := n.bind(t, f, 1), n.bind(t, f, 2)
			create := doc{"groupName": "g", "memberIds": []int{2, 3}, "msgId": "c1"}
			first := alice.want("createGroup", create)
			g := first["groupId"].(string)
			check(t, first, doc{"groupName": "g", "creator": 1, "userId": 1, "seq": 1})
			check(t, bob.push("createGroupNoti"), doc{"groupId": g, "seq": 1})
			check(t, alice.want("createGroup", create), doc{"groupId": g, "seq": 1})
			alice.refused(104, "createGroup", doc{"groupName": "other", "memberIds": []int{2, 3}, "msgId": "c1"})
			if other := bob.want("createGroup", create)["groupId"]; other == g {
				t.Error("two creators share a group")
			}
			add := doc{"groupId": g, "memberIds": []int{4}, "msgId": "a1"}
			check(t, alice.want("addGroupMembers", add), doc{"groupId": g, "seq": 2, "memberIds": "[4]"})
			check(t, bob.push("groupMembersAddNoti"), doc{"seq": 2})
			check(t, alice.want("addGroupMembers", add), doc{"seq": 2})
			alice.refused(104, "kickGroupMembers", doc{"groupId": g, "memberIds": []int{4}, "msgId": "a1"})
			leave := doc{"groupId": g, "memberIds": []int{2}, "msgId": "l1"}
			check(t, bob.want("kickGroupMembers", leave), doc{"seq": 3})
			check(t, bob.want("kickGroupMembers", leave), doc{"seq": 3}) // although he is no member any more
			update := doc{"groupId": g, "groupName": "h", "msgId": "u1"}
			check(t, alice.want("updateGroupInfo", update), doc{"groupName": "h", "seq": 4})
			check(t, alice.want("updateGroupInfo", doc{"groupId": g, "groupName": "i", "msgId": "u2"}), doc{"groupName": "i", "seq": 5})
			check(t, alice.want("updateGroupInfo", update), doc{"groupName": "h", "seq": 4})
			gone := doc{"groupId": g, "msgId": "d1"}
			check(t, alice.want("deleteGroup", gone), doc{"groupId": g, "seq": 6})
			check(t, alice.want("deleteGroup", gone), doc{"groupId": g, "seq": 6})
			check(t, alice.want("createGroup", create), doc{"groupId": g, "seq": 1})
			alice.refused(103, "queryGroupInfo", doc{"groupId": g})
		})
	}
}

// TestAnEndLosesNoAnswer: what was stored is answered and pushed before the connections are closed.
func TestAnEndLosesNoAnswer(t *testing.T) {
	for round := range 10 {
		n := start(t, server.Config{})
		alice, bob := n.bind(t, codec.JSON, 1), n.bind(t, codec.JSON, 2)
		const count = 400
		var burst []byte
		for i := range count {
			body := say(2, "x", fmt.Sprint(i))
			body["taskId"] = i
			burst = append(burst, alice.frame("message", body)...)
		}
		alice.write(burst)
		alice.must() // the first answer: the burst has been taken
		ended := make(chan error, 1)
		go func() { ended <- n.stop() }()
		answered, pushed := 1, 0
		for g, err := alice.next(); err == nil; g, err = alice.next() {
			if g.kind == codec.Response {
				answered++
			}
		}
		for g, err := bob.next(); err == nil; g, err = bob.next() {
			if g.label == "message" {
				pushed++
			}
		}
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		stored, err := n.store.Heads(context.Background(), []service.ConvID{service.Pair(1, 2)})
		if err != nil {
			t.Fatal(err)
		}
		if int(stored[0].Last) != pushed || pushed > answered {
			t.Fatalf("round %d: %d stored, %d answered, %d pushed", round, stored[0].Last, answered, pushed)
		}
	}
}

// TestALongMessageInEachOfManyGroups took a user's list of conversations away for good.
func TestALongMessageInEachOfManyGroups(t *testing.T) {
	n := start(t, server.Config{})
	mallory, bob := n.bind(t, codec.JSON, 1), n.bind(t, codec.JSON, 2)
	const groups = 60
	for i := range groups {
		g := mallory.want("createGroup", doc{"groupName": fmt.Sprint(i), "memberIds": []int{2}})["groupId"].(string)
		mallory.want("message", sayGroup(g, repeated("\x01", 40<<10), "m")) // six bytes each in JSON
	}
	seen, after := map[any]bool{}, any(nil)
	for pages := 1; ; pages++ {
		page := bob.want("querySessionList", doc{"limit": 200, "after": after})
		for _, s := range page["sessions"].([]any) {
			seen[s.(doc)["sessionId"]] = true
		}
		if after = page["after"]; page["more"] != true {
			if len(seen) != groups || pages < 3 {
				t.Errorf("%d of %d conversations on %d pages", len(seen), groups, pages)
			}
			return
		}
	}
}

// TestAnOfflinePageCostsWhatIsInIt: with limit 1 it loaded up to 1 MiB of every conversation.
func TestAnOfflinePageCostsWhatIsInIt(t *testing.T) {
	n := start(t, server.Config{Limits: service.Limits{AddsPerMinute: -1}})
	mallory, bob := n.bind(t, codec.JSON, 1), n.bind(t, codec.JSON, 2)
	for i := range 40 {
		g := mallory.want("createGroup", doc{"groupName": fmt.Sprint(i), "memberIds": []int{2}})["groupId"].(string)
		for k := range 4 {
			mallory.want("message", sayGroup(g, repeated("x", 60<<10), fmt.Sprint(k)))
		}
	}
	bob.Close()
	bob = n.bind(t, codec.JSON, 2)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const rounds = 20
	for range rounds {
		if got := bob.want("queryOfflineMessage", doc{"limit": 1})["messages"].([]any); len(got) != 1 {
			t.Fatalf("%d entries", len(got))
		}
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / rounds; each > 512<<10 {
		t.Errorf("a page with one entry allocates %d bytes", each)
	}
}

// TestReadsShareABudget: 40 lists of 16 MB took 3.2 GB. Beyond the budget 201, and it is given back.
func TestReadsShareABudget(t *testing.T) {
	store := &stalledReads{release: make(chan struct{})}
	n := startOn(t, server.Config{ReadBytes: 1 << 20}, store)
	alice, bob := n.bind(t, codec.JSON, 1), n.bind(t, codec.JSON, 2)
	alice.send("queryOfflineMessage", doc{"taskId": 1})
	eventually(t, "it is being read", func() bool { return store.reads.Load() == 1 })
	bob.refused(201, "queryOfflineMessage", doc{})
	close(store.release)
	check(t, alice.answer("queryOfflineMessage"), doc{"code": 0})
	for range 20 { // the budget would be gone if anything stayed
		bob.want("queryOfflineMessage", doc{})
		bob.want("querySessionList", doc{})
	}
}

// TestAStrangerCannotFillAVictimsGroups: 2,000 of them, in seconds.
func TestAStrangerCannotFillAVictimsGroups(t *testing.T) {
	n := start(t, server.Config{Limits: service.Limits{AddsPerMinute: 5}})
	mallory := n.bind(t, codec.JSON, 1)
	for i := range 5 {
		mallory.want("createGroup", doc{"groupName": fmt.Sprint(i), "memberIds": []int{2}})
	}
	a := mallory.ask("createGroup", doc{"groupName": "one more", "memberIds": []int{3, 2}})
	check(t, a, doc{"code": 105})
	if text := fmt.Sprint(a["error"]); !strings.Contains(text, "user 2") {
		t.Errorf("error %q does not name the user", text)
	}
	for i := range 20 { // one's own groups do not count
		n.bind(t, codec.JSON, 2).want("createGroup", doc{"groupName": fmt.Sprint(i), "memberIds": []int{7 + i}})
	}
}

// TestChangesUnderWayAreBounded: at most 4 of a user at once, over all his connections.
func TestChangesUnderWayAreBounded(t *testing.T) {
	store := &stalledChanges{release: make(chan struct{})}
	n := startOn(t, server.Config{}, store)
	var peers []*peer
	for range 5 {
		peers = append(peers, n.bind(t, codec.JSON, 1))
	}
	for _, p := range peers[:4] {
		p.send("createGroup", doc{"groupName": "g", "memberIds": []int{2}, "taskId": 1})
	}
	eventually(t, "four are under way", func() bool { return store.changes.Load() == 4 })
	peers[4].refused(201, "createGroup", doc{"groupName": "g", "memberIds": []int{2}})
	n.bind(t, codec.JSON, 2).send("createGroup", doc{"groupName": "g", "taskId": 1})
	eventually(t, "another user's is taken", func() bool { return store.changes.Load() == 5 })
	close(store.release)
	for _, p := range peers[:4] {
		check(t, p.answer("createGroup"), doc{"code": 201})
	}
}

// TestLargeBodiesDoNotHoldTheLoop: 256 KiB of memberIds held it for 15 ms each, and three times that if refused.
func TestLargeBodiesDoNotHoldTheLoop(t *testing.T) {
	n := start(t, server.Config{})
	mallory, alice := n.bind(t, codec.JSON, 1), n.bind(t, codec.JSON, 2)
	ids := make([]string, 20_000)
	for i := range ids {
		ids[i] = fmt.Sprint(i)
	}
	large := mallory.frame("createGroup", doc{"groupName": "g", "memberIds": ids, "taskId": "large"})
	const count = 200
	go func() {
		for range count {
			if _, err := mallory.Write(large); err != nil {
				return
			}
		}
	}()
	codes := map[any]int{}
	var worst time.Duration
	for range count {
		began := time.Now()
		alice.write([]byte{0, 0, 0, 0})
		alice.must()
		worst = max(worst, time.Since(began))
		codes[mallory.answer("createGroup")["code"]]++
	}
	if codes[105.0] == 0 || codes[105.0]+codes[201.0] != count {
		t.Errorf("answers %v", codes)
	}
	t.Logf("answers %v, the slowest heartbeat of another %v", codes, worst)
}
