package client_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/msgserver/msgserver/client"
	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreTopFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"), // the worker pool of the
		goleak.IgnoreTopFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"))          // server's gnet never ends
}

// patience is how long a test waits for what must come.
const patience = 10 * time.Second

// within gives a context that ends when the test's patience does.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// peer is the server's end of one connection, in the hands of a script.
type peer struct {
	net.Conn
	t testing.TB
	r *bufio.Reader

	mu     sync.Mutex   // of what is below
	format codec.Format // of the last request; pushes go out in it
}

// request is a frame that a client sent.
type request struct {
	label  codec.Label
	format codec.Format
	body   []byte
	task   codec.TaskID
}

// scripted runs script for every connection, one goroutine each, and gives the address to dial. The connection
// is closed when its script returns. The end of the test waits for all of them.
func scripted(t testing.TB, script func(*peer)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var (
		all  sync.WaitGroup
		mu   sync.Mutex
		open = map[net.Conn]bool{}
	)
	all.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[nc] = true
			mu.Unlock()
			all.Go(func() {
				defer func() {
					nc.Close()
					mu.Lock()
					delete(open, nc)
					mu.Unlock()
				}()
				script(&peer{Conn: nc, t: t, r: bufio.NewReader(nc), format: codec.JSON})
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		mu.Lock()
		for nc := range open {
			nc.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	return ln.Addr().String()
}

// frame reads the next frame, heartbeats included; ok is false at the end of the connection.
func (p *peer) frame() (f codec.Frame, ok bool) {
	var head [codec.HeaderLen]byte
	if _, err := io.ReadFull(p.r, head[:]); err != nil {
		return f, false
	}
	b := make([]byte, codec.HeaderLen+int(binary.BigEndian.Uint32(head[:])))
	copy(b, head[:])
	if _, err := io.ReadFull(p.r, b[codec.HeaderLen:]); err != nil {
		return f, false
	}
	f, _, err := codec.ParseFrame(b, codec.MaxLength)
	if err != nil {
		p.t.Errorf("the client sent % x: %v", b, err)
		return f, false
	}
	return f, true
}

// next reads the next request and echoes the heartbeats before it.
func (p *peer) next() (r request, ok bool) {
	for {
		f, ok := p.frame()
		if !ok {
			return request{}, false
		}
		if f.Heartbeat() {
			p.raw(codec.AppendHeartbeat(nil))
			continue
		}
		if f.Kind != codec.Request {
			p.t.Errorf("the client sent kind %d of %s", f.Kind, f.Label)
		}
		r = request{label: codec.Label(f.Label), format: f.Format, body: f.Body}
		r.task, _ = codec.TaskIDOf(f.Format, f.Body)
		p.mu.Lock()
		if f.Format != codec.None {
			p.format = f.Format
		}
		p.mu.Unlock()
		return r, true
	}
}

// bind answers the getUserId that a connection begins with.
func (p *peer) bind() (b codec.Bind, ok bool) {
	r, ok := p.next()
	if !ok {
		return b, false
	}
	if r.label != codec.GetUserID {
		p.t.Errorf("a connection begins with %s", r.label)
	}
	decode(p.t, r, &b)
	p.answer(r, &codec.Bound{UserID: b.UserID.ID, ServerDate: 1})
	return b, true
}

func decode(t testing.TB, r request, v any) {
	t.Helper()
	if err := codec.Unmarshal(r.format, r.body, v); err != nil {
		t.Errorf("%s: %v", r.label, err)
	}
}

func (p *peer) raw(b []byte) {
	// The client may be gone, which is what some tests are about.
	_, _ = p.Write(b)
}

func (p *peer) answer(r request, result any) {
	frame, err := codec.AppendResponse(nil, r.format, r.label, r.task, result)
	if err != nil {
		p.t.Error(err)
	}
	p.raw(frame)
}

func (p *peer) refuse(r request, code service.Code, message string) {
	p.raw(codec.AppendErrorResponse(nil, r.format, r.label, r.task, int(code), message))
}

func (p *peer) push(label codec.Label, body any) { p.raw(p.pushed(label, body)) }

func (p *peer) pushed(label codec.Label, body any) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	frame, err := codec.AppendPush(nil, p.format, label, body)
	if err != nil {
		p.t.Error(err)
	}
	return frame
}

// drain reads until the client closes.
func (p *peer) drain() {
	for _, ok := p.next(); ok; _, ok = p.next() {
	}
}

func dial(t testing.TB, addr string, opts client.Options) *client.Conn {
	t.Helper()
	conn, err := client.Dial(within(t), addr, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// bound dials and binds user 1.
func bound(t testing.TB, addr string, opts client.Options) *client.Conn {
	t.Helper()
	conn := dial(t, addr, opts)
	if err := conn.Bind(within(t), 1); err != nil {
		t.Fatal(err)
	}
	return conn
}

var formats = []codec.Format{codec.JSON, codec.MsgPack}
