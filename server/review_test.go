package server_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/server"
	"github.com/msgserver/msgserver/service"
	"github.com/msgserver/msgserver/storage"
)

func openDB(t *testing.T, o storage.Options) *storage.DB {
	t.Helper()
	o.JournalSize, o.MmapSize, o.MinFree = 1<<20, 64<<20, -1
	db, err := storage.Open(t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// blocking is a store whose lists of conversations take long, while on is set.
type blocking struct {
	service.Store
	on      atomic.Bool
	entered atomic.Int32
	release chan struct{}
}

func (b *blocking) Conversations(ctx context.Context, u service.UserID, c service.Cursor, n int) ([]service.ConvRef, service.Cursor, error) {
	if b.on.Load() {
		b.entered.Add(1)
		<-b.release
	}
	return b.Store.Conversations(ctx, u, c, n)
}

// TestWhoComesAsksAndGoesDoesNotFillTheWorkers: connections that were closed kept their place in the line of the
// workers. When it was full an event loop stood still, then the store's answers, then the workers.
func TestWhoComesAsksAndGoesDoesNotFillTheWorkers(t *testing.T) {
	st := &blocking{Store: openDB(t, storage.Options{}), release: make(chan struct{})}
	n := startOn(t, server.Config{MaxConns: 4, Workers: 1}, st)
	alice := n.bind(t, codec.JSON, 1)
	st.on.Store(true)
	alice.send("queryGroupList", doc{"taskId": 1})
	eventually(t, "the worker is busy", func() bool { return st.entered.Load() == 1 })
	for round := range 4 {
		var guests []*peer
		for i := range 3 {
			p := n.bind(t, codec.JSON, 10+10*round+i)
			p.send("queryGroupList", doc{"taskId": 1})
			p.quiet()
			guests = append(guests, p)
		}
		for _, p := range guests {
			p.Close()
		}
		eventually(t, "they are gone", func() bool { return n.Stats().Conns.Load() == 1 })
	}
	alice.quiet()
	close(st.release)
	check(t, alice.answer("queryGroupList"), doc{"code": 0})
	eventually(t, "nothing waits", func() bool { return n.Stats().Waiting.Load() == 0 })
}

// TestALargeBodyIsCarriedOutLikeOthers: the few workers that decode large bodies also waited for the disk with them.
func TestALargeBodyIsCarriedOutLikeOthers(t *testing.T) {
	st := &blocking{Store: openDB(t, storage.Options{}), release: make(chan struct{})}
	n := startOn(t, server.Config{}, st)
	mallory, alice := n.bind(t, codec.JSON, 1), n.bind(t, codec.JSON, 2)
	st.on.Store(true)
	mallory.send("queryGroupList", doc{"taskId": 1, "padding": repeated("p", 17<<10)})
	eventually(t, "it is under way", func() bool { return st.entered.Load() == 1 })
	check(t, alice.ask("queryHistory", doc{"peerId": 3, "padding": repeated("p", 17<<10)}), doc{"code": 0})
	close(st.release)
	check(t, mallory.answer("queryGroupList"), doc{"code": 0})
}

// interrupting runs hook once, in the middle of what user 2 reads.
type interrupting struct {
	service.Store
	hook atomic.Pointer[func()]
}

func (k *interrupting) interrupt() {
	if h := k.hook.Swap(nil); h != nil {
		(*h)()
	}
}

func (k *interrupting) Marks(ctx context.Context, u service.UserID, cs []service.ConvID) ([]service.Marks, error) {
	if u == 2 {
		k.interrupt()
	}
	return k.Store.Marks(ctx, u, cs)
}

func (k *interrupting) Conversation(ctx context.Context, u service.UserID, c service.ConvID) (service.ConvRef, error) {
	ref, err := k.Store.Conversation(ctx, u, c)
	if u == 2 {
		k.interrupt()
	}
	return ref, err
}

// TestWhoIsRemovedWhileHeReadsSeesNothingMore: what he might see was read before where the conversation ends.
func TestWhoIsRemovedWhileHeReadsSeesNothingMore(t *testing.T) {
	for _, label := range []string{"queryOfflineMessage", "queryHistory", "querySessionList"} {
		t.Run(label, func(t *testing.T) {
			st := &interrupting{Store: openDB(t, storage.Options{})}
			n := startOn(t, server.Config{}, st)
			alice, bob := n.bind(t, codec.JSON, 1), n.bind(t, codec.JSON, 2)
			g := alice.want("createGroup", doc{"groupName": "g", "memberIds": []int{2}})["groupId"].(string)
			removed := false
			hook := func() {
				removed = true
				alice.want("kickGroupMembers", doc{"groupId": g, "memberIds": []int{2}})
				alice.want("message", sayGroup(g, "not for bob", "s"))
			}
			st.hook.Store(&hook)
			answer := fmt.Sprint(bob.ask(label, doc{"sessionId": g}))
			if !removed || strings.Contains(answer, "not for bob") {
				t.Errorf("removed %v, then told %s", removed, answer)
			}
		})
	}
}

// TestAMsgIDIsOneForMessagesAndChanges: deleteGroup with the msgId of a kick got its answer, and a message took the
// msgId of a change over.
func TestAMsgIDIsOneForMessagesAndChanges(t *testing.T) {
	n := start(t, server.Config{})
	alice := n.bind(t, codec.JSON, 1)
	g := alice.want("createGroup", doc{"groupName": "g", "memberIds": []int{2, 3}})["groupId"].(string)
	kick := doc{"groupId": g, "memberIds": []int{2}, "msgId": "x"}
	alice.want("kickGroupMembers", kick)
	alice.refused(104, "deleteGroup", doc{"groupId": g, "msgId": "x"})
	alice.refused(104, "message", sayGroup(g, "t", "x"))
	check(t, alice.want("kickGroupMembers", kick), doc{"seq": 2})
	alice.refused(104, "kickGroupMembers", doc{"groupId": g, "memberIds": []int{3}, "msgId": "x"})
	alice.want("message", sayGroup(g, "t", "y"))
	alice.refused(104, "addGroupMembers", doc{"groupId": g, "memberIds": []int{7}, "msgId": "y"})
}

// TestARepeatedCreateGroupTellsWhatWasAsked: when its entry had expired it told a former member what the group had
// become.
func TestARepeatedCreateGroupTellsWhatWasAsked(t *testing.T) {
	var now atomic.Int64
	now.Store(time.Now().UnixMilli())
	clock := func() time.Time { return time.UnixMilli(now.Load()) }
	db := openDB(t, storage.Options{Clock: clock, Retain: time.Hour})
	n := startOn(t, server.Config{Clock: clock}, db)
	alice, bob := n.bind(t, codec.JSON, 1), n.bind(t, codec.JSON, 2)
	create := doc{"groupName": "g", "memberIds": []int{2}, "msgId": "c1"}
	g := alice.want("createGroup", create)["groupId"].(string)
	alice.want("updateGroupInfo", doc{"groupId": g, "creator": 2})
	bob.want("kickGroupMembers", doc{"groupId": g, "memberIds": []int{1}})
	now.Add(2 * time.Hour.Milliseconds())
	bob.want("updateGroupInfo", doc{"groupId": g, "groupName": "secret"})
	bob.want("addGroupMembers", doc{"groupId": g, "memberIds": []int{77}})
	id, _ := service.ParseGroupID(g)
	eventually(t, "the first entry has expired", func() bool {
		heads, err := db.Heads(t.Context(), []service.ConvID{id.Conv()})
		return err == nil && heads[0].First > 1
	})
	again := alice.want("createGroup", create)
	check(t, again, doc{"groupId": g, "groupName": "g", "creator": 1, "memberIds": "[2]"})
}

// TestFormerSendersHearNothingMore: receipts went on reaching those who were removed. Who is named twice is told once.
func TestFormerSendersHearNothingMore(t *testing.T) {
	n := start(t, server.Config{})
	alice, bob, carol := n.bind(t, codec.JSON, 1), n.bind(t, codec.JSON, 2), n.bind(t, codec.JSON, 3)
	g := alice.want("createGroup", doc{"groupName": "g", "memberIds": []int{2, 3}})["groupId"].(string)
	bob.want("message", sayGroup(g, "t", "b1"))
	alice.want("kickGroupMembers", doc{"groupId": g, "memberIds": []int{2}})
	bob.push("groupMembersDelNoti")
	carol.want("messageStatus", doc{"sessionId": g, "seq": 3, "state": 3})
	bob.quiet()
	alice.want("message", say(3, "t", "d1"))
	carol.want("messageStatus", doc{"peerId": 1, "msgIds": []string{"d1", "d1", "d1"}, "state": 2})
	check(t, alice.push("messageStatus"), doc{"msgId": "d1"})
	alice.quiet()
}
