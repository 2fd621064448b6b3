package client_test

import (
	"context"
	"errors"
	"log"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/msgserver/msgserver/client"
	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/server"
	"github.com/msgserver/msgserver/service"
	"github.com/msgserver/msgserver/storage"
)

// delivered is how far a fake server knows user 1 to be with user 2.
func (f *fake) deliveredTo() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.l.delivered[pairOf(me, 2)][me]
}

// saying is a fake server on which user 2 has said something to user 1.
func saying(t *testing.T, count int) *fake {
	t.Helper()
	f := newFake(t, "first")
	for range count {
		f.say(2, me)
	}
	return f
}

func cursorOf(t *testing.T, store client.CursorStore) uint64 {
	t.Helper()
	saved, _, err := store.Load(me)
	if err != nil || len(saved) != 1 {
		t.Fatalf("cursors %+v %v", saved, err)
	}
	return saved[0].Seq
}

// TestReturnInTheLoopDoesNotConfirm the entry in hand: neither break, nor a panic. The next loop is given it again.
func TestReturnInTheLoopDoesNotConfirm(t *testing.T) {
	for _, leave := range []string{"break", "panic"} {
		t.Run(leave, func(t *testing.T) {
			f, store := saying(t, 3), client.MemoryCursors()
			c := quick(t, f.addr, client.ClientOptions{Cursors: store})
			func() {
				defer func() { _ = recover() }()
				for e := range c.Messages(within(t)) {
					if e.Seq == 2 && leave == "panic" {
						panic("it failed")
					}
					if e.Seq == 2 {
						break
					}
				}
			}()
			for e, err := range c.Messages(within(t)) {
				if err != nil || e.Seq != 2 {
					t.Errorf("got %+v %v, want 2 again", e, err)
				}
				break
			}
			if err := c.Drain(within(t)); err != nil {
				t.Fatal(err)
			}
			if cursor, confirmed := cursorOf(t, store), f.deliveredTo(); cursor != 1 || confirmed != 1 {
				t.Errorf("cursor %d, confirmed %d, want 1", cursor, confirmed)
			}
		})
	}
}

// TestAck: with ByAck an entry is handled when it was acked, in whatever order, and all before it are.
func TestAck(t *testing.T) {
	f, store := saying(t, 5), client.MemoryCursors()
	c := quick(t, f.addr, client.ClientOptions{Cursors: store, ByAck: true, Queue: 3, CloseWait: time.Millisecond})
	var all []client.Entry
	soon, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	for e, err := range c.Messages(soon) {
		if err == nil {
			all = append(all, e)
		}
	}
	if len(all) != 3 {
		t.Fatalf("%d entries without an Ack, with a queue of 3", len(all))
	}
	c.Ack(all[2])
	c.Ack(all[0])
	c.Ack(all[0])
	for e, err := range c.Messages(within(t)) {
		if err != nil || e.Seq != 4 {
			t.Errorf("got %+v %v, want 4", e, err)
		}
		break
	}
	if err := c.Drain(within(t)); err != nil {
		t.Fatal(err)
	}
	if cursor, confirmed := cursorOf(t, store), f.deliveredTo(); cursor != 1 || confirmed != 1 {
		t.Errorf("cursor %d, confirmed %d; 1 and 3 are handled, want 1", cursor, confirmed)
	}
	again := quick(t, f.addr, client.ClientOptions{Cursors: store})
	if e, err := first(within(t), again); err != nil || e.Seq != 2 {
		t.Errorf("another Client begins with %+v %v, want 2", e, err)
	}
}

// TestCloseWaitsForTheEntryInHand, but not for ever.
func TestCloseWaitsForTheEntryInHand(t *testing.T) {
	for _, tc := range []struct {
		name string
		wait time.Duration
		want uint64
	}{{"done in time", 10 * time.Second, 1}, {"not done", 20 * time.Millisecond, 0}} {
		t.Run(tc.name, func(t *testing.T) {
			f, store := saying(t, 2), client.MemoryCursors()
			c := quick(t, f.addr, client.ClientOptions{Cursors: store, CloseWait: tc.wait})
			inHand, goOn, ended := make(chan bool), make(chan bool), make(chan error, 1)
			go func() {
				for e, err := range c.Messages(context.Background()) {
					if err != nil {
						ended <- err
						return
					}
					if e.Seq != 1 {
						t.Errorf("got %+v after Close", e)
					}
					inHand <- true
					<-goOn
				}
			}()
			<-inHand
			closed := make(chan error, 1)
			go func() { closed <- c.Close() }()
			if tc.want == 0 {
				if err := <-closed; err != nil {
					t.Error(err)
				}
				close(goOn)
			} else {
				select {
				case <-closed:
					t.Error("Close did not wait")
				case <-time.After(20 * time.Millisecond):
				}
				close(goOn)
				if err := <-closed; err != nil {
					t.Error(err)
				}
			}
			if err := <-ended; !errors.Is(err, client.ErrClosed) {
				t.Errorf("the loop ends with %v", err)
			}
			if cursor := cursorOf(t, store); cursor != tc.want {
				t.Errorf("cursor %d, want %d", cursor, tc.want)
			}
		})
	}
}

// TestASecondLoopIsRefused while there is one, and not after it.
func TestASecondLoopIsRefused(t *testing.T) {
	c := quick(t, saying(t, 1).addr, client.ClientOptions{})
	for _, err := range c.Messages(within(t)) {
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range c.Messages(within(t)) {
			if !errors.Is(err, client.ErrSecondLoop) {
				t.Errorf("a second loop got %v", err)
			}
		}
		break
	}
	if e, err := first(within(t), c); err != nil || e.Seq != 1 {
		t.Errorf("a later loop got %+v %v", e, err)
	}
}

// TestCursorsOfOnesOwnDatabase: of a conversation that is not in it, only what is not confirmed comes, not its whole history.
func TestCursorsOfOnesOwnDatabase(t *testing.T) {
	f := saying(t, 50)
	for range 4 {
		f.say(3, me)
	}
	f.mu.Lock()
	f.l.delivered[pairOf(me, 2)][me] = 50
	f.mu.Unlock()
	store := client.MemoryCursors()
	if err := store.Save(me, []client.Cursor{{Conversation: client.Conversation{Peer: 3}, Seq: 3}}); err != nil {
		t.Fatal(err)
	}
	phases := make(states, 100)
	c := quick(t, f.addr, client.ClientOptions{Cursors: store, PartialCursors: true, OnState: phases.note})
	phases.until(t, client.CaughtUp)
	f.say(2, me)
	want := map[client.Conversation]uint64{{Peer: 3}: 4, {Peer: 2}: 51}
	got := map[client.Conversation]uint64{}
	for range 2 {
		e, err := first(within(t), c)
		if err != nil {
			t.Fatal(err)
		}
		got[e.Conversation] = e.Seq
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestMethodsOfTheClient: what Conn can ask, a Client can, over a connection that breaks at each first attempt.
func TestMethodsOfTheClient(t *testing.T) {
	asked := make(chan codec.Label, 100)
	tried := map[codec.Label]bool{} // connections come one after the other
	addr := scripted(t, func(p *peer) {
		p.bind()
		p.attend(func(r request) bool {
			var result any
			switch r.label {
			case codec.QueryGroupList:
				result = []client.Group{{GroupID: "g", MemberIDs: codec.IDs{}}}
			case codec.QueryGroupInfo:
				result = client.Group{GroupID: "h", MemberIDs: codec.IDs{}}
			case codec.QueryMessageInfo:
				result = &codec.MessageInfo{MessageBody: codec.MessageBody{Seq: 7}}
			case codec.MessageStatus:
				result = &codec.Empty{}
			default:
				return false
			}
			if asked <- r.label; !tried[r.label] {
				tried[r.label] = true
				p.Close()
				return true
			}
			p.answer(r, result)
			return true
		})
	})
	c := quick(t, addr, client.ClientOptions{NoConfirm: true})
	ctx, in := within(t), client.Conversation{Group: "g"}
	groups, err := c.Groups(ctx)
	if err != nil || len(groups) != 1 {
		t.Errorf("%v %v", groups, err)
	}
	if g, err := c.Group(ctx, "h"); err != nil || g.GroupID != "h" {
		t.Errorf("%v %v", g, err)
	}
	if info, err := c.MessageInfo(ctx, in, "m"); err != nil || info.Seq != 7 {
		t.Errorf("%v %v", info, err)
	}
	if err := c.ConfirmMessages(ctx, in, service.StateRead, []string{"m"}); err != nil {
		t.Error(err)
	}
	for s, err := range c.Sessions(ctx) {
		t.Errorf("%v %v", s, err)
	}
	if n := len(asked); n != 8 {
		t.Errorf("%d requests, want each twice", n)
	}
}

// TestSessions lists all pages.
func TestSessions(t *testing.T) {
	f := newFake(t, "")
	for peer := range service.UserID(5) {
		f.say(peer+2, me)
	}
	c := quick(t, f.addr, client.ClientOptions{NoConfirm: true})
	n := 0
	for s, err := range c.Sessions(within(t)) {
		if n++; err != nil || s.Seq != 1 {
			t.Errorf("%v %v", s, err)
		}
	}
	if n != 5 {
		t.Errorf("%d conversations, want 5", n)
	}
}

// readme is the example of the README, between the lines that say so; TestReadme holds the two together.
func readme(ctx context.Context, dir string) (heard string, err error) {
	// README begins
	db, err := storage.Open(dir, storage.Options{OnFatal: func(err error) { log.Fatal(err) }})
	if err != nil {
		return "", err
	}
	defer db.Close()
	srv, err := server.New(server.Config{Listen: "127.0.0.1:0"}, db, zap.NewNop())
	if err != nil {
		return "", err
	}
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	defer func() { stop(); <-ended }()
	select {
	case <-srv.Ready(): // it takes clients from now on, at srv.Addr()
	case err := <-ended:
		return "", err
	}

	alice, err := client.New(srv.Addr(), 1, client.ClientOptions{})
	if err != nil {
		return "", err
	}
	defer alice.Close()
	bob, err := client.New(srv.Addr(), 2, client.ClientOptions{Cursors: client.FileCursors(dir + "/bob.json")})
	if err != nil {
		return "", err
	}
	defer bob.Close()
	if _, err := alice.Send(ctx, client.Outgoing{To: 2, Text: "hello"}); err != nil { // it is on the server's disk now
		return "", err
	}
	for entry, err := range bob.Messages(ctx) {
		if err != nil {
			return "", err
		}
		message, ok := entry.Message()
		if !ok {
			continue // a notice of a group; coming back says that it is handled
		}
		bob.Ack(entry) // so is this, although the loop ends here
		return message.ContentStr, nil
	}
	return "", nil
	// README ends
}

// TestReadme runs the example of the README, and looks for it there.
func TestReadme(t *testing.T) {
	if heard, err := readme(within(t), t.TempDir()); heard != "hello" || err != nil {
		t.Errorf("heard %q, %v", heard, err)
	}
	source, err := os.ReadFile("handled_test.go")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, code, _ := strings.Cut(string(source), "\t// README begins\n")
	code, _, _ = strings.Cut(code, "\t// README ends\n")
	code = strings.TrimPrefix(strings.ReplaceAll("\n"+code, "\n\t", "\n"), "\n")
	if !strings.Contains(string(page), "```go\n"+code+"```\n") {
		t.Errorf("the README has another example than\n%s", code)
	}
}
