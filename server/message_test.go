package server_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/server"
	"github.com/msgserver/msgserver/service"
)

func TestMessage(t *testing.T) {
	n := start(t, server.Config{})
	for i, f := range formats {
		t.Run(f.String(), func(t *testing.T) {
			a, b := 10*i+1, 10*i+2
			alice, bob := n.bind(t, f, a), n.bind(t, formats[1-i], b)
			text := "a \"quoted\" \n \u4e2d\u6587 \U0001f600"
			stored := alice.want("message", doc{"fromUserId": a, "toUserId": fmt.Sprint(b), "contentStr": text, "msgId": "m1",
				"sendDate": "2016-05-01 10:00", "msgContentType": "7", "sessionId": ""})
			check(t, stored, doc{"msgId": "m1", "seq": 1, "state": 1})
			push := bob.push("message")
			check(t, push, doc{"fromUserId": a, "toUserId": b, "contentStr": text, "msgId": "m1", "sendDate": "2016-05-01 10:00",
				"msgContentType": 7, "sessionId": "", "state": 1, "seq": 1, "serverReceiveDate": stored["serverReceiveDate"]})

			// One-way: the acknowledgement is a push.
			alice.send("message", doc{"toUserId": b, "contentStr": "x", "msgId": "m2"})
			check(t, alice.push("messageStatus"), doc{"msgId": "m2", "state": 1, "seq": 2})
			check(t, bob.push("message"), doc{"msgId": "m2", "seq": 2, "msgContentType": 1})
			alice.send("message", doc{"toUserId": b, "contentStr": "y", "msgId": "m2"})
			check(t, alice.push("receiveError"), doc{"code": 104, "msgId": "m2", "label": "message"})

			// Without a msgId the server makes one, each time another.
			first, second := alice.want("message", say(b, "x", "")), alice.want("message", say(b, "x", ""))
			if first["msgId"] == "" || first["msgId"] == second["msgId"] {
				t.Errorf("msgIds %v and %v", first["msgId"], second["msgId"])
			}
			bob.push("message")
			bob.push("message")
			bob.quiet()
		})
	}
}

func TestExactlyOnce(t *testing.T) {
	n := start(t, server.Config{})
	alice, bob := n.bind(t, codec.JSON, 1), n.bind(t, codec.JSON, 2)
	first := alice.want("message", say(2, "x", "m"))
	bob.push("message")
	// The same again, also from another connection, is the first one's answer and no second push.
	again := n.bind(t, codec.MsgPack, 1)
	for _, p := range []*peer{alice, again} {
		check(t, p.want("message", say(2, "x", "m")), doc{"seq": 1, "serverReceiveDate": first["serverReceiveDate"], "msgId": "m"})
	}
	bob.quiet()
	alice.refused(104, "message", say(2, "other", "m"))
	// Another sender and another conversation have msgIds of their own.
	check(t, bob.want("message", say(1, "x", "m")), doc{"seq": 2})
	check(t, bob.want("message", say(3, "other", "m")), doc{"seq": 1})
}

func TestNotesToSelf(t *testing.T) {
	n := start(t, server.Config{})
	phone, tablet := n.bind(t, codec.JSON, 1), n.bind(t, codec.JSON, 1)
	phone.want("message", say(1, "milk", "m"))
	check(t, tablet.push("message"), doc{"contentStr": "milk", "fromUserId": 1, "toUserId": 1})
	tablet.quiet()
	phone.quiet()
}

func TestStoreErrorsOnTheWire(t *testing.T) {
	for _, tc := range []struct {
		err  error
		code int
	}{
		{service.ErrBusy, 201}, {service.ErrUnavailable, 202}, {service.ErrUnknownOutcome, 200}, {errors.New("disk on fire at /secret"), 200},
		{service.ErrConflict, 104}, {service.ErrDenied, 102}, {service.ErrNotFound, 103},
	} {
		store := &refusing{err: tc.err}
		n := startOn(t, server.Config{}, store)
		p := n.bind(t, codec.JSON, 1)
		a := p.ask("message", say(2, "x", "m"))
		check(t, a, doc{"code": tc.code})
		if a["error"] == "" || a["error"] == tc.err.Error() {
			t.Errorf("%v: told %q", tc.err, a["error"])
		}
		p.write([]byte("\x00\x00\x00\x0c\x00\x0acanConnect"))
		if g := p.must(); g.raw != "false" {
			t.Errorf("canConnect says %s although the store is not healthy", g.raw)
		}
	}
}
