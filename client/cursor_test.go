package client_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msgserver/msgserver/client"
	"github.com/msgserver/msgserver/server"
	"github.com/msgserver/msgserver/service"
)

func TestCursorStores(t *testing.T) {
	cursors := []client.Cursor{
		{Conversation: client.Conversation{Peer: 0}, Seq: 1},
		{Conversation: client.Conversation{Peer: service.MaxUserID}, Seq: 1 << 60},
		{Conversation: client.Conversation{Group: "g"}, Seq: 0, Left: true, Epoch: "e"},
		{Conversation: client.Conversation{Peer: 7}, Seq: 9, Epoch: "f", Marks: []client.Mark{{Seq: 8, Date: 1 << 41, Sum: 1<<32 - 1}, {Seq: 9}}},
	}
	path := filepath.Join(t.TempDir(), "cursors")
	for name, store := range map[string]client.CursorStore{"memory": client.MemoryCursors(), "file": client.FileCursors(path)} {
		t.Run(name, func(t *testing.T) {
			if got, found, err := store.Load(1); got != nil || found || err != nil {
				t.Errorf("before anything was saved: %v %v %v", got, found, err)
			}
			for _, want := range [][]client.Cursor{cursors, cursors[:1], {}} {
				if err := store.Save(1, want); err != nil {
					t.Fatal(err)
				}
				got, found, err := store.Load(1)
				if diff := cmp.Diff(want, got); diff != "" || !found || err != nil {
					t.Errorf("%v %v, -want +got:\n%s", found, err, diff)
				}
			}
		})
	}
	switch info, err := os.Stat(path); {
	case err != nil:
		t.Error(err)
	case info.Mode().Perm() != 0o600:
		t.Errorf("mode %v", info.Mode())
	}
}

func TestCursorFileTrouble(t *testing.T) {
	for _, tc := range []struct{ name, content, want string }{
		{"empty", "", "remove it to begin anew"},
		{"not JSON", "{\"version\":1,", "remove it to begin anew"},
		{"of a later version", `{"version":2,"userId":1}`, "version 2"},
		{"of another user", `{"version":1,"userId":2}`, "user 2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "cursors")
			if err := os.WriteFile(path, []byte(tc.content), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := client.New("127.0.0.1:1", 1, client.ClientOptions{Cursors: client.FileCursors(path)})
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("error %v", err)
			}
		})
	}
	t.Run("a crash left half of a new one", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "cursors")
		store := client.FileCursors(path)
		want := []client.Cursor{{Conversation: client.Conversation{Peer: 2}, Seq: 3}}
		if err := store.Save(1, want); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+".tmp", []byte(`{"version":1,"us`), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, _, err := store.Load(1); err != nil || !cmp.Equal(want, got) {
			t.Errorf("%v %v", got, err)
		}
		if err := store.Save(1, want); err != nil {
			t.Error(err)
		}
		if left, err := filepath.Glob(path + "*"); err != nil || len(left) != 1 {
			t.Errorf("files %v %v", left, err)
		}
	})
	t.Run("it cannot be written", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "gone", "cursors")
		if err := client.FileCursors(path).Save(1, nil); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("error %v", err)
		}
	})
}

// TestResume stops a device and starts it again with its cursors; it is given what came in between, and
// nothing else, although another device of the user has confirmed all of it.
func TestResume(t *testing.T) {
	addr := realServer(t, server.Config{})
	path := filepath.Join(t.TempDir(), "cursors")
	bob := quickAs(t, addr, 2, client.ClientOptions{})
	tell := func(from, to int) {
		t.Helper()
		for i := from; i <= to; i++ {
			if _, err := bob.Send(within(t), client.Outgoing{To: me, Text: fmt.Sprint(i)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	read := func(c *client.Client, from, to int) {
		t.Helper()
		for e, err := range c.Messages(within(t)) {
			if err != nil {
				t.Fatalf("before %d: %v", from, err)
			}
			if m, ok := e.Message(); !ok || m.ContentStr != fmt.Sprint(from) {
				t.Fatalf("%+v, want %d", m, from)
			}
			c.Ack(e)
			if from++; from > to {
				return
			}
		}
	}
	tell(1, 3)
	phone := quickAs(t, addr, me, client.ClientOptions{Cursors: client.FileCursors(path)})
	read(phone, 1, 2)
	if err := phone.Drain(within(t)); err != nil {
		t.Fatal(err)
	}
	laptop := quickAs(t, addr, me, client.ClientOptions{})
	read(laptop, 3, 3)
	tell(4, 400)
	read(laptop, 4, 400)
	if err := laptop.Drain(within(t)); err != nil {
		t.Fatal(err)
	}
	phone = quickAs(t, addr, me, client.ClientOptions{Cursors: client.FileCursors(path), Queue: 7})
	read(phone, 3, 400)
	tell(401, 500)
	read(phone, 401, 500)

	next := 500
	for e, err := range phone.History(within(t), client.HistoryPage{Conversation: client.Conversation{Peer: 2}, Limit: 33}) {
		if m, ok := e.Message(); err != nil || !ok || m.ContentStr != fmt.Sprint(next) || e.Seq != uint64(next) {
			t.Fatalf("history backwards: %+v %v, want %d", e, err, next)
		}
		next--
	}
	for e, err := range phone.History(within(t), client.HistoryPage{Conversation: client.Conversation{Peer: 2}, HasAfter: true, Limit: 200}) {
		if next++; err != nil || e.Seq != uint64(next) {
			t.Fatalf("history forwards: %+v %v, want %d", e, err, next)
		}
	}
	if next != 500 {
		t.Errorf("history ends at %d", next)
	}
	for _, err := range phone.History(within(t), client.HistoryPage{Conversation: client.Conversation{Group: "none"}}) {
		if code, _ := client.CodeOf(err); code != service.NotFound {
			t.Errorf("history of no group: %v", err)
		}
	}
}

// TestRemovedWhileAway is a member who was offline when he was removed: he is told, and hears nothing after it,
// then is taken in again.
func TestRemovedWhileAway(t *testing.T) {
	addr := realServer(t, server.Config{})
	owner := dial(t, addr, client.Options{OnPush: func(client.Push) {}})
	if err := owner.Bind(within(t), 2); err != nil {
		t.Fatal(err)
	}
	group, err := owner.CreateGroup(within(t), "g", []service.UserID{me})
	if err != nil {
		t.Fatal(err)
	}
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	cursors := client.MemoryCursors()
	// seqs starts the member's client, takes entries of the group up to a seq, and stops it.
	seqs := func(upTo uint64) (got []uint64) {
		t.Helper()
		c := quickAs(t, addr, me, client.ClientOptions{Cursors: cursors})
		for e, err := range c.Messages(within(t)) {
			if err != nil {
				t.Fatalf("after %v: %v", got, err)
			}
			c.Ack(e)
			if got = append(got, e.Seq); e.Seq >= upTo {
				break
			}
		}
		do(c.Close())
		return got
	}
	say := func() {
		t.Helper()
		_, err := owner.Send(within(t), client.Outgoing{Group: group, Text: "x"})
		do(err)
	}
	say() // 2
	if diff := cmp.Diff([]uint64{1, 2}, seqs(2)); diff != "" {
		t.Error(diff)
	}
	say()                                                         // 3
	do(owner.KickMembers(within(t), group, []service.UserID{me})) // 4
	say()                                                         // 5
	if diff := cmp.Diff([]uint64{3, 4}, seqs(4)); diff != "" {
		t.Error(diff)
	}
	short, err := owner.CreateGroup(within(t), "short-lived", []service.UserID{me}) // while he is away
	do(err)
	do(owner.KickMembers(within(t), short, []service.UserID{me}))
	if diff := cmp.Diff([]uint64{1, 2}, seqs(2)); diff != "" {
		t.Error(diff)
	}
	say()                                                        // 6
	do(owner.AddMembers(within(t), group, []service.UserID{me})) // 7
	say()                                                        // 8
	if diff := cmp.Diff([]uint64{7, 8}, seqs(8)); diff != "" {
		t.Error(diff)
	}
}
