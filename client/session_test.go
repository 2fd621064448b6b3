package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msgserver/msgserver/client"
	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

// attend answers what a Client asks, with nothing unless handle has something better: it reports whether it
// took the request.
func (p *peer) attend(handle func(request) bool) {
	for {
		r, ok := p.next()
		if !ok {
			return
		}
		if handle != nil && handle(r) {
			continue
		}
		switch r.label {
		case codec.QuerySessionList:
			p.answer(r, &codec.SessionList{Sessions: []codec.SessionBody{}})
		case codec.QueryHistory, codec.QueryOfflineMessage:
			p.answer(r, &codec.Timeline{Messages: []codec.TimelineItem{}})
		default:
			p.answer(r, &codec.Empty{})
		}
	}
}

// states notes what OnState says.
type states chan client.State

func (s states) note(st client.State) { s <- st }

// until waits for a phase and gives the phases up to it.
func (s states) until(t *testing.T, phase client.Phase) (last client.State, all []client.Phase) {
	t.Helper()
	for ctx := within(t); ; {
		select {
		case last = <-s:
			if all = append(all, last.Phase); last.Phase == phase {
				return last, all
			}
		case <-ctx.Done():
			t.Fatalf("no %q after %v", phase, all)
		}
	}
}

// quick is a Client of user 1 that does not wait long between attempts.
func quick(t *testing.T, addr string, opts client.ClientOptions) *client.Client {
	t.Helper()
	return quickAs(t, addr, me, opts)
}

func quickAs(t *testing.T, addr string, user service.UserID, opts client.ClientOptions) *client.Client {
	t.Helper()
	opts.RetryMin, opts.RetryMax = time.Millisecond, 10*time.Millisecond
	c, err := client.New(addr, user, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// TestBindRefused is about which refusals end a Client.
func TestBindRefused(t *testing.T) {
	for _, tc := range []struct {
		name    string
		answers []service.Code // to the binds, one after the other
		token   bool
		want    client.Phase
		binds   int
	}{
		{"welcome", []service.Code{0}, false, client.Online, 1},
		{"denied", []service.Code{service.Denied}, false, client.Stopped, 1},
		{"no token", []service.Code{service.Unauthenticated}, false, client.Stopped, 1},
		{"a token that has expired", []service.Code{service.Unauthenticated, 0}, true, client.Online, 2},
		{"a token that is wrong", []service.Code{service.Unauthenticated, service.Unauthenticated}, true, client.Stopped, 2},
		{"busy", []service.Code{service.Busy, service.Unavailable, service.Internal, 0}, false, client.Online, 4},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var binds atomic.Int32
			addr := scripted(t, func(p *peer) {
				r, ok := p.next()
				if !ok {
					return
				}
				var b codec.Bind
				decode(t, r, &b)
				n := binds.Add(1)
				if want := fmt.Sprint("token ", n); tc.token && b.Token != want {
					t.Errorf("bind with %q, want %q", b.Token, want)
				}
				if code := tc.answers[n-1]; code != 0 {
					p.refuse(r, code, "no")
					p.drain()
					return
				}
				p.answer(r, &codec.Bound{})
				p.attend(nil)
			})
			said, tokens := make(states, 100), 0
			opts := client.ClientOptions{OnState: said.note}
			if tc.token {
				opts.Token = func(context.Context) (string, error) {
					tokens++
					return fmt.Sprint("token ", tokens), nil
				}
			}
			c := quick(t, addr, opts)
			last, all := said.until(t, tc.want)
			if int(binds.Load()) != tc.binds {
				t.Errorf("%d binds, want %d; %v", binds.Load(), tc.binds, all)
			}
			if tc.want != client.Stopped {
				return
			}
			<-c.Done()
			code, _ := client.CodeOf(last.Err)
			if want := tc.answers[len(tc.answers)-1]; code != want || c.Err() != last.Err {
				t.Errorf("stopped with %v and %v, want %v", last.Err, c.Err(), want)
			}
			if _, err := c.Send(within(t), client.Outgoing{To: 2}); !errors.Is(err, last.Err) {
				t.Errorf("a send after the end: %v", err)
			}
			for _, err := range c.Messages(within(t)) {
				if !errors.Is(err, last.Err) {
					t.Errorf("messages after the end: %v", err)
				}
			}
		})
	}
}

// TestTokenFails has the callback fail: for the moment, then for good.
func TestTokenFails(t *testing.T) {
	gone := &client.Error{Code: service.Unauthenticated, Message: "logged out"}
	failures := []error{errors.New("the network is down"), fmt.Errorf("ask the login server: %w", gone)}
	said := make(states, 100)
	quick(t, "127.0.0.1:1", client.ClientOptions{OnState: said.note, Token: func(context.Context) (string, error) {
		err := failures[0]
		failures = failures[1:]
		return "", err
	}})
	last, all := said.until(t, client.Stopped)
	if diff := cmp.Diff([]client.Phase{client.Connecting, client.Waiting, client.Connecting, client.Stopped}, all); diff != "" || !errors.Is(last.Err, gone) {
		t.Errorf("%v, -want +got:\n%s", last.Err, diff)
	}
}

// TestKicked tells a kick by another device from one by a bind of this Client that nobody waits for any more.
func TestKicked(t *testing.T) {
	for _, tc := range []struct {
		name  string
		ghost bool
		want  []client.Phase
	}{
		{"the device is in use elsewhere", false, []client.Phase{client.Online, client.Stopped}},
		{"a bind that was not answered arrives late", true, []client.Phase{client.Waiting, client.Online, client.Waiting, client.Online, client.Stopped}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var conns atomic.Int32
			addr := scripted(t, func(p *peer) {
				if conns.Add(1) == 1 && tc.ghost {
					p.next()
					return // the bind is swallowed
				}
				p.bind()
				p.push(codec.KickedNoti, doc{"code": int(service.Conflict), "error": "this device has connected again", "reason": "device"})
			})
			said := make(states, 100)
			opts := client.ClientOptions{OnState: said.note}
			if tc.ghost {
				opts.Conn.Format = codec.MsgPack
			}
			quick(t, addr, opts)
			last, all := said.until(t, client.Stopped)
			var got []client.Phase
			for _, phase := range all {
				if phase != client.Connecting && phase != client.CaughtUp {
					got = append(got, phase)
				}
			}
			var kicked *client.Error
			if diff := cmp.Diff(tc.want, got); diff != "" || !errors.As(last.Err, &kicked) || kicked.Label != codec.KickedNoti || kicked.Reason != client.ReasonDevice {
				t.Errorf("%v, -want +got:\n%s", last.Err, diff)
			}
		})
	}
}

// TestServerDrains waits as long as a server that shuts down asks for.
func TestServerDrains(t *testing.T) {
	addr := scripted(t, func(p *peer) {
		p.bind()
		p.push(codec.DrainNoti, &codec.DrainBody{Error: "the server is shutting down", RetryAfterMs: 8})
	})
	said := make(states, 100)
	quick(t, addr, client.ClientOptions{OnState: said.note})
	for range 3 {
		if last, _ := said.until(t, client.Waiting); last.RetryIn < 8*time.Millisecond || last.RetryIn > 16*time.Millisecond {
			t.Errorf("waits %v", last.RetryIn)
		}
	}
}

// TestDeadServer has a server that takes requests and answers none: another connection is made.
func TestDeadServer(t *testing.T) {
	var conns atomic.Int32
	addr := scripted(t, func(p *peer) {
		p.bind()
		if conns.Add(1) == 1 {
			p.drain()
		}
		p.attend(nil)
	})
	said := make(states, 100)
	quick(t, addr, client.ClientOptions{OnState: said.note, RequestTimeout: 30 * time.Millisecond})
	last, _ := said.until(t, client.Waiting)
	if !errors.Is(last.Err, context.DeadlineExceeded) {
		t.Errorf("the connection ended with %v", last.Err)
	}
	said.until(t, client.CaughtUp)
}

// TestReceipts confirms what was taken, and hears of what others confirmed.
func TestReceipts(t *testing.T) {
	confirmed := make(chan codec.StatusRequest, 10)
	addr := scripted(t, func(p *peer) {
		p.bind()
		p.push(codec.MessageStatus, &codec.StatusBody{MsgID: "m", State: 3, Seq: 7, UserID: codec.SomeID(2)})
		p.push(codec.MessageStatus, &codec.StatusBody{MsgID: "n", State: 2, Seq: 8, UserID: codec.SomeID(3), SessionID: "g"})
		busy := true
		p.attend(func(r request) bool {
			switch r.label {
			case codec.QuerySessionList:
				p.answer(r, &codec.SessionList{Sessions: []codec.SessionBody{{PeerID: codec.SomeID(2), Seq: 5, DeliveredSeq: 5}}})
				for seq := uint64(6); seq <= 8; seq++ {
					e := said(2, 2, seq)
					p.push(e.Label, e.Content)
				}
			case codec.MessageStatus:
				var s codec.StatusRequest
				decode(t, r, &s)
				if s.TaskID = ""; busy {
					p.refuse(r, service.Busy, "busy")
				} else {
					p.answer(r, &codec.Empty{})
					confirmed <- s
				}
				busy = false
			default:
				return false
			}
			return true
		})
	})
	type receipt struct {
		Conv  client.Conversation
		MsgID string
		State int
	}
	var mu sync.Mutex
	var receipts []receipt
	c := quick(t, addr, client.ClientOptions{OnReceipt: func(v client.Conversation, r codec.StatusBody) {
		mu.Lock()
		defer mu.Unlock()
		receipts = append(receipts, receipt{v, r.MsgID, r.State})
	}})
	want := uint64(6)
	for e, err := range c.Messages(within(t)) {
		if err != nil || e.Seq != want {
			t.Fatalf("%+v %v, want %d", e, err, want)
		}
		c.Ack(e)
		if want++; want > 8 {
			break
		}
	}
	for last := codec.Integer(0); last < 8; {
		select {
		case s := <-confirmed:
			if s.State != codec.Integer(service.StateDelivered) || s.PeerID != codec.SomeID(2) || s.Seq <= last || s.Seq > 8 {
				t.Errorf("confirmed %+v after %d", s, last)
			}
			last = s.Seq
		case <-within(t).Done():
			t.Fatal("what was taken is not confirmed")
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if diff := cmp.Diff([]receipt{{client.Conversation{Peer: 2}, "m", 3}, {client.Conversation{Group: "g"}, "n", 2}}, receipts); diff != "" {
		t.Errorf("receipts (-want +got):\n%s", diff)
	}
}

// TestPushesThatTheServerDropped: missedNoti has the client look for what it missed, and many of them during one
// catch-up are one more.
func TestPushesThatTheServerDropped(t *testing.T) {
	for _, format := range formats {
		t.Run(format.String(), func(t *testing.T) {
			var lists atomic.Int32
			var log atomic.Uint64 // the seq of the last message of user 2
			missed := make(chan bool)
			addr := scripted(t, func(p *peer) {
				p.bind()
				tell := func(times int) {
					for range times {
						p.push(codec.MissedNoti, struct {
							UserSeq int `json:"userSeq"` // of a newer server
						}{5})
					}
				}
				go func() {
					for range missed {
						tell(1)
					}
				}()
				p.attend(func(r request) bool {
					head := log.Load()
					switch r.label {
					case codec.QuerySessionList:
						if lists.Add(1) == 2 {
							tell(5)
						}
						list := &codec.SessionList{Sessions: []codec.SessionBody{}}
						if head > 0 {
							list.Sessions = append(list.Sessions, codec.SessionBody{PeerID: codec.SomeID(2), Seq: head})
						}
						p.answer(r, list)
					case codec.QueryHistory:
						if lists.Load() == 2 {
							tell(5)
						}
						var h codec.HistoryRequest
						decode(t, r, &h)
						page := &codec.Timeline{Messages: []codec.TimelineItem{}}
						for seq := uint64(h.AfterSeq.N) + 1; seq <= head; seq++ {
							page.Messages = append(page.Messages, codec.TimelineItem{LabelName: codec.Message, Content: said(2, 2, seq).Content})
						}
						p.answer(r, page)
					default:
						return false
					}
					return true
				})
			})
			phases := make(states, 100)
			c := quick(t, addr, client.ClientOptions{Conn: client.Options{Format: format}, OnState: phases.note, NoConfirm: true})
			phases.until(t, client.CaughtUp)
			next := uint64(0)
			for _, step := range []struct {
				head  uint64
				ends  int   // catch-ups that follow
				lists int32 // read by then
			}{{2, 2, 3}, {5, 1, 4}, {5, 1, 5}} {
				log.Store(step.head)
				missed <- true
				for range step.ends {
					if _, all := phases.until(t, client.CaughtUp); all[0] != client.Online {
						t.Errorf("the phases are %v", all)
					}
				}
				for ; next < step.head; next++ {
					if e, err := first(within(t), c); err != nil || e.Seq != next+1 {
						t.Fatalf("got %+v %v, want seq %d", e, err, next+1)
					}
				}
				if lists.Load() != step.lists {
					t.Errorf("the list was read %d times, want %d", lists.Load(), step.lists)
				}
			}
			close(missed)
		})
	}
}

// TestPagesThatAreTooLarge: after 105 the client asks for less, and remembers how much.
func TestPagesThatAreTooLarge(t *testing.T) {
	const most, peers, each = 3, 7, 8
	asked := map[string][]int64{} // owned by the script until the Client is closed
	note := func(what string, limit codec.OptInteger) (fits bool) {
		asked[what] = append(asked[what], limit.N)
		return limit.N > 0 && limit.N <= most
	}
	addr := scripted(t, func(p *peer) {
		p.bind()
		p.attend(func(r request) bool {
			var answer any
			fits := false
			switch r.label {
			case codec.QuerySessionList:
				var s codec.SessionsRequest
				decode(t, r, &s)
				fits = note("list", s.Limit)
				list := &codec.SessionList{Sessions: []codec.SessionBody{}}
				at := len(s.After) // as many letters as conversations came before
				for ; at < peers && int64(len(list.Sessions)) < s.Limit.N; at++ {
					list.Sessions = append(list.Sessions, codec.SessionBody{PeerID: codec.SomeID(codec.ID(2 + at)), Seq: each})
				}
				list.More, list.After = at < peers, strings.Repeat("x", at)
				answer = list
			case codec.QueryOfflineMessage:
				var o codec.OfflineRequest
				decode(t, r, &o)
				fits = note("offline", o.Limit)
				answer = &codec.Timeline{Messages: []codec.TimelineItem{}}
			case codec.QueryHistory:
				var h codec.HistoryRequest
				decode(t, r, &h)
				fits = note(fmt.Sprint(h.PeerID.ID, h.AfterSeq.Set), h.Limit)
				page := &codec.Timeline{Messages: []codec.TimelineItem{}}
				from, to := h.AfterSeq.N, min(h.AfterSeq.N+h.Limit.N, each)
				if !h.AfterSeq.Set {
					if to = each; h.BeforeSeq.Set {
						to = h.BeforeSeq.N - 1
					}
					from = max(to-h.Limit.N, 0)
				}
				for seq := from + 1; seq <= to; seq++ {
					page.Messages = append(page.Messages, codec.TimelineItem{LabelName: codec.Message, Content: said(service.UserID(h.PeerID.ID), service.UserID(h.PeerID.ID), uint64(seq)).Content})
				}
				page.More = h.AfterSeq.Set && to < each || !h.AfterSeq.Set && from > 0
				answer = page
			default:
				return false
			}
			if fits {
				p.answer(r, answer)
			} else {
				p.refuse(r, service.TooLarge, "the page does not fit")
			}
			return true
		})
	})
	phases := make(states, 100)
	c := quick(t, addr, client.ClientOptions{OnState: phases.note, NoConfirm: true})
	if _, all := phases.until(t, client.CaughtUp); !slices.Equal(all, []client.Phase{client.Connecting, client.Online, client.CaughtUp}) {
		t.Errorf("the phases are %v", all)
	}
	got := map[service.UserID]uint64{}
	for n := 0; n < peers*each; n++ {
		e, err := first(within(t), c)
		if got[e.Peer]++; err != nil || e.Seq != got[e.Peer] {
			t.Fatalf("got %+v %v, want seq %d", e, err, got[e.Peer])
		}
	}
	back := uint64(each)
	for e, err := range c.History(within(t), client.HistoryPage{Conversation: client.Conversation{Peer: 2}}) {
		if err != nil || e.Seq != back {
			t.Fatalf("history has %+v %v, want seq %d", e, err, back)
		}
		back--
	}
	c.Close()
	want := map[string][]int64{
		"list": {200, 100, 50, 25, 12, 6, 3, 3, 3}, "offline": {200, 100, 50, 25, 12, 6, 3}, "2 false": {0, 25, 12, 6, 3, 3, 3},
	}
	for what, limits := range asked {
		expected := want[what]
		if expected == nil {
			expected = []int64{200, 100, 50, 25, 12, 6, 3, 3, 3}
		}
		if !slices.Equal(limits, expected) {
			t.Errorf("%s was asked for by %v, want %v", what, limits, expected)
		}
	}
	if back != 0 || len(asked) != 3+peers {
		t.Errorf("%d entries of the history are missing; asked for %v", back, asked)
	}
}

// TestAnEntryThatIsTooLarge: there is no smaller page than one entry, and the Client does not ask without a pause.
func TestAnEntryThatIsTooLarge(t *testing.T) {
	var asked atomic.Int32
	addr := scripted(t, func(p *peer) {
		p.bind()
		p.attend(func(r request) bool {
			if r.label != codec.QuerySessionList {
				return false
			}
			asked.Add(1)
			p.refuse(r, service.TooLarge, "the page does not fit")
			return true
		})
	})
	phases := make(states, 100)
	quick(t, addr, client.ClientOptions{OnState: phases.note})
	last, _ := phases.until(t, client.Waiting)
	if code, ok := client.CodeOf(last.Err); !ok || code != service.TooLarge || asked.Load() != 8 { // 200, 100, 50, 25, 12, 6, 3, 1
		t.Errorf("waits because of %v, after %d requests", last.Err, asked.Load())
	}
}

// first takes the next entry.
func first(ctx context.Context, c *client.Client) (client.Entry, error) {
	for e, err := range c.Messages(ctx) {
		c.Ack(e)
		return e, err
	}
	return client.Entry{}, errors.New("there is nothing")
}
