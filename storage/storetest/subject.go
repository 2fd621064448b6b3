package storetest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/msgserver/msgserver/service"
)

// Subject is the store under test.
type Subject struct {
	// Open opens the store in a directory, making it if there is none.
	Open func(dir string) (service.Store, error)
	// Check looks at the files of a closed store; nil if there is nothing to look at.
	Check func(dir string) error
}

// Run runs all of the suite that needs no process of its own. Kill is the rest.
func Run(t *testing.T, s Subject) {
	t.Run("append", s.testAppend)
	t.Run("repeat", s.testRepeat)
	t.Run("order", s.testOrder)
	t.Run("mark", s.testMark)
	t.Run("group", s.testGroup)
	t.Run("span", s.testSpan)
	t.Run("read", s.testRead)
	t.Run("stamps", s.testStamps)
	t.Run("find", s.testFind)
	t.Run("unread", s.testUnread)
	t.Run("list", s.testList)
	t.Run("close", s.testClose)
	t.Run("concurrent", s.testConcurrent)
	t.Run("random", s.testRandom)
}

// patience is how long an answer may take before the test gives up on it.
const patience = 30 * time.Second

// handle is a store with which a test can talk as if it were synchronous.
type handle struct {
	service.Store
	t       testing.TB
	subject Subject
	dir     string
}

// open opens a new store, which is closed and checked when the test ends.
func (s Subject) open(t testing.TB) *handle {
	t.Helper()
	h := &handle{t: t, subject: s, dir: t.TempDir()}
	h.start()
	t.Cleanup(h.stop)
	return h
}

func (h *handle) start() {
	h.t.Helper()
	store, err := h.subject.Open(h.dir)
	if err != nil {
		h.t.Fatalf("open the store: %v", err)
	}
	h.Store = store
}

// stop closes the store, unless it is, and checks its files.
func (h *handle) stop() {
	h.t.Helper()
	if h.Store == nil {
		return
	}
	err := h.Close()
	h.Store = nil
	if err != nil {
		h.t.Fatalf("close the store: %v", err)
	}
	if h.subject.Check != nil {
		if err := h.subject.Check(h.dir); err != nil {
			h.t.Fatalf("check the files: %v", err)
		}
	}
}

func (h *handle) reopen() {
	h.t.Helper()
	h.stop()
	h.start()
}

// reopened runs the same test before and after reopening the store.
func (h *handle) reopened(test func(t *testing.T)) {
	h.run("at once", test)
	h.reopen()
	h.run("reopened", test)
}

// run runs a part of the test under a name of its own.
func (h *handle) run(name string, test func(t *testing.T)) {
	whole := h.t.(*testing.T)
	defer func() { h.t = whole }()
	whole.Run(name, func(t *testing.T) {
		h.t = t
		test(t)
	})
}

// answer is what came back for one operation.
type answer[T any] struct {
	value T
	err   error
}

// answers collects what comes back for several operations, in the order they were submitted.
type answers[T any] struct {
	t    testing.TB
	wait sync.WaitGroup

	mu    sync.Mutex
	all   []answer[T] // guarded by mu
	given []bool      // guarded by mu
	order []int       // guarded by mu: which came first
}

// next is the Done of one more operation.
func (a *answers[T]) next() func(T, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := len(a.all)
	a.all, a.given = append(a.all, answer[T]{}), append(a.given, false)
	a.wait.Add(1)
	return func(value T, err error) {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.given[i] {
			a.t.Errorf("Done of operation %d ran twice", i)
			return
		}
		a.all[i], a.given[i] = answer[T]{value, err}, true
		a.order = append(a.order, i)
		a.wait.Done()
	}
}

// get waits for all answers.
func (a *answers[T]) get() []answer[T] {
	a.t.Helper()
	within(a.t, "an answer", a.wait.Wait)
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.all
}

// within fails the test if something takes for ever.
func within(t testing.TB, what string, wait func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		wait()
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("waited %v for %s", patience, what)
	}
}

// send appends messages in one batch and waits for the answers.
func (h *handle) send(ms ...service.Message) []answer[service.Appended] {
	h.t.Helper()
	a := &answers[service.Appended]{t: h.t}
	batch := make([]service.Append, len(ms))
	for i, m := range ms {
		batch[i] = service.Append{Message: m, Done: a.next()}
	}
	h.Append(batch)
	clear(batch) // the store keeps no reference to it
	return a.get()
}

// mustSend appends messages that must all be new.
func (h *handle) mustSend(ms ...service.Message) []service.Entry {
	h.t.Helper()
	var entries []service.Entry
	for i, a := range h.send(ms...) {
		if a.err != nil || a.value.Duplicate {
			h.t.Fatalf("append %q to %x: %v, duplicate %v", ms[i].MsgID, ms[i].Conv, a.err, a.value.Duplicate)
		}
		entries = append(entries, a.value.Entry)
	}
	return entries
}

// mark moves marks in one batch and waits for the answers.
func (h *handle) mark(marks ...service.Mark) []answer[service.Marked] {
	h.t.Helper()
	a := &answers[service.Marked]{t: h.t}
	for i := range marks {
		marks[i].Done = a.next()
	}
	h.Mark(marks)
	return a.get()
}

func (h *handle) mustMark(u service.UserID, c service.ConvID, state service.State, seq service.Seq) service.Marked {
	h.t.Helper()
	a := h.mark(service.Mark{User: u, Conv: c, State: state, Seq: seq})[0]
	if a.err != nil {
		h.t.Fatalf("mark %d of user %d: %v", seq, u, a.err)
	}
	return a.value
}

func (h *handle) change(ch service.GroupChange) (service.GroupChanged, error) {
	h.t.Helper()
	a := &answers[service.GroupChanged]{t: h.t}
	h.ChangeGroup(ch, a.next())
	first := a.get()[0]
	return first.value, first.err
}

func (h *handle) mustChange(ch service.GroupChange) service.GroupChanged {
	h.t.Helper()
	done, err := h.change(ch)
	if err != nil {
		h.t.Fatalf("change %d of group %v: %v", ch.Kind, ch.ID, err)
	}
	return done
}

// newGroup creates a group with the first member as its creator.
func (h *handle) newGroup(id byte, members ...service.UserID) service.Group {
	h.t.Helper()
	return h.mustChange(create(groupID(id), members...)).Group
}

// read gives all entries of a conversation.
func (h *handle) read(c service.ConvID) []service.Entry {
	h.t.Helper()
	entries, err := h.Read(context.Background(), c, 1, 1<<20, 1<<30, service.Forward)
	if err != nil {
		h.t.Fatalf("read %x: %v", c, err)
	}
	return entries
}

func (h *handle) head(c service.ConvID) service.Head {
	h.t.Helper()
	heads, err := h.Heads(context.Background(), []service.ConvID{c})
	if err != nil {
		h.t.Fatalf("head of %x: %v", c, err)
	}
	return heads[0]
}

// wantError fails the test unless err is the expected one.
func wantError(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) || err == nil != (want == nil) {
		t.Errorf("%s: error %v, want %v", what, err, want)
	}
}
