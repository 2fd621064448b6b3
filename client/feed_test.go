package client_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/msgserver/msgserver/client"
	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

func TestBackoff(t *testing.T) {
	const ms = time.Millisecond
	for _, tc := range []struct {
		name  string
		lived []time.Duration // of the attempts, one after the other
		want  []time.Duration // with the highest jitter
	}{
		{"nobody answers", make([]time.Duration, 10), []time.Duration{0, 200 * ms, 400 * ms, 800 * ms, 1600 * ms, 3200 * ms, 6400 * ms, 12800 * ms, 20000 * ms, 20000 * ms}},
		{"a connection that lasted begins anew", []time.Duration{time.Hour, 0, 0, time.Hour, 0}, []time.Duration{0, 200 * ms, 400 * ms, 0, 200 * ms}},
		{"one that hardly lasted does not", []time.Duration{999 * ms, 999 * ms, 999 * ms, time.Second}, []time.Duration{0, 200 * ms, 400 * ms, 0}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			next := client.NewBackoff(200*ms, 20*time.Second, func() float64 { return 1 })
			for i, lived := range tc.lived {
				if got := next(lived); got != tc.want[i] {
					t.Errorf("wait %d is %v, want %v", i, got, tc.want[i])
				}
			}
		})
	}
	if next := client.NewBackoff(time.Second, time.Second, func() float64 { return 0.25 }); next(0) != 0 || next(0) != 250*ms {
		t.Error("no jitter")
	}
}

const me = service.UserID(1)

// said is a message of someone in the conversation of user 1 with a peer.
func said(from, peer service.UserID, seq uint64) client.Entry {
	to := peer
	if from == peer {
		to = me
	}
	return client.Entry{
		Conversation: client.Conversation{Peer: peer}, Seq: seq, Label: codec.Message,
		Content: &codec.MessageBody{FromUserID: codec.ID(from), ToUserID: codec.ID(to), MsgID: fmt.Sprint(from, "-", seq), Seq: seq},
	}
}

// world is a server that loses, repeats and reorders pushes, and an application that takes entries now and then.
type world struct {
	feed   client.Feed
	now    time.Time
	logs   map[service.UserID][]client.Entry
	mine   map[service.UserID]map[uint64]bool // entries that this Client sent
	pushes []client.Entry                     // on their way
	got    map[service.UserID][]uint64
	limit  int
	known  map[service.UserID]bool // the feed has heard of it since it knows them all
}

func (w *world) drain(t *rapid.T) {
	for {
		e, ok := w.feed.Take(w.now)
		if !ok {
			return
		}
		w.take(t, e)
	}
}

func (w *world) take(t *rapid.T, e *client.Entry) {
	w.got[e.Peer] = append(w.got[e.Peer], e.Seq)
	w.feed.Done(e)
	if want := w.logs[e.Peer][e.Seq-1]; want.Content != e.Content {
		t.Fatalf("entry %d of %d is not what the server has", e.Seq, e.Peer)
	}
}

// fetch answers what the feed wants; it reports false if it wants nothing now.
func (w *world) fetch() bool {
	want, ok, wait, _ := w.feed.Want(w.now)
	if !ok {
		w.now = w.now.Add(wait)
		return wait > 0
	}
	log := w.logs[want.Conv().Peer]
	page := log[min(int(want.After()), len(log)):]
	more := len(page) > want.Limit()
	if more {
		page = page[:want.Limit()]
	}
	w.feed.Fetched(want, append([]client.Entry(nil), page...), more, func(e client.Entry) bool { return w.mine[e.Peer][e.Seq] })
	return true
}

// sync reads the list, from which a conversation may be absent that was there before, as a group is from which
// the user was removed.
func (w *world) sync(t *rapid.T) {
	w.feed.BeginSync()
	for peer, log := range w.logs {
		if !w.known[peer] || rapid.Bool().Draw(t, "listed") {
			w.feed.Listed(client.Conversation{Peer: peer}, uint64(len(log)), 0)
			w.known[peer] = true
		}
	}
	w.feed.EndSync()
}

func (w *world) bounds(t *rapid.T) {
	queued, early, counted := w.feed.Kept()
	if queued > w.limit || early > 5*w.limit || early != counted {
		t.Fatalf("%d in the queue of %d, %d ahead of their turn, counted as %d", queued, w.limit, early, counted)
	}
}

// TestFeedAgainstAModel: whatever is lost, repeated or reordered on the way, and however slow the application is,
// in the end it has every entry but its own, in order and once.
func TestFeedAgainstAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{
			now: time.Unix(1, 0), logs: map[service.UserID][]client.Entry{}, mine: map[service.UserID]map[uint64]bool{},
			got: map[service.UserID][]uint64{}, known: map[service.UserID]bool{}, limit: rapid.IntRange(1, 12).Draw(t, "queue"),
		}
		w.feed = client.NewFeed(me, w.limit)
		if rapid.Bool().Draw(t, "restored") {
			w.feed.Restore(nil)
		}
		peer := rapid.Custom(func(t *rapid.T) service.UserID { return rapid.SampledFrom([]service.UserID{0, 2, 3}).Draw(t, "peer") })
		t.Repeat(map[string]func(*rapid.T){
			"":      w.bounds,
			"other": func(t *rapid.T) { w.append(peer.Draw(t, "in"), rapid.Bool().Draw(t, "by me elsewhere"), false) },
			"own": func(t *rapid.T) {
				p := peer.Draw(t, "to")
				seq := w.append(p, true, true)
				if rapid.Bool().Draw(t, "answered") { // else the answer is lost, and the repeat's comes later
					w.feed.Own(client.Conversation{Peer: p}, seq, w.now)
				}
			},
			"push": func(t *rapid.T) {
				if len(w.pushes) == 0 {
					t.Skip()
				}
				i := rapid.IntRange(0, len(w.pushes)-1).Draw(t, "which")
				e := w.pushes[i]
				w.feed.Pushed(e, w.mine[e.Peer][e.Seq], w.now)
				if rapid.Bool().Draw(t, "once") {
					w.pushes = append(w.pushes[:i], w.pushes[i+1:]...)
				}
			},
			"lose":  func(*rapid.T) { w.pushes = nil },
			"sync":  w.sync,
			"fetch": func(*rapid.T) { w.fetch() },
			"take": func(t *rapid.T) {
				if e, ok := w.feed.Take(w.now); ok {
					w.take(t, e)
				}
			},
		})
		w.sync(t)
		for range 10_000 {
			w.drain(t)
			if !w.fetch() {
				break
			}
		}
		w.drain(t)
		for p, log := range w.logs {
			var want []uint64
			for _, e := range log {
				if !w.mine[p][e.Seq] {
					want = append(want, e.Seq)
				}
			}
			if diff := cmp.Diff(want, w.got[p]); diff != "" {
				t.Fatalf("conversation with %d (-want +got):\n%s", p, diff)
			}
		}
		for _, c := range w.feed.Cursors() {
			if c.Seq != uint64(len(w.logs[c.Peer])) {
				t.Fatalf("cursor %+v, the conversation has %d", c, len(w.logs[c.Peer]))
			}
		}
		_, _, _, idle := w.feed.Want(w.now)
		if queued, early, _ := w.feed.Kept(); !idle || queued+early > 0 {
			t.Fatalf("%d in the queue and %d ahead of their turn at the end, nothing missing: %v", queued, early, idle)
		}
	})
}

// append adds an entry to a log and puts its push on the way; one's own is pushed only as a lie.
func (w *world) append(peer service.UserID, byMe, own bool) uint64 {
	from := peer
	if byMe {
		from = me
	}
	seq := uint64(len(w.logs[peer]) + 1)
	e := said(from, peer, seq)
	w.logs[peer] = append(w.logs[peer], e)
	if own {
		if w.mine[peer] == nil {
			w.mine[peer] = map[uint64]bool{}
		}
		w.mine[peer][seq] = true
	}
	w.pushes = append(w.pushes, e)
	return seq
}

// TestFeedBegins is about where the conversations begin that no cursor knows.
func TestFeedBegins(t *testing.T) {
	conv := client.Conversation{Peer: 2}
	for _, tc := range []struct {
		name     string
		cursors  []client.Cursor // nil: there never were any
		steps    func(client.Feed)
		want     []uint64 // what the application gets; the server has 1 to 8
		wantLeft []client.Cursor
	}{
		{"a new device begins with what is not confirmed", nil, func(f client.Feed) { f.Listed(conv, 8, 5) }, []uint64{6, 7, 8}, nil},
		{"and with what was pushed, though another device has confirmed it", nil, func(f client.Feed) {
			f.Pushed(said(2, 2, 7), false, time.Time{})
			f.Listed(conv, 8, 8)
		}, []uint64{7, 8}, nil},
		{"and with what was pushed after the list was read", nil, func(f client.Feed) { f.Pushed(said(2, 2, 8), false, time.Time{}) }, []uint64{8}, nil},
		{"a device that knows others has all of a new conversation", []client.Cursor{}, func(f client.Feed) { f.Listed(conv, 8, 8) }, []uint64{1, 2, 3, 4, 5, 6, 7, 8}, nil},
		{"a cursor is where it goes on", []client.Cursor{{Conversation: conv, Seq: 6}}, func(f client.Feed) { f.Listed(conv, 8, 8) }, []uint64{7, 8}, nil},
		{"also if the conversation is not listed any more", []client.Cursor{{Conversation: conv, Seq: 6}}, func(client.Feed) {}, []uint64{7, 8}, nil},
		{"but not if the user has left it", []client.Cursor{{Conversation: conv, Seq: 6, Left: true}}, func(client.Feed) {}, nil, []client.Cursor{{Conversation: conv, Seq: 6, Left: true}}},
		{"until he comes back", []client.Cursor{{Conversation: conv, Seq: 6, Left: true}}, func(f client.Feed) { f.Pushed(said(2, 2, 8), false, time.Time{}) }, []uint64{7, 8}, nil},
		{"a server restored from a backup goes on with seqs that were used", []client.Cursor{{Conversation: conv, Seq: 20}}, func(f client.Feed) {
			f.Listed(conv, 7, 7)
			f.Pushed(said(2, 2, 8), false, time.Time{})
		}, []uint64{8}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			feed := client.NewFeed(me, 16)
			if tc.cursors != nil {
				feed.Restore(tc.cursors)
			}
			feed.BeginSync()
			tc.steps(feed)
			feed.EndSync()
			var got []uint64
			for {
				for e, ok := feed.Take(time.Time{}); ok; e, ok = feed.Take(time.Time{}) {
					got = append(got, e.Seq)
					feed.Done(e)
				}
				want, ok, _, _ := feed.Want(time.Unix(1, 0))
				if !ok {
					break
				}
				var page []client.Entry
				for seq := want.After() + 1; seq <= 8; seq++ {
					page = append(page, said(2, 2, seq))
				}
				feed.Fetched(want, page, false, func(client.Entry) bool { return false })
			}
			cursors := tc.wantLeft
			if cursors == nil {
				cursors = []client.Cursor{{Conversation: conv, Seq: 8}}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if diff := cmp.Diff(cursors, feed.Cursors()); diff != "" {
				t.Errorf("cursors (-want +got):\n%s", diff)
			}
		})
	}
}

// TestFeedHoles is about seqs that are not for this user, or do not exist any more.
func TestFeedHoles(t *testing.T) {
	conv := client.Conversation{Peer: 2}
	feed := client.NewFeed(me, 16)
	feed.Restore([]client.Cursor{{Conversation: conv, Seq: 3}})
	feed.BeginSync()
	feed.Listed(conv, 1_000_000, 0)
	feed.EndSync()
	taken := func(want ...uint64) {
		t.Helper()
		for _, seq := range want {
			e, ok := feed.Take(time.Time{})
			if !ok || e.Seq != seq {
				t.Fatalf("got %+v %v, want %d", e, ok, seq)
			}
			feed.Done(e)
		}
		if e, ok := feed.Take(time.Time{}); ok {
			t.Fatalf("got %+v behind %d", e, want)
		}
	}
	none := func(client.Entry) bool { return false }

	want, _, _, _ := feed.Want(time.Unix(1, 0))
	if want.After() != 3 {
		t.Errorf("asked behind %d", want.After())
	}
	feed.Fetched(want, []client.Entry{said(2, 2, 900_000), said(2, 2, 900_002)}, true, none) // retention took what was before
	taken(900_000, 900_002)
	want, _, _, _ = feed.Want(time.Unix(1, 0))
	feed.Pushed(said(2, 2, 1_000_001), false, time.Unix(1, 0)) // while the page is on its way
	feed.Fetched(want, nil, false, none)
	taken(1_000_001)

	feed.Pushed(said(2, 2, 1_000_004), false, time.Unix(2, 0))
	feed.Pushed(said(2, 2, 1_000_005), false, time.Unix(2, 0))
	if _, ok, wait, _ := feed.Want(time.Unix(2, 0)); ok || wait <= 0 || wait > time.Second {
		t.Errorf("a gap is fetched at once, or after %v", wait)
	}
	want, ok, _, _ := feed.Want(time.Unix(3, 0))
	if !ok {
		t.Fatal("a gap is not fetched")
	}
	feed.Unfetched(want, false) // it failed: again
	if want, ok, _, _ = feed.Want(time.Unix(3, 0)); !ok || want.After() != 1_000_001 {
		t.Fatalf("%+v %v", want, ok)
	}
	feed.Unfetched(want, true) // the group is gone: what came is all there is
	taken(1_000_004, 1_000_005)
	if c, seq, ok := feed.Confirm(); !ok || c != conv || seq != 1_000_005 {
		t.Errorf("confirm %+v %d %v", c, seq, ok)
	}
	if _, _, ok := feed.Confirm(); ok {
		t.Error("confirmed twice")
	}
	feed.ConfirmedTo(conv, 0) // that failed
	if _, seq, ok := feed.Confirm(); !ok || seq != 1_000_005 {
		t.Errorf("not confirmed again: %d %v", seq, ok)
	}
	feed.ConfirmedTo(conv, 1_000_005)
	if _, _, ok := feed.Confirm(); ok {
		t.Error("confirmed once more")
	}
}

// TestFeedIsBounded pushes entries that can never have their turn to an application that takes none.
func TestFeedIsBounded(t *testing.T) {
	const limit = 8
	feed := client.NewFeed(me, limit)
	feed.Restore(nil)
	for seq := uint64(1); seq <= 10_000; seq++ {
		for peer := range service.UserID(3) {
			feed.Pushed(said(peer+2, peer+2, seq+uint64(peer)), false, time.Time{}) // of two of them the first is lost
			feed.Own(client.Conversation{Peer: 5}, seq+1, time.Time{})
		}
	}
	if queued, early, counted := feed.Kept(); queued != limit || early > 4*limit || counted != early {
		t.Errorf("%d queued, %d early, counted as %d", queued, early, counted)
	}
	if own := feed.Owned(); own > 1024 {
		t.Errorf("%d messages of one's own", own)
	}
}

// TestFeedDiscovers is about conversations that are not in the list: a new device takes what is not confirmed, one
// that knows others takes all.
func TestFeedDiscovers(t *testing.T) {
	feed := client.NewFeed(me, 8)
	feed.BeginSync()
	feed.EndSync()
	discover(t, feed, 2, 5)
	feed.BeginSync()
	feed.Listed(client.Conversation{Peer: 2}, 6, 6)
	feed.EndSync()
	discover(t, feed, 3, 0)
}

func discover(t *testing.T, feed client.Feed, peer service.UserID, after uint64) {
	t.Helper()
	if !feed.Discovered(said(peer, peer, 6)) || feed.Discovered(said(peer, peer, 7)) {
		t.Errorf("a conversation with %d is discovered once", peer)
	}
	want, ok, _, _ := feed.Want(time.Unix(1, 0))
	if !ok || want.Conv().Peer != peer || want.After() != after {
		t.Errorf("asked for %+v behind %d, want %d behind %d", want.Conv(), want.After(), peer, after)
	}
	feed.Fetched(want, []client.Entry{said(peer, peer, 6)}, false, func(client.Entry) bool { return false })
}
