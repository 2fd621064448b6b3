package server_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/server"
)

// TestHostileInput: every way to send what is not the protocol gets a clear answer or an end, and the
// conversation of two others goes on meanwhile.
func TestHostileInput(t *testing.T) {
	n := start(t, server.Config{})
	alice, bob := n.bind(t, codec.JSON, 1), n.bind(t, codec.MsgPack, 2)
	request := func(f codec.Format, label, body string) []byte {
		return codec.AppendFrame(nil, f, codec.Request, codec.Label(label), []byte(body))
	}
	for i, tc := range []struct {
		name  string
		bound bool
		bytes []byte
		why   string // a part of the reason that is given
	}{
		{"http", false, []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), "not a frame"},
		{"tls", false, []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), "not a frame"},
		{"http after the bind", true, []byte("POST / HTTP/1.1\r\n"), "not a frame"},
		{"over 4 KiB before the bind", false, []byte("\x00\x00\x10\x01"), "longer"},
		{"over 256 KiB after the bind", true, []byte("\x00\x04\x00\x01"), "longer"},
		{"reserved bits", true, []byte("\x00\x00\x00\x03\x20\x01a"), "reserved"},
		{"version bits", true, []byte("\x00\x00\x00\x03\x80\x01a"), "version"},
		{"too short", true, []byte("\x00\x00\x00\x01\x00"), "too short"},
		{"bad label", true, []byte("\x00\x00\x00\x03\x00\x01\x80"), "label"},
		{"a response", true, codec.AppendFrame(nil, codec.JSON, codec.Response, codec.Message, []byte("{}")), "requests only"},
		{"a push", true, codec.AppendFrame(nil, codec.JSON, codec.Push, codec.Message, []byte("{}")), "requests only"},
		{"broken json", true, request(codec.JSON, "message", `{"toUserId":2,`), "not valid json"},
		{"broken json in a group label", true, request(codec.JSON, "createGroup", `{]`), "not valid json"},
		{"duplicate keys", true, request(codec.JSON, "message", `{"toUserId":2,"toUserId":3}`), "duplicate"},
		{"invalid utf-8", true, request(codec.JSON, "message", "{\"contentStr\":\"\xff\"}"), "UTF-8"},
		{"invalid utf-8 in msgpack", true, request(codec.MsgPack, "message", "\x81\xaacontentStr\xa1\xff"), "UTF-8"},
		{"a bomb of 5 bytes", true, request(codec.MsgPack, "message", "\xdd\xff\xff\xff\xff"), "declares more"},
		{"a bomb in a field", true, request(codec.MsgPack, "createGroup", "\x81\xa9memberIds\xdd\xff\xff\xff\xff"), "declares more"},
		{"200 KB of nesting", true, request(codec.MsgPack, "message", strings.Repeat("\x91", 200<<10)), "nested"},
		{"deep json", true, request(codec.JSON, "createGroup", strings.Repeat("[", 15<<10)), "not valid json"},
		{"a body that is said not to be there", true, request(codec.None, "message", "{}"), "there is none"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := n.dial(t, codec.JSON)
			if tc.bound {
				p = n.bind(t, codec.JSON, 100+i)
			}
			p.write(tc.bytes)
			// What the client sends on must not cost it the answer.
			p.Write(bytes.Repeat([]byte{0xff}, 100<<10))
			if body := p.push("receiveError"); !strings.Contains(fmt.Sprint(body["error"]), tc.why) {
				t.Errorf("told %q, want something about %q", body["error"], tc.why)
			}
			p.closed()
			alice.want("message", say(2, "still here", ""))
			check(t, bob.push("message"), doc{"contentStr": "still here"})
		})
	}
	alice.quiet()
}

// TestWellFormedButWrong: what breaks a rule gets an error, and the connection stays.
func TestWellFormedButWrong(t *testing.T) {
	n := start(t, server.Config{})
	for _, f := range formats {
		t.Run(f.String(), func(t *testing.T) {
			p := n.bind(t, f, 1)
			p.refused(100, "message", doc{"contentStr": "x"})
			p.refused(100, "message", doc{"toUserId": "x"})
			p.refused(100, "message", doc{"toUserId": 1.5})
			p.refused(100, "message", doc{"toUserId": uint64(1) << 53})
			p.refused(100, "message", doc{"toUserId": 2, "contentStr": 5})
			p.refused(100, "message", doc{"toUserId": 2, "sendDate": []int{1}})
			p.refused(100, "message", doc{"toUserId": 2, "msgContentType": "text"})
			p.refused(102, "message", doc{"toUserId": 2, "fromUserId": 3})
			p.refused(105, "message", say(2, "x", repeated("m", 129)))
			p.refused(105, "message", say(2, repeated("x", 64<<10+1), "m"))
			p.refused(103, "message", sayGroup("no group", "x", "m"))
			p.send("message", doc{"toUserId": []int{}, "msgId": "m5"})
			check(t, p.push("receiveError"), doc{"code": 100, "label": "message", "msgId": "m5"})
			p.quiet()
		})
	}
}

func TestAByteAtATime(t *testing.T) {
	n := start(t, server.Config{})
	p, other := n.bind(t, codec.JSON, 1), n.bind(t, codec.JSON, 2)
	for _, b := range p.frame("message", doc{"toUserId": 2, "contentStr": "slowly", "taskId": 1}) {
		p.write([]byte{b})
	}
	check(t, p.answer("message"), doc{"code": 0})
	check(t, other.push("message"), doc{"contentStr": "slowly"})
}

func TestFiveHundredFramesGlued(t *testing.T) {
	n := start(t, server.Config{})
	p, other := n.bind(t, codec.JSON, 1), n.bind(t, codec.MsgPack, 2)
	const count = 1500 // more than the loop handles in one turn
	var glued []byte
	for i := range count {
		body := say(2, fmt.Sprint(i), fmt.Sprint("m", i))
		body["taskId"] = i
		glued = append(glued, p.frame("message", body)...)
	}
	go p.Write(glued)
	for i := range count {
		a := p.answer("message")
		check(t, a, doc{"code": 0, "taskId": i})
		check(t, other.push("message"), doc{"contentStr": i, "seq": i + 1})
	}
}

func TestTooManyInFlight(t *testing.T) {
	store := &stalled{release: make(chan struct{}), answered: make(chan struct{})}
	n := startOn(t, server.Config{InFlight: 3}, store)
	p := n.bind(t, codec.JSON, 1)
	for i := range 3 {
		p.send("message", say(2, "x", fmt.Sprint(i)))
	}
	p.refused(201, "message", say(2, "x", "4"))
	close(store.release)
	for range 3 {
		<-store.answered
	}
}

// TestAPanicCostsItsConnection: not the server.
func TestAPanicCostsItsConnection(t *testing.T) {
	n := startOn(t, server.Config{DrainTimeout: time.Millisecond}, panicking{}) // what panicked is never answered
	p, other := n.bind(t, codec.JSON, 1), n.bind(t, codec.JSON, 2)
	p.send("message", say(2, "x", "m"))
	check(t, p.push("receiveError"), doc{"code": 200, "label": "message"})
	p.closed()
	q := n.bind(t, codec.JSON, 1)
	q.send("queryGroupList", doc{"taskId": 1})
	q.closed()
	other.quiet()
	if got := n.Stats().Panics.Load(); got != 2 {
		t.Errorf("%d panics", got)
	}
}
