package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/msgserver/msgserver/client"
	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

func TestDialFails(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if _, err := client.Dial(within(t), ln.Addr().String(), client.Options{}); err == nil || !strings.Contains(err.Error(), ln.Addr().String()) {
		t.Errorf("error %v", err)
	}
	var op *net.OpError
	if !errors.As(err, &op) && err != nil {
		t.Errorf("%T is not a network error", err)
	}
}

// TestAnswersFindTheirRequests answers in the opposite order, in one write, then byte by byte.
func TestAnswersFindTheirRequests(t *testing.T) {
	const count = 50
	for _, format := range formats {
		for _, bytewise := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/bytewise=%v", format, bytewise), func(t *testing.T) {
				addr := scripted(t, func(p *peer) {
					p.bind()
					var out []byte
					for range count {
						r, _ := p.next()
						var m codec.MessageRequest
						decode(t, r, &m)
						answer, err := codec.AppendResponse(nil, r.format, r.label, r.task, &codec.MessageStored{MsgID: m.MsgID, State: 1})
						if err != nil {
							t.Error(err)
						}
						out = append(answer, out...)
					}
					for bytewise && len(out) > 0 {
						p.raw(out[:1])
						out = out[1:]
					}
					p.raw(out)
					p.drain()
				})
				conn := bound(t, addr, client.Options{Format: format})
				var all sync.WaitGroup
				for i := range count {
					all.Go(func() {
						id := fmt.Sprint("m", i)
						if sent, err := conn.Send(within(t), client.Outgoing{To: 2, MsgID: id}); sent.MsgID != id || err != nil {
							t.Errorf("sent %s, got %+v %v", id, sent, err)
						}
					})
				}
				all.Wait()
			})
		}
	}
}

// TestLargeAndSmallFrames has the read buffer grow for a large push and shrink again.
func TestLargeAndSmallFrames(t *testing.T) {
	sizes := []int{1, 5 << 20, 0, 100 << 10, 900, 1 << 10, 3 << 10}
	for range 100 {
		sizes = append(sizes, 10)
	}
	sizes = append(sizes, 70<<10, 1)
	addr := scripted(t, func(p *peer) {
		p.bind()
		for i, size := range sizes {
			p.push(codec.Message, &codec.MessageBody{Seq: uint64(i + 1), ContentStr: strings.Repeat("é", size)})
		}
		p.drain()
	})
	conn := bound(t, addr, client.Options{})
	next := 0
	for push, err := range conn.Pushes(within(t)) {
		if err != nil {
			t.Fatal(err)
		}
		m := push.Body.(*codec.MessageBody)
		if m.Seq != uint64(next+1) || m.ContentStr != strings.Repeat("é", sizes[next]) {
			t.Fatalf("push %d with %d bytes, want %d with %d", m.Seq, len(m.ContentStr), next+1, 2*sizes[next])
		}
		if next++; next == len(sizes) {
			break
		}
	}
}

// doc is a body that this version has no type for.
type doc = map[string]any

// TestEnds is about what a caller learns when the connection ends before the answer.
func TestEnds(t *testing.T) {
	for _, tc := range []struct {
		name   string
		end    func(*peer, *client.Conn)
		reason *client.Error // that the server gave, if it did
		text   string
	}{
		{"the server closes", func(p *peer, _ *client.Conn) { p.Close() }, nil, "the server closed it"},
		{"the server closes in the middle of a frame", func(p *peer, _ *client.Conn) {
			p.raw([]byte{0, 0, 1, 0, 9, 7, 'm', 'e'})
			p.Close()
		}, nil, "the server closed it"},
		{"the application closes", func(_ *peer, c *client.Conn) { c.Close() }, nil, "connection closed"},
		{"kicked", func(p *peer, _ *client.Conn) {
			p.push(codec.KickedNoti, &codec.ErrorBody{Code: 104, Error: "another one"})
			p.Close()
		}, &client.Error{Code: service.Conflict, Message: "another one", Label: codec.KickedNoti}, "another one"},
		{"kicked by the same device", func(p *peer, _ *client.Conn) {
			p.push(codec.KickedNoti, doc{"code": 104, "error": "another one", "reason": "device"})
			p.Close()
		}, &client.Error{Code: service.Conflict, Message: "another one", Label: codec.KickedNoti, Reason: client.ReasonDevice}, "another one"},
		{"kicked by too many", func(p *peer, _ *client.Conn) {
			p.push(codec.KickedNoti, doc{"code": 104, "error": "too many", "reason": "limit", "until": 5})
			p.Close()
		}, &client.Error{Code: service.Conflict, Message: "too many", Label: codec.KickedNoti, Reason: client.ReasonLimit}, "too many"},
		{"kicked for a reason that is none", func(p *peer, _ *client.Conn) {
			p.raw(codec.AppendFrame(nil, codec.JSON, codec.Push, codec.KickedNoti, []byte(`{"code":104,"error":"another one","reason":{"a":1}}`)))
			p.Close()
		}, &client.Error{Code: service.Conflict, Message: "another one", Label: codec.KickedNoti}, "another one"},
		{"the server explains", func(p *peer, _ *client.Conn) {
			p.push(codec.ReceiveError, &codec.ErrorBody{Code: 100, Error: "too long", Label: "message"})
			p.Close()
		}, &client.Error{Code: service.Invalid, Message: "too long", Label: codec.Message}, "too long"},
		{"an error push that was not the end", func(p *peer, _ *client.Conn) {
			p.push(codec.ReceiveError, &codec.ErrorBody{Code: 100, Error: "too long"})
			p.push(codec.MessageStatus, &codec.StatusBody{})
			p.Close()
		}, nil, "the server closed it"},
		{"no frame", func(p *peer, _ *client.Conn) { p.raw([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) }, nil, "not a frame"},
		{"a broken push", func(p *peer, _ *client.Conn) {
			p.raw(codec.AppendFrame(nil, codec.JSON, codec.Push, codec.Message, []byte("{")))
		}, nil, "push message"},
		{"a broken answer", func(p *peer, _ *client.Conn) {
			p.raw(codec.AppendFrame(nil, codec.MsgPack, codec.Response, codec.Message, []byte{0xc1}))
		}, nil, "response to message"},
		{"a request from the server", func(p *peer, _ *client.Conn) {
			p.raw(codec.AppendFrame(nil, codec.JSON, codec.Request, codec.Message, []byte("{}")))
		}, nil, "sent a request"},
		{"canConnect answered unasked", func(p *peer, _ *client.Conn) {
			p.raw(codec.AppendBool(nil, codec.JSON, codec.CanConnect, true))
		}, nil, "unasked"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			conns := make(chan *client.Conn, 1)
			addr := scripted(t, func(p *peer) {
				p.bind()
				for range 2 { // a message and a group list, which stay without an answer
					p.next()
				}
				tc.end(p, <-conns)
				p.drain()
			})
			conn := bound(t, addr, client.Options{})
			var groups error
			var all sync.WaitGroup
			all.Go(func() { _, groups = conn.Groups(within(t)) })
			var message error
			all.Go(func() { _, message = conn.Send(within(t), client.Outgoing{To: 2}) })
			conns <- conn
			all.Wait()
			for _, err := range []error{message, groups} {
				if !errors.Is(err, client.ErrUnknownOutcome) || !errors.Is(err, client.ErrClosed) {
					t.Errorf("error %v", err)
				}
				if code, refused := client.CodeOf(err); refused {
					t.Errorf("%v counts as a refusal with %v", err, code)
				}
			}
			<-conn.Done()
			err := conn.Err()
			if !errors.Is(err, client.ErrClosed) || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("the connection ended with %v, want %q", err, tc.text)
			}
			var said *client.Error
			if errors.As(err, &said) != (tc.reason != nil) || said != nil && *said != *tc.reason {
				t.Errorf("the server said %v, want %v", said, tc.reason)
			}
			if _, err := conn.Send(within(t), client.Outgoing{To: 2}); !errors.Is(err, client.ErrClosed) || errors.Is(err, client.ErrUnknownOutcome) {
				t.Errorf("a send after the end: %v", err)
			}
			if _, err := conn.CanConnect(within(t)); !errors.Is(err, client.ErrClosed) {
				t.Errorf("canConnect after the end: %v", err)
			}
			for _, err := range conn.Pushes(within(t)) {
				if err != nil && err.Error() != conn.Err().Error() {
					t.Errorf("pushes end with %v, want %v", err, conn.Err())
				}
			}
		})
	}
}

func TestContexts(t *testing.T) {
	addr := scripted(t, func(p *peer) {
		p.bind()
		late, _ := p.next() // its caller gives up
		if r, _ := p.next(); r.label == codec.QueryGroupList {
			p.answer(late, &codec.Empty{})
			p.answer(r, []client.Group{})
		}
		p.drain()
	})
	conn := bound(t, addr, client.Options{})
	over, cancel := context.WithCancel(context.Background())
	cancel()
	if err := conn.DeleteGroup(over, "g"); !errors.Is(err, context.Canceled) || errors.Is(err, client.ErrUnknownOutcome) {
		t.Errorf("a request with a context that is over: %v", err)
	}
	soon, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if err := conn.DeleteGroup(soon, "g"); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, client.ErrUnknownOutcome) {
		t.Errorf("a request without an answer: %v", err)
	}
	if groups, err := conn.Groups(within(t)); err != nil || len(groups) != 0 {
		t.Errorf("the connection goes on: %v %v", groups, err)
	}
	for _, err := range conn.Pushes(over) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("pushes with a context that is over: %v", err)
		}
	}
}

// TestWindow sends more than the window while nothing is answered.
func TestWindow(t *testing.T) {
	const window = 3
	answer := make(chan bool)
	addr := scripted(t, func(p *peer) {
		p.bind()
		for range answer {
			r, _ := p.next()
			p.answer(r, &codec.MessageStored{State: 1})
		}
	})
	conn := bound(t, addr, client.Options{Window: window})
	results := make(chan error, window+1)
	send := func(ctx context.Context) error {
		return conn.SendAsync(ctx, client.Outgoing{To: 2}, func(_ client.Sent, err error) { results <- err })
	}
	for range window {
		if err := send(within(t)); err != nil {
			t.Fatal(err)
		}
	}
	soon, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
	defer cancel()
	if err := send(soon); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, client.ErrUnknownOutcome) {
		t.Errorf("over the window: %v", err)
	}
	answer <- true
	if err := <-results; err != nil {
		t.Error(err)
	}
	if err := send(within(t)); err != nil {
		t.Errorf("after an answer: %v", err)
	}
	close(answer)
	for range window {
		if err := <-results; !errors.Is(err, client.ErrUnknownOutcome) {
			t.Errorf("unanswered: %v", err)
		}
	}
	if err := send(within(t)); !errors.Is(err, client.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
}

// TestRefusedHere is what the server would end the connection for.
func TestRefusedHere(t *testing.T) {
	addr := scripted(t, func(p *peer) {
		p.bind()
		if r, ok := p.next(); ok {
			t.Errorf("%s was sent", r.label)
		}
	})
	for _, format := range formats {
		conn := bound(t, addr, client.Options{Format: format, MaxFrame: 1000})
		long, escaped := strings.Repeat("x", 1000), strings.Repeat("\x01", 900)
		for _, m := range []client.Outgoing{{Text: long}, {Text: "\xff"}, {MsgID: "\xff"}, {Group: "\xff"}, {Text: escaped + long[:99]}} {
			_, err := conn.Send(within(t), m)
			if code, ok := client.CodeOf(err); !ok || code != service.TooLarge && code != service.Invalid {
				t.Errorf("%s %.20q: %v", format, m.Text, err)
			}
		}
		_, err := conn.CreateGroup(within(t), long, nil)
		checkRefused(t, err, client.Error{Code: service.TooLarge, Message: err.(*client.Error).Message, Label: codec.CreateGroup})
		conn.Close()
	}
}

// TestDeadlinesUseTheMonotonicClock: no test can set the time of day, but a time that went through Unix nanoseconds, or
// lost its monotonic part otherwise, jumps with it. An hour back, and a dead server went unnoticed for that hour.
func TestDeadlinesUseTheMonotonicClock(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, wall := range []string{".UnixNano()", ".UnixMicro()", ".Unix()", "time.Unix(", ".Round(0)"} {
			if strings.Contains(string(source), wall) {
				t.Errorf("%s counts by %s", file, wall)
			}
		}
	}
}

// TestHeartbeats has a server that echoes them for a while, then is silent.
func TestHeartbeats(t *testing.T) {
	addr := scripted(t, func(p *peer) {
		p.bind()
		for range 3 {
			if f, ok := p.frame(); !ok || !f.Heartbeat() {
				t.Errorf("%+v %v is no heartbeat", f, ok)
			}
			p.raw(codec.AppendHeartbeat(nil))
		}
		for _, ok := p.frame(); ok; _, ok = p.frame() {
		}
	})
	conn := bound(t, addr, client.Options{Heartbeat: 20 * time.Millisecond})
	select {
	case <-conn.Done():
		if !strings.Contains(conn.Err().Error(), "sign of life") {
			t.Error(conn.Err())
		}
	case <-within(t).Done():
		t.Error("a silent server goes unnoticed")
	}
}
