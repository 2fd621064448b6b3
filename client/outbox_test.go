package client_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/msgserver/msgserver/client"
	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

// TestABusyServerIsNotFlooded: each window of refusals is followed by a pause and half as many messages; the window
// used to grow on refusals: 32, 64, … 1,000.
func TestABusyServerIsNotFlooded(t *testing.T) {
	const count, rounds = 200, 8
	var taken atomic.Bool
	addr := scripted(t, func(p *peer) {
		p.bind()
		window := 32
		for range rounds {
			_, requests := p.messages(window)
			for _, r := range requests {
				p.refuse(r, service.Busy, "busy")
			}
			window = max(window/2, 1)
		}
		taken.Store(true)
		for n, most := 0, window; n < count; { // it grows by one for each window of answers
			_, requests := p.messages(min(most, count-n))
			for _, r := range requests {
				n++
				p.answer(r, &codec.MessageStored{Seq: uint64(n)})
			}
			most++
		}
		p.attend(nil)
	})
	c := quick(t, addr, client.ClientOptions{})
	outcomes := post(t, c, count)
	for range count {
		select {
		case <-outcomes:
			if !taken.Load() {
				t.Fatal("a message was answered that was refused")
			}
		case <-within(t).Done():
			t.Fatal("a message is not sent again")
		}
	}
}

// TestRetryAfter waits as long as a busy server asks for, with messages and with requests.
func TestRetryAfter(t *testing.T) {
	const wait = 60 * time.Millisecond
	for _, format := range formats {
		t.Run(format.String(), func(t *testing.T) {
			var refused atomic.Int64
			addr := scripted(t, func(p *peer) {
				p.bind()
				p.attend(func(r request) bool {
					if r.label != codec.Message && r.label != codec.QueryGroupList {
						return false
					}
					switch at := refused.Swap(int64(elapsed())); {
					case at == 0:
						p.refuseUntil(r, service.Busy, wait)
						return true
					case elapsed()-time.Duration(at) < wait:
						t.Errorf("%s came again after %v", r.label, elapsed()-time.Duration(at))
					}
					refused.Store(0)
					if r.label == codec.Message {
						p.answer(r, &codec.MessageStored{Seq: 1})
					} else {
						p.answer(r, []client.Group{})
					}
					return true
				})
			})
			c := quick(t, addr, client.ClientOptions{Conn: client.Options{Format: format}})
			if _, err := c.Send(within(t), client.Outgoing{To: 2}); err != nil {
				t.Error(err)
			}
			err := c.Do(within(t), func(conn *client.Conn) error { _, err := conn.Groups(within(t)); return err })
			if err != nil {
				t.Error(err)
			}
		})
	}
}

var began = time.Now()

func elapsed() time.Duration { return time.Since(began) }

// refuseUntil is refuse with a retryAfterMs.
func (p *peer) refuseUntil(r request, code service.Code, wait time.Duration) {
	body := doc{"code": int(code), "error": "later", "retryAfterMs": wait.Milliseconds()}
	b, err := codec.AppendBody(nil, r.format, body)
	if err != nil {
		p.t.Error(err)
	}
	if r.format == codec.JSON {
		b = append(b[:len(b)-1], `,"taskId":`+string(r.task)+"}"...)
	} else {
		b[0]++ // one more pair in the map
		b = append(append(b, "\xa6taskId"...), r.task...)
	}
	p.raw(codec.AppendFrame(nil, r.format, codec.Response, r.label, b))
}

// TestMessagesHaveATimeout: a server that answers everything else, but not a message, or only one of three, counts as
// dead, and the message goes out on the next connection.
func TestMessagesHaveATimeout(t *testing.T) {
	const limit = 100 * time.Millisecond
	for _, tc := range []struct {
		name    string
		answers func(n int) bool
	}{
		{"no message is answered", func(int) bool { return false }},
		{"every third is not", func(n int) bool { return n%3 != 2 }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var conns atomic.Int32
			addr := scripted(t, func(p *peer) {
				p.bind()
				healthy, n := conns.Add(1) > 1, 0
				p.attend(func(r request) bool {
					if r.label != codec.Message {
						return false
					}
					if n++; healthy || tc.answers(n) {
						p.answer(r, &codec.MessageStored{Seq: uint64(n)})
					}
					return true
				})
			})
			phases := make(states, 100)
			c := quick(t, addr, client.ClientOptions{OnState: phases.note, RequestTimeout: limit})
			phases.until(t, client.CaughtUp)
			start := elapsed()
			outcomes := post(t, c, 6)
			last, _ := phases.until(t, client.Waiting)
			if took := elapsed() - start; took < limit || took > 20*limit || !errors.Is(last.Err, context.DeadlineExceeded) {
				t.Errorf("the connection ended after %v with %v", took, last.Err)
			}
			for range 6 {
				select {
				case <-outcomes:
				case <-within(t).Done():
					t.Fatal("a message was not sent again")
				}
			}
		})
	}
}

// TestASlowLinkIsNotDead: as long as the messages before it are answered, a message waits for longer than the timeout.
func TestASlowLinkIsNotDead(t *testing.T) {
	const limit, count = 300 * time.Millisecond, 12
	var conns atomic.Int32
	addr := scripted(t, func(p *peer) {
		p.bind()
		conns.Add(1)
		_, requests := p.messages(count)
		for i, r := range requests {
			time.Sleep(limit / 6) // the link
			p.answer(r, &codec.MessageStored{Seq: uint64(i + 1)})
		}
		p.attend(nil)
	})
	phases := make(states, 100)
	c := quick(t, addr, client.ClientOptions{RequestTimeout: limit, OnState: phases.note, NoConfirm: true})
	phases.until(t, client.CaughtUp)
	outcomes := post(t, c, count)
	for i := range count {
		wantOutcomes(t, outcomes, fmt.Sprintf("%d %d <nil>", i, i+1))
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// TestRequestsOfDoHaveATimeout, although the caller gave none.
func TestRequestsOfDoHaveATimeout(t *testing.T) {
	var asked atomic.Int32
	addr := scripted(t, func(p *peer) {
		p.bind()
		p.attend(func(r request) bool {
			if r.label != codec.QueryGroupList {
				return false
			}
			if asked.Add(1) > 1 {
				p.answer(r, []client.Group{})
			}
			return true
		})
	})
	c := quick(t, addr, client.ClientOptions{RequestTimeout: 50 * time.Millisecond})
	err := c.Do(within(t), func(conn *client.Conn) error { _, err := conn.Groups(context.Background()); return err })
	if n := asked.Load(); err != nil || n != 2 {
		t.Errorf("error %v after %d attempts", err, n)
	}
}

// TestAMessageOfAnotherDeviceWithTheSameMsgID: "1" to user 3, said by another device of this user, is not the "1" to
// user 2 that waits for its answer here.
func TestAMessageOfAnotherDeviceWithTheSameMsgID(t *testing.T) {
	pushed := make(chan bool)
	addr := scripted(t, func(p *peer) {
		p.bind()
		p.attend(func(r request) bool {
			if r.label != codec.Message {
				return false
			}
			for _, peer := range []service.UserID{3, 2} { // the second one is the pending one's own push
				body := &codec.MessageBody{FromUserID: codec.ID(me), ToUserID: codec.ID(peer), MsgID: "1", Seq: 1}
				p.push(codec.Message, body)
			}
			<-pushed
			p.answer(r, &codec.MessageStored{Seq: 1})
			return true
		})
	})
	c := quick(t, addr, client.ClientOptions{Cursors: knownConversations(t), NoConfirm: true})
	outcome := make(chan error, 1)
	if err := c.SendAsync(within(t), client.Outgoing{To: 2, MsgID: "1"}, func(_ client.Sent, err error) { outcome <- err }); err != nil {
		t.Fatal(err)
	}
	if e, err := first(within(t), c); err != nil || e.Peer != 3 || e.Seq != 1 {
		t.Errorf("got %+v %v, want the message to user 3", e, err)
	}
	pushed <- true
	if err := <-outcome; err != nil {
		t.Error(err)
	}
}

// knownConversations are the cursors of a device that knows all conversations: there are none.
func knownConversations(t *testing.T) client.CursorStore {
	t.Helper()
	store := client.MemoryCursors()
	if err := store.Save(me, nil); err != nil {
		t.Fatal(err)
	}
	return store
}

// TestSendAsyncInsideDone: with a full outbox it waits for room, which only the goroutine that reads can make.
func TestSendAsyncInsideDone(t *testing.T) {
	const rounds = 50
	addr := scripted(t, echo)
	c := quick(t, addr, client.ClientOptions{Outbox: 1})
	ctx, all := within(t), make(chan int, 2*rounds)
	var send func(n int) func(client.Sent, error)
	send = func(n int) func(client.Sent, error) {
		return func(_ client.Sent, err error) {
			if err != nil {
				t.Error(err)
			}
			if all <- n; n == rounds {
				return
			}
			if err := c.SendAsync(ctx, client.Outgoing{To: 2}, send(n+1)); err != nil {
				t.Errorf("inside done: %v", err)
			}
			if _, err := c.Send(ctx, client.Outgoing{To: 2}); err != nil {
				t.Errorf("inside done, and waits for the answer: %v", err)
			}
		}
	}
	for range 2 {
		if err := c.SendAsync(ctx, client.Outgoing{To: 2}, send(1)); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 * rounds {
		select {
		case <-all:
		case <-ctx.Done():
			t.Fatal("the connection is not read any more")
		}
	}
}
