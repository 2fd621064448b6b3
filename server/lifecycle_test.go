package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/server"
	"github.com/msgserver/msgserver/service"
	"github.com/msgserver/msgserver/storage"
)

func TestListenAddressMustBeLoopback(t *testing.T) {
	for _, tc := range []struct {
		listen   string
		insecure bool
		ok       bool
	}{
		{"127.0.0.1:0", false, true}, {"[::1]:0", false, true}, {"localhost:0", false, true},
		{"0.0.0.0:0", false, false}, {":3005", false, false}, {"192.0.2.1:3005", false, false}, {"example.org:3005", false, false},
		{"0.0.0.0:0", true, true}, {"nonsense", false, false},
	} {
		_, err := server.New(server.Config{Listen: tc.listen, AllowInsecure: tc.insecure}, nil, zap.NewNop())
		if (err == nil) != tc.ok {
			t.Errorf("%s insecure=%v: %v", tc.listen, tc.insecure, err)
		}
	}
}

// TestAnInvalidPortIsSaidToBeOne: it was asked whether another server runs there.
func TestAnInvalidPortIsSaidToBeOne(t *testing.T) {
	for _, port := range []string{"99999", "65536", "-1", "http x", "3005x"} {
		for _, cfg := range []server.Config{{Listen: "127.0.0.1:" + port}, {Admin: "127.0.0.1:" + port}, {Listen: "0.0.0.0:" + port, AllowInsecure: true}} {
			_, err := server.New(cfg, nil, zap.NewNop())
			if err == nil || !strings.Contains(err.Error(), "invalid") || !strings.Contains(err.Error(), "65535") || strings.Contains(err.Error(), "another") {
				t.Errorf("%s: %v", port, err)
			}
		}
	}
}

func TestASecondServerOnThePortFails(t *testing.T) {
	n := start(t, server.Config{})
	second, err := server.New(server.Config{Listen: n.Addr()}, nil, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Run(context.Background()); err == nil || !strings.Contains(err.Error(), n.Addr()) {
		t.Errorf("error %v", err)
	}
}

func TestDrain(t *testing.T) {
	dir := t.TempDir()
	db, err := storage.Open(dir, storage.Options{JournalSize: 1 << 20, MmapSize: 64 << 20, MinFree: -1})
	if err != nil {
		t.Fatal(err)
	}
	n := startOn(t, server.Config{}, db)
	alice, bob := n.bind(t, codec.JSON, 1), n.bind(t, codec.MsgPack, 2)
	const count = 500
	go func() {
		for i := range count {
			body := say(2, "x", fmt.Sprint(i))
			body["taskId"] = i
			if _, err := alice.Write(alice.frame("message", body)); err != nil {
				return
			}
		}
	}()
	acked := map[string]bool{}
	note := func(g got) {
		if g.kind == codec.Response && g.body["code"] == 0.0 {
			acked[g.body["result"].(doc)["msgId"].(string)] = true
		}
	}
	note(alice.must()) // the flood has begun
	if err := n.stop(); err != nil {
		t.Fatal(err)
	}
	drained := false
	for {
		g, err := alice.next()
		if err != nil {
			break
		}
		note(g)
		drained = drained || g.label == "drainNoti"
	}
	if !drained {
		t.Error("nobody said that the server drains")
	}
	for g, err := bob.next(); err == nil; g, err = bob.next() {
		if g.label == "drainNoti" {
			check(t, g.body, doc{"retryAfterMs": 1000})
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	// What was acknowledged is there after a restart.
	db, err = storage.Open(dir, storage.Options{JournalSize: 1 << 20, MmapSize: 64 << 20, MinFree: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	entries, err := db.Read(context.Background(), service.Pair(1, 2), 1, count, 1<<30, service.Forward)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range entries {
		if e.Seq != service.Seq(i+1) {
			t.Fatalf("seq %d at place %d", e.Seq, i)
		}
		delete(acked, e.MsgID)
	}
	if len(acked) > 0 {
		t.Errorf("%d acknowledged messages are gone", len(acked))
	}
}

func TestAFailedStoreEndsTheServer(t *testing.T) {
	srv, err := server.New(server.Config{Listen: "127.0.0.1:0"}, panicking{}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(context.Background()) }()
	<-srv.Ready()
	broken := errors.New("sync failed")
	srv.Fail(broken)
	select {
	case err := <-ended:
		if !errors.Is(err, broken) {
			t.Errorf("Run says %v", err)
		}
	case <-time.After(patience):
		t.Fatal("Run goes on")
	}
}

func TestAdmin(t *testing.T) {
	n := start(t, server.Config{Admin: "127.0.0.1:0"})
	n.bind(t, codec.JSON, 1)
	defer http.DefaultClient.CloseIdleConnections()
	for path, want := range map[string]string{"/healthz": "ok", "/readyz": "ready", "/stats": `"binds":1`} {
		if status, body := fetch(t, n, path); status != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	sick := startOn(t, server.Config{Admin: "127.0.0.1:0"}, &refusing{})
	if status, body := fetch(t, sick, "/readyz"); status != 503 || !strings.Contains(body, "no writes") {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := fetch(t, sick, "/healthz"); status != 200 {
		t.Errorf("healthz %d", status)
	}
}

func fetch(t *testing.T, n *node, path string) (int, string) {
	t.Helper()
	r, err := http.Get("http://" + n.AdminAddr() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(body)
}
