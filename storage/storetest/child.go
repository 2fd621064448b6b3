package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/msgserver/msgserver/service"
)

const (
	childUsers   = 6
	childGroups  = 60 // dissolved ones included
	childWorkers = 6
	childReports = 3 // the file descriptor on which a child reports
)

func childUserIDs() []service.UserID {
	users := make([]service.UserID, childUsers)
	for i := range users {
		users[i] = service.UserID(i + 1)
	}
	return users
}

// childContent is the content that a child gives to the message with this id.
func childContent(id string) string {
	h := fnv.New32a()
	h.Write([]byte(id))
	return id + strings.Repeat("-", int(h.Sum32()%700))
}

// runChild writes to the store, and reports what was acknowledged, until the process is killed.
func (s Subject) runChild(t *testing.T, dir string) {
	seed, err := strconv.ParseUint(os.Getenv(childSeedEnv), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	store, err := s.Open(dir)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	out := &reports{enc: json.NewEncoder(os.NewFile(childReports, "reports"))}
	var working sync.WaitGroup
	for n := range uint64(childWorkers) {
		w := &worker{
			t: t, store: store, out: out, rng: rand.New(rand.NewPCG(seed, n)), name: fmt.Sprintf("%x-%d", seed, n),
		}
		working.Go(func() {
			for !t.Failed() {
				w.work()
			}
		})
	}
	working.Wait()
}

// reports writes each report with a call of its own, so that a kill loses none that was made.
type reports struct {
	mu  sync.Mutex
	enc *json.Encoder
}

// add may fail only when nobody listens any more.
func (r *reports) add(e event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.enc.Encode(e)
}

// worker is one of the goroutines of a child.
type worker struct {
	t     *testing.T
	store service.Store
	out   *reports
	rng   *rand.Rand
	name  string
	sent  []service.Message
	wait  sync.WaitGroup
}

// work does one thing and waits for the answers.
func (w *worker) work() {
	switch n := w.rng.IntN(20); {
	case n < 13:
		w.append()
	case n < 17:
		w.mark()
	default:
		w.change()
	}
	w.wait.Wait()
}

func (w *worker) user() service.UserID { return service.UserID(1 + w.rng.IntN(childUsers)) }

func (w *worker) conv(u service.UserID) service.ConvID {
	if w.rng.IntN(2) == 0 {
		if g, ok := w.group(); ok && slices.Contains(g.Members, u) {
			return g.ID.Conv()
		}
	}
	return service.Pair(u, w.user())
}

// group is one that is there.
func (w *worker) group() (service.Group, bool) {
	for range 5 {
		g, err := w.store.Group(context.Background(), w.groupID())
		if err == nil {
			return g, true
		}
		if !errors.Is(err, service.ErrNotFound) {
			w.t.Errorf("group: %v", err)
		}
	}
	return service.Group{}, false
}

func (w *worker) groupID() service.GroupID { return groupID(byte(1 + w.rng.IntN(childGroups))) }

// append sends new messages, and some a second time.
func (w *worker) append() {
	batch := make([]service.Append, 1+w.rng.IntN(1+w.rng.IntN(30)))
	for i := range batch {
		if len(w.sent) > 0 && w.rng.IntN(10) == 0 {
			batch[i] = w.one(w.sent[len(w.sent)-1-w.rng.IntN(min(len(w.sent), 50))])
			continue
		}
		u := w.user()
		c := w.conv(u)
		m := service.Message{Conv: c, From: u, MsgID: fmt.Sprintf("%s-%d", w.name, len(w.sent)), ContentType: 1}
		if m.Content = childContent(m.MsgID); c[0] == 0 {
			m.To = c.Peer(u)
		}
		w.sent = append(w.sent, m)
		batch[i] = w.one(m)
	}
	w.store.Append(batch)
}

func (w *worker) one(m service.Message) service.Append {
	w.wait.Add(1)
	return service.Append{Message: m, Done: func(a service.Appended, err error) {
		defer w.wait.Done()
		if err == nil {
			w.out.add(event{Entry: &a.Entry})
		} else if !refusable(err) {
			w.t.Errorf("append: %v", err)
		}
	}}
}

// refusable reports whether others may have caused the refusal: they change the groups at the same time.
func refusable(err error) bool {
	return errors.Is(err, service.ErrBusy) || errors.Is(err, service.ErrDenied) ||
		errors.Is(err, service.ErrNotFound) || errors.Is(err, service.ErrConflict)
}

func (w *worker) mark() {
	batch := make([]service.Mark, 1+w.rng.IntN(20))
	for i := range batch {
		u := w.user()
		m := service.Mark{
			User: u, Conv: w.conv(u), State: service.StateDelivered + service.State(w.rng.IntN(2)), Seq: service.Seq(w.rng.IntN(1000)),
		}
		w.wait.Add(1)
		m.Done = func(done service.Marked, err error) {
			defer w.wait.Done()
			if err == nil {
				w.out.add(event{Mark: &markEvent{m.User, m.Conv, done.After}})
			} else if !refusable(err) {
				w.t.Errorf("mark: %v", err)
			}
		}
		batch[i] = m
	}
	w.store.Mark(batch)
}

// change makes a group or changes one. Someone who has come often does not come again: no store has to
// remember any number of spans.
func (w *worker) change() {
	g, ok := w.group()
	ch := create(w.groupID(), w.user(), 7, 8)
	if ok && w.rng.IntN(4) > 0 {
		u := w.user()
		switch ref, err := w.store.Conversation(context.Background(), u, g.ID.Conv()); {
		case err != nil:
			w.t.Errorf("conversation: %v", err)
			return
		case w.rng.IntN(10) == 0:
			ch = dissolving(g)
		case w.rng.IntN(3) == 0 || u == g.Creator:
			ch = from(g, service.KindGroupUpdated)
			ch.Name = fmt.Sprint("name ", w.rng.IntN(1000))
		case slices.Contains(g.Members, u):
			ch = removing(g, u)
		case len(ref.Spans) < joinBound:
			ch = adding(g, u)
		default:
			return
		}
	}
	w.wait.Add(1)
	w.store.ChangeGroup(ch, func(done service.GroupChanged, err error) {
		defer w.wait.Done()
		if err == nil {
			w.out.add(event{Entry: &done.Entry, Group: &done.Group, Gone: ch.Kind == service.KindGroupDissolved})
		} else if !refusable(err) {
			w.t.Errorf("change: %v", err)
		}
	})
}
