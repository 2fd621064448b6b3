package client_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msgserver/msgserver/client"
	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

// messages gives the msgIds of the next n messages, and passes over what else is asked.
func (p *peer) messages(n int) (ids []string, requests []request) {
	p.attendUntil(func(r request) bool {
		var m codec.MessageRequest
		decode(p.t, r, &m)
		ids, requests = append(ids, m.MsgID), append(requests, r)
		return len(ids) == n
	})
	return ids, requests
}

// attendUntil is attend up to a message with which done is true.
func (p *peer) attendUntil(done func(request) bool) {
	for {
		r, ok := p.next()
		switch {
		case !ok:
			return
		case r.label == codec.Message:
			if done(r) {
				return
			}
		case r.label == codec.QuerySessionList:
			p.answer(r, &codec.SessionList{Sessions: []codec.SessionBody{}})
		case r.label == codec.QueryHistory:
			p.answer(r, &codec.Timeline{Messages: []codec.TimelineItem{}})
		default:
			p.answer(r, &codec.Empty{})
		}
	}
}

// post sends messages 0 to n-1 without waiting and gives where their outcomes come.
func post(t *testing.T, c *client.Client, n int) chan string {
	outcomes := make(chan string, n)
	for i := range n {
		id := fmt.Sprint(i)
		err := c.SendAsync(within(t), client.Outgoing{To: 2, MsgID: id, Text: "x"}, func(s client.Sent, err error) {
			outcomes <- fmt.Sprint(id, " ", s.Seq, " ", err)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return outcomes
}

func wantOutcomes(t *testing.T, outcomes chan string, want ...string) {
	t.Helper()
	ctx := within(t)
	for _, w := range want {
		select {
		case got := <-outcomes:
			if got != w {
				t.Errorf("outcome %q, want %q", got, w)
			}
		case <-ctx.Done():
			t.Fatalf("no outcome, want %q", w)
		}
	}
}

func wantIDs(t *testing.T, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
}

// TestRepeats loses a connection with messages that were answered, written and not answered, and not written.
func TestRepeats(t *testing.T) {
	var conns atomic.Int32
	addr := scripted(t, func(p *peer) {
		p.bind()
		if conns.Add(1) == 1 {
			ids, requests := p.messages(3)
			wantIDs(t, ids, "0", "1", "2")
			p.answer(requests[1], &codec.MessageStored{Seq: 2})
			return
		}
		ids, requests := p.messages(2)
		wantIDs(t, ids, "0", "2")
		p.answer(requests[0], &codec.MessageStored{Seq: 1})
		p.refuse(requests[1], service.Denied, "no member")
		ids, requests = p.messages(1)
		wantIDs(t, ids, "later")
		p.answer(requests[0], &codec.MessageStored{Seq: 3})
		p.attend(nil)
	})
	c := quick(t, addr, client.ClientOptions{})
	wantOutcomes(t, post(t, c, 3), "1 2 <nil>", "0 1 <nil>", "2 0 message: denied: no member")
	if sent, err := c.Send(within(t), client.Outgoing{To: 2, MsgID: "later"}); err != nil || sent.Seq != 3 {
		t.Errorf("%+v %v", sent, err)
	}
}

// TestBusy sends again what the server was too busy for, and keeps new messages behind it.
func TestBusy(t *testing.T) {
	addr := scripted(t, func(p *peer) {
		p.bind()
		for range 3 {
			ids, requests := p.messages(2)
			wantIDs(t, ids, "0", "1")
			p.refuse(requests[0], service.Busy, "busy")
			p.refuse(requests[1], service.Unavailable, "busy")
		}
		ids, requests := p.messages(2)
		wantIDs(t, ids, "0", "1")
		p.answer(requests[0], &codec.MessageStored{Seq: 1})
		p.answer(requests[1], &codec.MessageStored{Seq: 2})
		p.attend(nil)
	})
	wantOutcomes(t, post(t, quick(t, addr, client.ClientOptions{}), 2), "0 1 <nil>", "1 2 <nil>")
}

// TestSlowStart writes some of a full outbox to a new connection, and more with every answer.
func TestSlowStart(t *testing.T) {
	const count = 200
	addr := scripted(t, func(p *peer) {
		p.bind()
		all, requests := p.messages(32)
		for answered := 0; answered < count; answered++ {
			p.answer(requests[answered], &codec.MessageStored{Seq: uint64(answered + 1)})
			if more := min(2, count-len(all)); more > 0 {
				ids, rs := p.messages(more)
				all, requests = append(all, ids...), append(requests, rs...)
			}
		}
		for i, id := range all {
			if id != fmt.Sprint(i) {
				t.Errorf("message %d is %s", i, id)
			}
		}
		p.attend(nil)
	})
	outcomes := post(t, quick(t, addr, client.ClientOptions{}), count)
	for i := range count {
		wantOutcomes(t, outcomes, fmt.Sprintf("%d %d <nil>", i, i+1))
	}
}

// TestGivenUp is about senders who do not wait any more.
func TestGivenUp(t *testing.T) {
	written := make(chan bool)
	var conns atomic.Int32
	addr := scripted(t, func(p *peer) {
		p.bind()
		if conns.Add(1) == 1 {
			ids, _ := p.messages(1)
			wantIDs(t, ids, "given up")
			<-written
			<-written
			return
		}
		ids, requests := p.messages(1)
		wantIDs(t, ids, "next")
		p.answer(requests[0], &codec.MessageStored{Seq: 1})
		p.attend(nil)
	})
	c := quick(t, addr, client.ClientOptions{})
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		written <- true
		cancel()
	}()
	if _, err := c.Send(ctx, client.Outgoing{To: 2, MsgID: "given up"}); !errors.Is(err, client.ErrUnknownOutcome) || !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	written <- true
	if sent, err := c.Send(within(t), client.Outgoing{To: 2, MsgID: "next"}); err != nil || sent.Seq != 1 {
		t.Errorf("%+v %v", sent, err)
	}
	if _, err := c.Send(ctx, client.Outgoing{To: 2, Text: "\xff"}); err == nil || errors.Is(err, client.ErrUnknownOutcome) {
		t.Errorf("what no server takes: %v", err)
	}
}

// TestOutboxIsFull sends one more message than it holds.
func TestOutboxIsFull(t *testing.T) {
	c := quick(t, "127.0.0.1:1", client.ClientOptions{Outbox: 2})
	post(t, c, 2)
	soon, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
	defer cancel()
	err := c.SendAsync(soon, client.Outgoing{To: 2}, func(client.Sent, error) { t.Error("it was sent") })
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "not sent") {
		t.Errorf("error %v", err)
	}
}

// TestOffline is a Client without a server.
func TestOffline(t *testing.T) {
	c := quick(t, "127.0.0.1:1", client.ClientOptions{Outbox: 3, OutboxBytes: 1000})
	soon, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.Conn(soon); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a connection to nobody: %v", err)
	}
	if _, err := c.Send(soon, client.Outgoing{To: 2}); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, client.ErrUnknownOutcome) {
		t.Errorf("a message that was never written: %v", err)
	}
	outcomes := post(t, c, 2)
	if err := c.SendAsync(soon, client.Outgoing{To: 2, Text: strings.Repeat("x", 1000)}, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("more than the outbox holds in bytes: %v", err)
	}
	if err := c.Drain(soon); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "2 messages") {
		t.Errorf("drained: %v", err)
	}
	wantOutcomes(t, outcomes, "0 0 message: not sent: connection closed", "1 0 message: not sent: connection closed")
	if err := c.SendAsync(within(t), client.Outgoing{To: 2}, nil); !errors.Is(err, client.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
	for _, err := range c.Messages(within(t)) {
		if !errors.Is(err, client.ErrClosed) {
			t.Errorf("messages after the end: %v", err)
		}
	}
}

func TestDrainWaitsForAnswers(t *testing.T) {
	draining := make(chan bool)
	addr := scripted(t, func(p *peer) {
		p.bind()
		_, requests := p.messages(2)
		<-draining
		for i, r := range requests {
			p.answer(r, &codec.MessageStored{Seq: uint64(i + 1)})
		}
		p.attend(nil)
	})
	c := quick(t, addr, client.ClientOptions{})
	outcomes := post(t, c, 2)
	go func() { draining <- true }()
	if err := c.Drain(within(t)); err != nil {
		t.Error(err)
	}
	wantOutcomes(t, outcomes, "0 1 <nil>", "1 2 <nil>")
	if err := c.Err(); err != client.ErrClosed {
		t.Error(err)
	}
}

// TestDo repeats what may be repeated, and nothing else.
func TestDo(t *testing.T) {
	var conns, asked atomic.Int32
	addr := scripted(t, func(p *peer) {
		p.bind()
		first := conns.Add(1) == 1
		p.attend(func(r request) bool {
			switch {
			case r.label != codec.QueryGroupList:
				return false
			case first:
				p.Close()
			case asked.Add(1) == 1:
				p.refuse(r, service.Busy, "busy")
			case asked.Load() == 2:
				p.answer(r, []client.Group{{GroupID: "g", MemberIDs: codec.IDs{}}})
			default:
				p.refuse(r, service.Denied, "no")
			}
			return true
		})
	})
	c := quick(t, addr, client.ClientOptions{})
	var groups []client.Group
	list := func(conn *client.Conn) (err error) {
		groups, err = conn.Groups(within(t))
		return err
	}
	if err := c.Do(within(t), list); err != nil || len(groups) != 1 {
		t.Errorf("%v %v", groups, err)
	}
	checkRefused(t, c.Do(within(t), list), client.Error{Code: service.Denied, Message: "no", Label: codec.QueryGroupList})
}
