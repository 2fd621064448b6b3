package client_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/msgserver/msgserver/client"
	"github.com/msgserver/msgserver/server"
	"github.com/msgserver/msgserver/service"
	"github.com/msgserver/msgserver/storage"
)

// TestTheRealServerIsRestored, three times, under a client that is connected: persons and a group, whose notices have marks
// of their own.
func TestTheRealServerIsRestored(t *testing.T) {
	n := &node{t: t, dir: t.TempDir(), addr: "127.0.0.1:0"}
	n.start(server.Config{})
	t.Cleanup(func() { n.stop() })
	bob := quickAs(t, n.addr, 2, client.ClientOptions{})
	phone := quickAs(t, n.addr, me, client.ClientOptions{Cursors: client.FileCursors(n.dir + "-cursors")})
	group, err := bob.CreateGroup(within(t), "g", []service.UserID{me})
	if err != nil {
		t.Fatal(err)
	}
	said := 0
	say := func(count int) {
		t.Helper()
		for range count {
			said++
			for _, m := range []client.Outgoing{{To: me}, {Group: group}} {
				m.Text = fmt.Sprint(said)
				if _, err := bob.Send(within(t), m); err != nil {
					t.Fatal(err)
				}
			}
			if said%3 == 0 {
				name := fmt.Sprint(said)
				if err := bob.UpdateGroup(within(t), group, client.GroupUpdate{Name: &name}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	seen := map[string]bool{}
	hear := func(from, to int) {
		t.Helper()
		next := map[client.Conversation]int{{Peer: 2}: from, {Group: group}: from}
		ctx, cancel := context.WithCancel(within(t))
		defer cancel()
		for e, err := range phone.Messages(ctx) {
			if err != nil {
				t.Fatalf("%v; the next are %v", err, next)
			}
			phone.Ack(e)
			if m, ok := e.Message(); ok {
				what := fmt.Sprint(e.Conversation, m.ContentStr)
				if m.ContentStr != fmt.Sprint(next[e.Conversation]) || seen[what] {
					t.Fatalf("got %s, want %d; seen before: %v", what, next[e.Conversation], seen[what])
				}
				seen[what] = true
				next[e.Conversation]++
			}
			if next[client.Conversation{Peer: 2}] > to && next[client.Conversation{Group: group}] > to {
				return
			}
		}
	}
	say(20)
	hear(1, 20)
	for round := range 3 {
		n.stop()
		var backup bytes.Buffer
		if err := storage.BackupDir(within(t), n.dir, &backup); err != nil {
			t.Fatal(err)
		}
		n.start(server.Config{})
		say(10)
		hear(said-9, said)
		n.stop()
		if _, err := storage.Restore(n.dir, &backup, func(done, total int64) {}); err != nil {
			t.Fatal(err)
		}
		n.start(server.Config{})
		fresh := 5 * (round + 1) // fewer than were lost, as many, and more
		say(fresh)
		hear(said-fresh+1, said)
	}
}
