package server_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/server"
)

var formats = []codec.Format{codec.JSON, codec.MsgPack}

func TestCanConnect(t *testing.T) {
	n := start(t, server.Config{})
	p := n.dial(t, codec.JSON)
	p.write([]byte("\x00\x00\x00\x0c\x00\x0acanConnect"))
	if g := p.must(); g.raw != "true" || g.format != codec.JSON || g.kind != codec.Response {
		t.Errorf("%+v", g)
	}
	p.write(codec.AppendFrame(nil, codec.JSON, codec.Request, codec.CanConnect, nil))
	if g := p.must(); g.raw != "true" {
		t.Errorf("without a body: %+v", g)
	}
	m := n.dial(t, codec.MsgPack)
	m.write(codec.AppendFrame(nil, codec.MsgPack, codec.Request, codec.CanConnect, []byte{0x80}))
	if g := m.must(); g.raw != "\xc3" || g.format != codec.MsgPack {
		t.Errorf("%+v", g)
	}
}

func TestBind(t *testing.T) {
	n := start(t, server.Config{})
	for _, f := range formats {
		t.Run(f.String(), func(t *testing.T) {
			p := n.dial(t, f)
			p.refused(101, "queryGroupList", doc{})
			p.refused(101, "message", say(2, "x", "m"))
			p.refused(100, "getUserId", doc{})
			p.refused(100, "getUserId", doc{"userId": -1})
			p.refused(105, "getUserId", doc{"userId": 1, "deviceId": repeated("x", 129)})
			check(t, p.want("getUserId", doc{"userId": "7"}), doc{"userId": 7})
			p.want("getUserId", doc{"userId": 7})
			p.refused(104, "getUserId", doc{"userId": 8})
			p.send("getUserId", doc{"userId": 8})
			check(t, p.push("receiveError"), doc{"code": 104, "label": "getUserId"})
			p.send("getUserId", doc{"userId": 7})
			p.quiet()
			p.refused(102, "queryGroupList", doc{"userId": 8})
			p.refused(106, "noSuchLabel", doc{})
			p.refused(106, "kickedNoti", doc{})
		})
	}
}

func TestTaskIDIsEchoed(t *testing.T) {
	n := start(t, server.Config{})
	p := n.bind(t, codec.JSON, 1)
	for _, task := range []string{`"a\u00e4"`, `12345678901234567890`, `-1`} {
		p.write(codec.AppendFrame(nil, codec.JSON, codec.Request, codec.QueryGroupList, fmt.Appendf(nil, `{"taskId":%s}`, task)))
		if g := p.must(); g.raw != fmt.Sprintf(`{"code":0,"taskId":%s,"result":[]}`, task) {
			t.Errorf("%s", g.raw)
		}
	}
	p.refused(100, "queryGroupList", doc{"taskId": doc{}})
}

func TestEveryConnectionOfAUserHears(t *testing.T) {
	n := start(t, server.Config{})
	one, oneMore, two := n.bind(t, codec.JSON, 1), n.bind(t, codec.MsgPack, 1), n.bind(t, codec.JSON, 2)
	two.want("message", say(1, "hello", "m1"))
	one.push("message")
	oneMore.push("message")
	one.want("message", say(2, "back", "m2"))
	check(t, oneMore.push("message"), doc{"contentStr": "back", "fromUserId": 1, "seq": 2})
	two.push("message")
	one.quiet()
	oneMore.quiet()
	two.quiet()
}

func TestTheOldestConnectionGoes(t *testing.T) {
	n := start(t, server.Config{ConnsPerUser: 2})
	first, second := n.bind(t, codec.JSON, 1), n.bind(t, codec.JSON, 1)
	third := n.bind(t, codec.JSON, 1)
	first.push("kickedNoti")
	first.closed()
	second.quiet()
	third.quiet()
	if got := n.Stats().Kicked.Load(); got != 1 {
		t.Errorf("%d kicked", got)
	}
}

func TestTheSameDeviceReplaces(t *testing.T) {
	n := start(t, server.Config{})
	phone := n.bind(t, codec.JSON, 1, doc{"deviceId": "phone"})
	tablet := n.bind(t, codec.JSON, 1, doc{"deviceId": "tablet"})
	other := n.bind(t, codec.JSON, 2, doc{"deviceId": "phone"})
	again := n.bind(t, codec.JSON, 1, doc{"deviceId": "phone"})
	phone.push("kickedNoti")
	phone.closed()
	tablet.quiet()
	other.quiet()
	again.quiet()
}

func TestHeartbeat(t *testing.T) {
	n := start(t, server.Config{})
	p := n.dial(t, codec.JSON)
	p.quiet()
	n.bind(t, codec.MsgPack, 1).quiet()
}

func TestDeadlines(t *testing.T) {
	const soon = 200 * time.Millisecond
	for _, tc := range []struct {
		name string
		cfg  server.Config
		do   func(*testing.T, *node) *peer
	}{
		{"never binds", server.Config{BindTimeout: soon}, func(t *testing.T, n *node) *peer { return n.dial(t, codec.JSON) }},
		{"heartbeats do not bind", server.Config{BindTimeout: soon}, func(t *testing.T, n *node) *peer {
			p := n.dial(t, codec.JSON)
			p.quiet()
			return p
		}},
		{"silent", server.Config{IdleTimeout: soon}, func(t *testing.T, n *node) *peer { return n.bind(t, codec.JSON, 1) }},
		{"half a frame", server.Config{FrameTimeout: soon}, func(t *testing.T, n *node) *peer {
			p := n.bind(t, codec.JSON, 1)
			p.write(p.frame("message", say(2, "x", "m"))[:20])
			return p
		}},
		{"half a length", server.Config{FrameTimeout: soon}, func(t *testing.T, n *node) *peer {
			p := n.bind(t, codec.JSON, 1)
			p.write([]byte{0, 0})
			return p
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := start(t, tc.cfg)
			p := tc.do(t, n)
			p.push("receiveError")
			p.closed()
			eventually(t, "one is counted as expired", func() bool { return n.Stats().Expired.Load() == 1 })
		})
	}
}

func TestConnectionLimit(t *testing.T) {
	n := start(t, server.Config{MaxConns: 2})
	first, second := n.bind(t, codec.JSON, 1), n.bind(t, codec.JSON, 2)
	n.dial(t, codec.JSON).closed()
	first.write([]byte("\x00\x00\x00\x0c\x00\x0acanConnect"))
	if g := first.must(); g.raw != "false" {
		t.Errorf("canConnect says %s at the limit", g.raw)
	}
	second.Close()
	eventually(t, "a free place", func() bool { return n.Stats().Conns.Load() == 1 })
	n.bind(t, codec.JSON, 3)
}
