package client_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msgserver/msgserver/client"
	"github.com/msgserver/msgserver/codec"
)

// take takes pushes of messages, which must be from, from+1, …, to.
func take(t *testing.T, conn *client.Conn, from, to uint64) {
	t.Helper()
	for push, err := range conn.Pushes(within(t)) {
		if err != nil {
			t.Fatalf("before %d: %v", from, err)
		}
		if m := push.Body.(*codec.MessageBody); m.Seq != from {
			t.Fatalf("push %d, want %d", m.Seq, from)
		}
		if from++; from > to {
			return
		}
	}
}

// TestBackPressure has a server that pushes until its socket takes no more, to an application that does not
// take pushes for a while. Its heartbeats are not answered meanwhile, and that is nobody's fault.
func TestBackPressure(t *testing.T) {
	stuck := make(chan uint64)
	addr := scripted(t, func(p *peer) {
		p.bind()
		body := codec.MessageBody{ContentStr: strings.Repeat("x", 64<<10)}
		var rest []byte
		for {
			body.Seq++
			rest = p.pushed(codec.Message, &body)
			if err := p.SetWriteDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
				t.Error(err)
			}
			n, err := p.Write(rest)
			if rest = rest[n:]; errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil || body.Seq > 10_000 {
				t.Errorf("push %d: %v", body.Seq, err)
				break
			}
		}
		stuck <- body.Seq
		if err := p.SetWriteDeadline(time.Time{}); err != nil {
			t.Error(err)
		}
		p.raw(rest)
		p.drain()
	})
	conn := bound(t, addr, client.Options{Inbox: 8, Heartbeat: 20 * time.Millisecond})
	take(t, conn, 1, <-stuck)
}

// TestAskWhileTheInboxIsFull is an application that asks while it handles a push: the answer lies behind more
// pushes than the inbox holds.
func TestAskWhileTheInboxIsFull(t *testing.T) {
	const inbox, pushes = 8, 16 * 8
	addr := scripted(t, func(p *peer) {
		p.bind()
		for seq := range uint64(inbox + 1) { // the reader waits with the last one of these
			p.push(codec.Message, &codec.MessageBody{Seq: seq + 1})
		}
		r, _ := p.next()
		for seq := uint64(inbox + 1); seq < pushes; seq++ {
			p.push(codec.Message, &codec.MessageBody{Seq: seq + 1})
		}
		p.answer(r, &codec.MessageStored{Seq: 1})
		p.drain()
	})
	conn := bound(t, addr, client.Options{Inbox: inbox})
	if sent, err := conn.Send(within(t), client.Outgoing{To: 2}); err != nil || sent.Seq != 1 {
		t.Errorf("%+v %v", sent, err)
	}
	take(t, conn, 1, pushes)
}

// TestInboxOverflow is the same application with a server that pushes on and on.
func TestInboxOverflow(t *testing.T) {
	const inbox = 8
	addr := scripted(t, func(p *peer) {
		p.bind()
		p.next()
		for seq := range uint64(16*inbox + 1) {
			p.push(codec.Message, &codec.MessageBody{Seq: seq + 1})
		}
		p.drain()
	})
	conn := bound(t, addr, client.Options{Inbox: inbox})
	if _, err := conn.Send(within(t), client.Outgoing{To: 2}); !errors.Is(err, client.ErrInboxFull) || !errors.Is(err, client.ErrUnknownOutcome) {
		t.Errorf("error %v", err)
	}
	take(t, conn, 1, 16*inbox) // what was taken in is not lost
	for _, err := range conn.Pushes(within(t)) {
		if !errors.Is(err, client.ErrInboxFull) {
			t.Errorf("error %v", err)
		}
	}
}

func TestOnPush(t *testing.T) {
	addr := scripted(t, func(p *peer) {
		p.bind()
		p.push(codec.Message, &codec.MessageBody{Seq: 1})
		p.drain()
	})
	got := make(chan client.Push, 1)
	conn := bound(t, addr, client.Options{OnPush: func(p client.Push) { got <- p }})
	if p := <-got; p.Label != codec.Message || p.Body.(*codec.MessageBody).Seq != 1 {
		t.Errorf("%+v", p)
	}
	for _, err := range conn.Pushes(within(t)) {
		if err == nil || errors.Is(err, client.ErrClosed) {
			t.Errorf("Pushes beside OnPush: %v", err)
		}
	}
}

// TestPushTypes has each label arrive as its type, and what is unknown be passed over.
func TestPushTypes(t *testing.T) {
	all := []client.Push{
		{Label: codec.Message, Body: &codec.MessageBody{Seq: 1, ContentStr: "x", SendDate: `"y"`}},
		{Label: codec.MessageStatus, Body: &codec.StatusBody{MsgID: "m", State: 2, Seq: 1, UserID: codec.SomeID(2)}},
		{Label: codec.CreateGroupNoti, Body: &codec.GroupBody{GroupID: "g", MemberIDs: codec.IDs{2}, Seq: 1, UserID: codec.SomeID(1)}},
		{Label: codec.GroupInfoUpdateNoti, Body: &codec.GroupBody{GroupID: "g", MemberIDs: codec.IDs{}, Seq: 2}},
		{Label: codec.GroupMembersAddNoti, Body: &codec.MembersBody{GroupID: "g", MemberIDs: codec.IDs{3}, UserID: 1, Seq: 3}},
		{Label: codec.GroupMembersDelNoti, Body: &codec.MembersBody{GroupID: "g", MemberIDs: codec.IDs{3}, UserID: 1, Seq: 4}},
		{Label: codec.DeleteGroupNoti, Body: &codec.MembersBody{GroupID: "g", UserID: 1, Seq: 5}},
		{Label: codec.ReceiveError, Body: &codec.ErrorBody{Code: 100, Error: "e", Label: "message", MsgID: "m"}},
		{Label: codec.KickedNoti, Body: &codec.ErrorBody{Code: 104, Error: "e"}},
		{Label: codec.DrainNoti, Body: &codec.DrainBody{Error: "e", RetryAfterMs: 1000}},
	}
	for _, format := range formats {
		t.Run(format.String(), func(t *testing.T) {
			addr := scripted(t, func(p *peer) {
				p.bind()
				p.push("ofTheFuture", &codec.Empty{})
				for _, push := range all {
					p.push(push.Label, push.Body)
				}
				p.Close()
			})
			conn := bound(t, addr, client.Options{Format: format})
			var got []client.Push
			for push, err := range conn.Pushes(within(t)) {
				if err == nil {
					got = append(got, push)
				}
			}
			if diff := cmp.Diff(all, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
