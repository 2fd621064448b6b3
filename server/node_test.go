package server_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/server"
	"github.com/msgserver/msgserver/service"
	"github.com/msgserver/msgserver/storage"
)

// patience is how long a test waits for something that should come at once.
const patience = 10 * time.Second

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreTopFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"), // gnet's worker pool is
		goleak.IgnoreTopFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"))          // global and never ends
}

// node is a server on a free port.
type node struct {
	*server.Server
	store service.Store
	stop  func() error
}

// start runs a server on a new data directory until the test ends.
func start(t *testing.T, cfg server.Config) *node {
	t.Helper()
	db, err := storage.Open(t.TempDir(), storage.Options{JournalSize: 1 << 20, MmapSize: 64 << 20, MinFree: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return startOn(t, cfg, db)
}

// startOn runs a server on a store.
func startOn(t *testing.T, cfg server.Config, store service.Store) *node {
	t.Helper()
	cfg.Listen = "127.0.0.1:0"
	srv, err := server.New(cfg, store, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	select {
	case <-srv.Ready():
	case err := <-ended:
		t.Fatal(err)
	}
	n := &node{Server: srv, store: store}
	done := false
	n.stop = func() error {
		if done {
			return nil
		}
		done = true
		cancel()
		select {
		case err := <-ended:
			return err
		case <-time.After(patience):
			return errors.New("the server does not stop")
		}
	}
	t.Cleanup(func() {
		if err := n.stop(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// peer is a client that knows nothing but bytes.
type peer struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
	f codec.Format
}

type doc = map[string]any

func (n *node) dial(t *testing.T, f codec.Format) *peer {
	t.Helper()
	c, err := net.Dial("tcp", n.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &peer{t: t, Conn: c, r: bufio.NewReader(c), f: f}
}

// bind gives a connection of user u.
func (n *node) bind(t *testing.T, f codec.Format, u int, more ...doc) *peer {
	t.Helper()
	p := n.dial(t, f)
	body := doc{"userId": u, "taskId": "bind"}
	for _, m := range more {
		for k, v := range m {
			body[k] = v
		}
	}
	p.send("getUserId", body)
	if a := p.answer("getUserId"); a["code"] != 0.0 {
		t.Fatalf("bind: %v", a)
	}
	return p
}

func (p *peer) encode(body any) []byte {
	var b []byte
	var err error
	switch {
	case body == nil:
		return nil
	case p.f == codec.MsgPack:
		b, err = msgpack.Marshal(body)
	default:
		b, err = json.Marshal(body)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return b
}

func (p *peer) frame(label string, body any) []byte {
	f := p.f
	if body == nil {
		f = codec.None
	}
	return codec.AppendFrame(nil, f, codec.Request, codec.Label(label), p.encode(body))
}

func (p *peer) write(b []byte) {
	p.t.Helper()
	if _, err := p.Write(b); err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) send(label string, body any) {
	p.t.Helper()
	p.write(p.frame(label, body))
}

// got is a frame that came from the server.
type got struct {
	kind   codec.Kind
	format codec.Format
	label  string
	body   doc
	raw    string
}

// next reads a frame. Heartbeats have no label.
func (p *peer) next() (got, error) {
	p.SetReadDeadline(time.Now().Add(patience))
	var head [4]byte
	if _, err := io.ReadFull(p.r, head[:]); err != nil {
		return got{}, err
	}
	b := append(head[:], make([]byte, binary.BigEndian.Uint32(head[:]))...)
	if _, err := io.ReadFull(p.r, b[4:]); err != nil {
		return got{}, err
	}
	f, _, err := codec.ParseFrame(b, codec.MaxLength)
	if err != nil {
		return got{}, err
	}
	g := got{kind: f.Kind, format: f.Format, label: string(f.Label), raw: string(f.Body)}
	if f.Format == codec.MsgPack {
		var v any
		if err := msgpack.Unmarshal(f.Body, &v); err != nil {
			return g, err
		}
		text, err := json.Marshal(v) // the same document, with JSON's types
		if err != nil {
			return g, err
		}
		f.Body = text
	}
	_ = json.Unmarshal(f.Body, &g.body) // canConnect's is no object
	return g, nil
}

func (p *peer) must() got {
	p.t.Helper()
	g, err := p.next()
	if err != nil {
		p.t.Fatalf("read: %v", err)
	}
	return g
}

// answer reads the response to label, which has to come next but for pushes.
func (p *peer) answer(label string) doc {
	p.t.Helper()
	for {
		g := p.must()
		if g.kind == codec.Push {
			continue
		}
		if g.kind != codec.Response || g.label != label {
			p.t.Fatalf("got %+v, want the response to %s", g, label)
		}
		return g.body
	}
}

// ask sends a request and gives its response.
func (p *peer) ask(label string, body doc) doc {
	p.t.Helper()
	if _, has := body["taskId"]; !has {
		body["taskId"] = 1
	}
	p.send(label, body)
	return p.answer(label)
}

// want is ask for a request that has to succeed; it gives the result.
func (p *peer) want(label string, body doc) doc {
	p.t.Helper()
	a := p.ask(label, body)
	if a["code"] != 0.0 {
		p.t.Fatalf("%s %v: %v", label, body, a)
	}
	result, _ := a["result"].(doc)
	return result
}

// refused is ask for a request that has to fail with code.
func (p *peer) refused(code int, label string, body doc) {
	p.t.Helper()
	if a := p.ask(label, body); a["code"] != float64(code) || a["error"] == "" {
		p.t.Errorf("%s %v: %v, want code %d", label, body, a, code)
	}
}

// push reads the next push, which has to be label.
func (p *peer) push(label string) doc {
	p.t.Helper()
	g := p.must()
	if g.kind != codec.Push || g.label != label {
		p.t.Fatalf("got %+v, want the push %s", g, label)
	}
	return g.body
}

// quiet checks that nothing waits for the peer: the next frame is the answer to a heartbeat.
func (p *peer) quiet() {
	p.t.Helper()
	p.write([]byte{0, 0, 0, 0})
	if g := p.must(); g.label != "" {
		p.t.Errorf("got %+v, want nothing", g)
	}
}

// closed checks that the server closes the connection, after the pushes that it may send before.
func (p *peer) closed() {
	p.t.Helper()
	for {
		_, err := p.next()
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			p.t.Fatal("the connection stays open")
		default:
			return
		}
	}
}

// say is the body of a message.
func say(to int, text, msgID string) doc {
	return doc{"toUserId": to, "contentStr": text, "msgId": msgID, "msgContentType": 1, "sendDate": int64(1700000000000)}
}

func sayGroup(group, text, msgID string) doc {
	return doc{"sessionId": group, "contentStr": text, "msgId": msgID, "msgContentType": 1}
}

// check fails if the document has other values than want, which names some of its fields.
func check(t *testing.T, d doc, want doc) {
	t.Helper()
	for k, v := range want {
		if fmt.Sprint(d[k]) != fmt.Sprint(v) {
			t.Errorf("%s is %v, want %v in %v", k, d[k], v, d)
		}
	}
}

// eventually waits for a condition that nothing announces.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("never: " + what)
		}
	}
}

func repeated(s string, n int) string { return strings.Repeat(s, n) }
