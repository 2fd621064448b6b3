package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/msgserver/msgserver/service"
)

// testOrder submits without waiting and looks at who is answered when, and where.
func (s Subject) testOrder(t *testing.T) {
	t.Run("Done", s.testDone)
	t.Run("one conversation", s.testOneConversation)
	t.Run("group", s.testGroupOrder)
	t.Run("mark", func(t *testing.T) {
		h := s.open(t)
		c := service.Pair(1, 2)
		appended, marked := &answers[service.Appended]{t: t}, &answers[service.Marked]{t: t}
		want := []service.Seq{}
		for i := range 40 {
			h.Append([]service.Append{{Message: text(1, 2, fmt.Sprint("m", i)), Done: appended.next()}})
			h.Mark([]service.Mark{{User: 2, Conv: c, State: service.StateDelivered, Seq: 1000, Done: marked.next()}})
			want = append(want, service.Seq(i+1))
		}
		appended.get()
		for i, a := range marked.get() {
			if a.err != nil || a.value.After.Delivered != want[i] {
				t.Fatalf("mark %d came to %d, want %d: %v", i, a.value.After.Delivered, want[i], a.err)
			}
		}
	})
}

// testDone makes every Done wait until the call has returned, which it could not on the caller's goroutine.
func (s Subject) testDone(t *testing.T) {
	h := s.open(t)
	g := h.newGroup(1, 1, 2)
	closed, err := s.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	stale := adding(g, 5)
	stale.Revision += 7
	for name, submit := range map[string]func(done func()){
		"append":            func(done func()) { h.appendOne(text(1, 2, "a"), done) },
		"repeated append":   func(done func()) { h.appendOne(text(1, 2, "a"), done) },
		"refused append":    func(done func()) { h.appendOne(groupText(g.ID, 9, "a"), done) },
		"append to nothing": func(done func()) { h.appendOne(groupText(groupID(9), 1, "a"), done) },
		"mark":              func(done func()) { markOne(h, 1, done) },
		"idle mark":         func(done func()) { markOne(h, 0, done) },
		"change":            func(done func()) { h.ChangeGroup(adding(g, 3), func(service.GroupChanged, error) { done() }) },
		"stale change":      func(done func()) { h.ChangeGroup(stale, func(service.GroupChanged, error) { done() }) },
		"append when closed": func(done func()) {
			closed.Append([]service.Append{{Message: text(1, 2, "a"), Done: func(service.Appended, error) { done() }}})
		},
		"mark when closed":   func(done func()) { markOne(closed, 1, done) },
		"change when closed": func(done func()) { closed.ChangeGroup(stale, func(service.GroupChanged, error) { done() }) },
	} {
		t.Run(name, func(t *testing.T) {
			returned, done := make(chan struct{}), make(chan bool, 1)
			submit(func() {
				select {
				case <-returned:
					done <- true
				case <-time.After(patience):
					done <- false
				}
			})
			close(returned)
			if !<-done {
				t.Error("Done ran on the caller's goroutine")
			}
		})
	}
}

func (h *handle) appendOne(m service.Message, done func()) {
	h.Append([]service.Append{{Message: m, Done: func(service.Appended, error) { done() }}})
}

func markOne(store service.Store, seq service.Seq, done func()) {
	store.Mark([]service.Mark{{User: 1, Conv: service.Pair(1, 2), State: service.StateRead, Seq: seq,
		Done: func(service.Marked, error) { done() }}})
}

// testOneConversation submits from one goroutine to several conversations: each answers in order of
// submission, and its seqs are in that order.
func (s Subject) testOneConversation(t *testing.T) {
	const convs, rounds = 7, 60
	h := s.open(t)
	var mu sync.Mutex
	order := map[service.ConvID][]string{}
	var wait sync.WaitGroup
	for round := range rounds {
		var batch []service.Append
		for i := range convs * (1 + round%3) {
			m := text(1, service.UserID(2+i%convs), fmt.Sprintf("%d-%d", round, i))
			wait.Add(1)
			batch = append(batch, service.Append{Message: m, Done: func(a service.Appended, err error) {
				defer wait.Done()
				if err != nil {
					t.Errorf("append %s: %v", m.MsgID, err)
				}
				mu.Lock()
				defer mu.Unlock()
				order[m.Conv] = append(order[m.Conv], m.MsgID)
				if int(a.Entry.Seq) != len(order[m.Conv]) {
					t.Errorf("answer %d has seq %d", len(order[m.Conv]), a.Entry.Seq)
				}
			}})
		}
		h.Append(batch)
		clear(batch) // the store keeps no reference to it
	}
	within(t, "all answers", wait.Wait)
	h.reopened(func(t *testing.T) {
		for c, ids := range order {
			entries := h.read(c)
			dense(t, entries, 1)
			var stored []string
			last := -1
			for _, e := range entries {
				var round, i int
				fmt.Sscanf(e.MsgID, "%d-%d", &round, &i)
				if submitted := round*1000 + i; submitted <= last {
					t.Errorf("%s was stored after one submitted later", e.MsgID)
				} else {
					last = submitted
				}
				stored = append(stored, e.MsgID)
			}
			same(t, "order of answers", ids, stored)
		}
	})
}

// testGroupOrder changes a group and writes to it without waiting: each message is judged by the members that
// the changes before it have left.
func (s Subject) testGroupOrder(t *testing.T) {
	h := s.open(t)
	appended := &answers[service.Appended]{t: t}
	id := groupID(1)
	var wantErr []error
	var members [][]service.UserID
	say := func(u service.UserID, err error, present ...service.UserID) {
		h.Append([]service.Append{{Message: groupText(id, u, fmt.Sprint("m", len(wantErr))), Done: appended.next()}})
		wantErr, members = append(wantErr, err), append(members, present)
	}
	change := func(ch service.GroupChange, says func()) service.Group {
		changed := &answers[service.GroupChanged]{t: t}
		h.ChangeGroup(ch, changed.next())
		clear(ch.Add) // the store keeps no reference to it
		clear(ch.Remove)
		says()
		a := changed.get()[0]
		wantError(t, fmt.Sprint("change ", ch.Kind), a.err, nil)
		return a.value.Group
	}
	say(1, service.ErrNotFound)
	g := change(create(id, 1, 2), func() {
		say(1, nil, 1, 2)
		say(3, service.ErrDenied)
	})
	g = change(adding(g, 3, 4), func() { say(3, nil, 1, 2, 3, 4) })
	g = change(removing(g, 2, 3), func() {
		say(3, service.ErrDenied)
		say(4, nil, 1, 4)
	})
	change(dissolving(g), func() { say(1, service.ErrNotFound) })
	for i, a := range appended.get() {
		wantError(t, fmt.Sprint("message ", i), a.err, wantErr[i])
		same(t, fmt.Sprint("members at message ", i), members[i], a.value.Members)
	}
	h.reopened(func(t *testing.T) {
		var got []string
		for _, e := range h.read(id.Conv()) {
			got = append(got, fmt.Sprintf("%d by %d: %s%v", e.Kind, e.From, e.MsgID, e.Members))
		}
		same(t, "timeline", []string{"2 by 1: []", "1 by 1: m1[]", "4 by 1: [3 4]", "1 by 3: m3[]", "5 by 1: [2 3]",
			"1 by 4: m5[]", "6 by 1: []"}, got)
	})
}
