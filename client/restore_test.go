package client_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/msgserver/msgserver/client"
	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

// pair is a conversation of two users.
type pair [2]service.UserID

func pairOf(a, b service.UserID) pair { return pair{min(a, b), max(a, b)} }

// ledger is what a fake server keeps, and what a backup of it has.
type ledger struct {
	logs      map[pair][]*codec.MessageBody
	delivered map[pair]map[service.UserID]uint64
}

func (l ledger) clone() ledger {
	out := ledger{logs: map[pair][]*codec.MessageBody{}, delivered: map[pair]map[service.UserID]uint64{}}
	for p, log := range l.logs {
		out.logs[p] = slices.Clone(log)
		out.delivered[p] = maps.Clone(l.delivered[p])
	}
	return out
}

// fake is a server of personal messages that can be restored and restarted in no time. Its dates are those of a clock that
// goes on by one with each entry.
type fake struct {
	t    *testing.T
	addr string

	mu    sync.Mutex
	l     ledger
	epoch string
	clock int64
	conns map[*peer]service.UserID
	// confirmed too much: what was confirmed beyond what the log has
	wild int
}

func newFake(t *testing.T, epoch string) *fake {
	f := &fake{t: t, epoch: epoch, conns: map[*peer]service.UserID{}, l: ledger{logs: map[pair][]*codec.MessageBody{}, delivered: map[pair]map[service.UserID]uint64{}}}
	f.addr = scripted(t, f.serve)
	return f
}

// append writes an entry and gives it; f.mu is held. The same msgId is stored once.
func (f *fake) append(from, to service.UserID, msgID, text string) (m *codec.MessageBody, fresh bool) {
	p := pairOf(from, to)
	for _, m := range f.l.logs[p] {
		if m.MsgID == msgID && m.FromUserID == codec.ID(from) {
			return m, false
		}
	}
	f.clock++
	m = &codec.MessageBody{
		FromUserID: codec.ID(from), ToUserID: codec.ID(to), MsgID: msgID, ContentStr: fmt.Sprint(text, " ", f.clock),
		ServerReceiveDate: f.clock, Seq: uint64(len(f.l.logs[p]) + 1), State: 1,
	}
	f.l.logs[p] = append(f.l.logs[p], m)
	if f.l.delivered[p] == nil {
		f.l.delivered[p] = map[service.UserID]uint64{}
	}
	return m, true
}

// say is a message of somebody who has no Client here.
func (f *fake) say(from, to service.UserID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m, _ := f.append(from, to, client.NewMsgID(), "said")
	f.push(m, nil)
}

// push tells all connections but one of an entry; f.mu is held.
func (f *fake) push(m *codec.MessageBody, but *peer) {
	for p, user := range f.conns {
		if p != but && (codec.ID(user) == m.FromUserID || codec.ID(user) == m.ToUserID) {
			p.push(codec.Message, m)
		}
	}
}

// restart ends all connections.
func (f *fake) restart() { f.restore(nil) }

// restore replaces everything by a backup, if there is one, and ends all connections.
func (f *fake) restore(backup *ledger) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if backup != nil {
		f.l = backup.clone()
		f.clock++
		if f.epoch != "" {
			f.epoch = client.NewMsgID()
		}
	}
	for p := range f.conns {
		p.Close()
	}
	clear(f.conns)
}

func (f *fake) backup() *ledger {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.l.clone()
	return &l
}

// cut ends one connection of a user.
func (f *fake) cut(user service.UserID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for p, u := range f.conns {
		if u == user {
			p.Close()
		}
	}
}

func (f *fake) serve(p *peer) {
	r, ok := p.next()
	if !ok {
		return
	}
	var b codec.Bind
	decode(f.t, r, &b)
	user := service.UserID(b.UserID.ID)
	f.mu.Lock()
	epoch := f.epoch
	f.conns[p] = user
	p.answer(r, &codec.Bound{UserID: b.UserID.ID, ServerDate: 1, Epoch: epoch})
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.conns, p)
		f.mu.Unlock()
	}()
	p.attend(func(r request) bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.conns[p] != user || f.epoch != epoch {
			return true // a request that came too late
		}
		return f.handle(p, user, r)
	})
}

// handle answers a request; f.mu is held.
func (f *fake) handle(p *peer, user service.UserID, r request) bool {
	switch r.label {
	case codec.Message:
		var m codec.MessageRequest
		decode(f.t, r, &m)
		body, fresh := f.append(user, service.UserID(m.ToUserID.ID), m.MsgID, m.ContentStr)
		if fresh {
			f.push(body, p)
		}
		p.answer(r, &codec.MessageStored{MsgID: m.MsgID, Seq: body.Seq, ServerReceiveDate: body.ServerReceiveDate, State: 1})
	case codec.MessageStatus:
		var s codec.StatusRequest
		decode(f.t, r, &s)
		v := pairOf(user, service.UserID(s.PeerID.ID))
		if uint64(s.Seq) > uint64(len(f.l.logs[v])) {
			f.wild++
		} else {
			f.l.delivered[v][user] = max(f.l.delivered[v][user], uint64(s.Seq))
		}
		p.answer(r, &codec.Empty{})
	case codec.QuerySessionList:
		list := &codec.SessionList{Sessions: []codec.SessionBody{}}
		for v, log := range f.l.logs {
			if v[0] == user || v[1] == user {
				list.Sessions = append(list.Sessions, codec.SessionBody{
					PeerID: codec.SomeID(codec.ID(v[0] + v[1] - user)), Seq: uint64(len(log)), DeliveredSeq: f.l.delivered[v][user], LastMessage: log[len(log)-1],
				})
			}
		}
		p.answer(r, list)
	case codec.QueryHistory:
		var h codec.HistoryRequest
		decode(f.t, r, &h)
		log := f.l.logs[pairOf(user, service.UserID(h.PeerID.ID))]
		page := &codec.Timeline{Messages: []codec.TimelineItem{}}
		limit := int(h.Limit.N)
		from, to := min(int(h.AfterSeq.N), len(log)), len(log)
		if h.AfterSeq.Set {
			to = min(from+limit, len(log))
			page.More = to < len(log)
		} else {
			if h.BeforeSeq.Set {
				to = min(int(h.BeforeSeq.N)-1, len(log))
			}
			from = max(to-limit, 0)
			page.More = from > 0
		}
		for _, m := range log[from:to] {
			page.Messages = append(page.Messages, codec.TimelineItem{LabelName: codec.Message, Content: m})
		}
		p.answer(r, page)
	default:
		return false
	}
	return true
}

// check fails if something was confirmed that was not delivered.
func (f *fake) check() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.wild > 0 {
		f.t.Errorf("%d confirmations of what is not there", f.wild)
	}
}

// device is an application that keeps what it was given.
type device struct {
	t       *testing.T
	user    service.UserID
	addr    string
	cursors client.CursorStore
	c       *client.Client
	ended   chan struct{}

	mu   sync.Mutex
	has  map[service.UserID][]string // guarded by mu: contents of others' messages, as they came
	seen map[string]int              // guarded by mu: how often an entry was given and not handed back
}

func newDevice(t *testing.T, addr string, user service.UserID) *device {
	return &device{
		t: t, user: user, addr: addr, cursors: client.FileCursors(filepath.Join(t.TempDir(), "cursors")),
		has: map[service.UserID][]string{}, seen: map[string]int{},
	}
}

// run starts it. Now and then its loop ends in the middle of an entry, which it forgets then.
func (d *device) run(random *rand.Rand) {
	opts := client.ClientOptions{Cursors: d.cursors, Queue: 1 + random.IntN(20), RetryMin: time.Millisecond, RetryMax: 3 * time.Millisecond, SaveEvery: 5 * time.Millisecond}
	c, err := client.New(d.addr, d.user, opts)
	if err != nil {
		d.t.Fatal(err)
	}
	d.c, d.ended = c, make(chan struct{})
	failures := rand.New(rand.NewPCG(random.Uint64(), 0))
	go func() {
		defer close(d.ended)
		for d.loop(c, failures) {
		}
	}()
}

func (d *device) loop(c *client.Client, failures *rand.Rand) (again bool) {
	for e, err := range c.Messages(context.Background()) {
		if err != nil {
			if !errors.Is(err, client.ErrClosed) {
				d.t.Errorf("user %d: %v", d.user, err)
			}
			return false
		}
		if failures.IntN(20) == 0 {
			return true // it failed at this one
		}
		d.took(e)
	}
	return true
}

func (d *device) took(e client.Entry) {
	m, ok := e.Message()
	if !ok {
		d.t.Errorf("user %d got %+v", d.user, e)
		return
	}
	if service.UserID(m.FromUserID) == d.user {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.has[e.Peer] = append(d.has[e.Peer], m.ContentStr)
	if d.seen[m.ContentStr]++; d.seen[m.ContentStr] > 1 {
		d.t.Errorf("user %d was given %q at %d of %v twice", d.user, m.ContentStr, e.Seq, e.Conversation)
	}
}

func (d *device) stop() {
	if err := d.c.Close(); err != nil {
		d.t.Error(err)
	}
	<-d.ended
}

// misses says what the device has not, of what the server has.
func (d *device) misses(f *fake) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	for v, log := range f.l.logs {
		if v[0] != d.user && v[1] != d.user {
			continue
		}
		peer := v[0] + v[1] - d.user
		var want []string
		for _, m := range log {
			if service.UserID(m.FromUserID) != d.user {
				want = append(want, m.ContentStr)
			}
		}
		var has []string // without what the server has forgotten
		for _, text := range d.has[peer] {
			if slices.Contains(want, text) {
				has = append(has, text)
			}
		}
		if !slices.Equal(want, has) {
			return fmt.Sprintf("of the conversation with %d user %d has\n%q, not\n%q", peer, d.user, d.has[peer], want)
		}
	}
	return ""
}

func (d *device) await(f *fake) {
	d.t.Helper()
	ctx := within(d.t)
	for tick := time.NewTicker(time.Millisecond); ; {
		missing := d.misses(f)
		if missing == "" {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			d.t.Fatal(missing)
		}
	}
}

// TestRestoredFromABackup: the cursor jumped to the head of the restored server and confirmed what it skipped. Cursor 10,
// backup at 5, then 3, 5 or 7 new messages; while the device is away, or connected; and with a device that starts anew.
func TestRestoredFromABackup(t *testing.T) {
	for _, fresh := range []int{0, 1, 3, 5, 7, 300} {
		for _, how := range []string{"connected", "lost for a while", "started again"} {
			t.Run(fmt.Sprintf("%d new/%s", fresh, how), func(t *testing.T) {
				f := newFake(t, "first")
				d := newDevice(t, f.addr, me)
				random := rand.New(rand.NewPCG(1, uint64(fresh)))
				var backup *ledger
				for i := range 10 {
					if i == 5 {
						backup = f.backup()
					}
					f.say(2, me)
				}
				d.run(random)
				d.await(f)
				away := how == "started again"
				if away {
					d.stop()
				}
				f.restore(backup)
				if how == "lost for a while" {
					for range fresh {
						f.say(2, me)
					}
				} else {
					for i := range fresh {
						if f.say(2, me); away && i == fresh/2 {
							d.run(random)
							away = false
						}
					}
				}
				if away {
					d.run(random)
				}
				d.await(f)
				f.say(2, me)
				d.await(f)
				d.stop()
				f.check()
			})
		}
	}
}

// TestARestoreConfirmsNothingThatWasNotDelivered: the application takes nothing after the restore.
func TestARestoreConfirmsNothingThatWasNotDelivered(t *testing.T) {
	f := newFake(t, "first")
	backup := &ledger{}
	for i := range 10 {
		if i == 5 {
			backup = f.backup()
		}
		f.say(2, me)
	}
	phases := make(states, 1000)
	c := quick(t, f.addr, client.ClientOptions{OnState: phases.note})
	for e, err := range c.Messages(within(t)) {
		if err != nil {
			t.Fatal(err)
		}
		if c.Ack(e); e.Seq == 10 {
			break
		}
	}
	f.restore(backup)
	for range 7 {
		f.say(2, me)
	}
	phases.until(t, client.Waiting)
	phases.until(t, client.CaughtUp)
	if err := c.Drain(within(t)); err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if d := f.l.delivered[pairOf(me, 2)][me]; d > 5 {
		t.Errorf("confirmed up to %d, but 6 to 12 were not delivered", d)
	}
}

// TestAnOldCursorFile has no epoch and no marks, and goes on where it is.
func TestAnOldCursorFile(t *testing.T) {
	f := newFake(t, "first")
	for range 5 {
		f.say(2, me)
	}
	store := client.MemoryCursors()
	if err := store.Save(me, []client.Cursor{{Conversation: client.Conversation{Peer: 2}, Seq: 3}}); err != nil {
		t.Fatal(err)
	}
	c := quick(t, f.addr, client.ClientOptions{Cursors: store})
	for want := uint64(4); want <= 5; want++ {
		if e, err := first(within(t), c); err != nil || e.Seq != want {
			t.Fatalf("got %+v %v, want %d", e, err, want)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	saved, _, _ := store.Load(me)
	if len(saved) != 1 || saved[0].Epoch != "first" || saved[0].Seq != 5 || len(saved[0].Marks) == 0 {
		t.Errorf("saved %+v", saved)
	}
}

// seedFlag repeats a run of TestRestoresRestartsReconnects.
var seedFlag = flag.Uint64("restores.seed", 0, "the seed of the restores at random")

// TestRestoresRestartsReconnects: over 500 of them at random, of the server and the clients, nobody misses or repeats
// anything that the server has in the end.
func TestRestoresRestartsReconnects(t *testing.T) {
	steps := 500
	if testing.Short() {
		steps = 20
	}
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	f := newFake(t, "first")
	const users = 3
	var devices []*device
	for user := range service.UserID(users) {
		d := newDevice(t, f.addr, user+1)
		d.run(random)
		devices = append(devices, d)
	}
	stranger := service.UserID(users + 1)
	backup := f.backup()
	for step := range steps {
		for range random.IntN(30) {
			from, to := random.IntN(users), random.IntN(users)
			switch {
			case from == to:
				f.say(stranger, devices[to].user)
			default:
				// The outcome of one that is on its way in a restore is the server's.
				_ = devices[from].c.SendAsync(within(t), client.Outgoing{To: devices[to].user, Text: "sent"}, func(client.Sent, error) {})
			}
		}
		d := devices[random.IntN(users)]
		switch random.IntN(6) {
		case 0:
			f.restore(backup)
			backup = f.backup()
		case 1:
			f.restart()
		case 2:
			d.stop()
			d.run(random)
		case 3:
			backup = f.backup()
		default:
			f.cut(d.user)
		}
		if step%10 == 9 || step == steps-1 {
			f.say(stranger, me)
			for _, d := range devices {
				if _, err := d.c.Send(within(t), client.Outgoing{To: stranger}); err != nil { // so is what was sent before
					t.Error(err)
				}
				f.say(stranger, d.user)
				d.await(f)
			}
		}
		if t.Failed() {
			break
		}
	}
	for _, d := range devices {
		d.stop()
	}
	f.check()
}
