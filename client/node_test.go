package client_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"go.uber.org/zap"

	"github.com/msgserver/msgserver/client"
	"github.com/msgserver/msgserver/server"
	"github.com/msgserver/msgserver/storage"
)

// node is a real server on a data directory of its own, which can be stopped and started again.
type node struct {
	t    *testing.T
	dir  string
	addr string // from the first start on
	stop func()
}

// realServer runs a server until the test ends, and gives its address.
func realServer(t *testing.T, cfg server.Config) string {
	t.Helper()
	n := &node{t: t, dir: t.TempDir(), addr: "127.0.0.1:0"}
	n.start(cfg)
	t.Cleanup(func() { n.stop() })
	return n.addr
}

func (n *node) start(cfg server.Config) {
	n.t.Helper()
	db, err := storage.Open(n.dir, storage.Options{JournalSize: 4 << 20, MmapSize: 256 << 20, MinFree: -1})
	if err != nil {
		n.t.Fatal(err)
	}
	cfg.Listen = n.addr
	srv, err := server.New(cfg, db, zap.NewNop())
	if err != nil {
		n.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	n.stop = func() {
		cancel()
		if err := errors.Join(<-ended, db.Close()); err != nil {
			n.t.Error(err)
		}
	}
	select {
	case <-srv.Ready():
		n.addr = srv.Addr()
	case err := <-ended:
		n.t.Fatal(errors.Join(err, db.Close()))
	}
}

// TestServerRestarts has two users talk on while their server is stopped and started; neither does anything about it.
func TestServerRestarts(t *testing.T) {
	const count, restarts = 2000, 3
	n := &node{t: t, dir: t.TempDir(), addr: "127.0.0.1:0"}
	n.start(server.Config{})
	t.Cleanup(func() { n.stop() })
	alice := quickAs(t, n.addr, me, client.ClientOptions{})
	bob := quickAs(t, n.addr, 2, client.ClientOptions{})
	ctx, reached := within(t), make(chan int)
	go func() {
		defer close(reached)
		next := 0
		for e, err := range bob.Messages(ctx) {
			m, ok := e.Message()
			if err != nil || !ok || m.ContentStr != fmt.Sprint(next) || e.Seq != uint64(next+1) {
				t.Errorf("got %+v %v, want %d", e, err, next)
				return
			}
			if next++; next%(count/(restarts+1)) == 0 {
				reached <- next
			}
			if next == count {
				return
			}
		}
	}()
	go func() {
		for i := range count {
			err := alice.SendAsync(ctx, client.Outgoing{To: 2, Text: fmt.Sprint(i)}, func(_ client.Sent, err error) {
				if err != nil {
					t.Errorf("message %d: %v", i, err)
				}
			})
			if err != nil {
				t.Errorf("message %d: %v", i, err)
				return
			}
		}
	}()
	for range reached {
		n.stop()
		n.start(server.Config{})
	}
	if err := alice.Drain(ctx); err != nil {
		t.Error(err)
	}
}
