package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/msgserver/msgserver/service"
)

// testClose closes a store that has something to do, and uses one that is closed.
func (s Subject) testClose(t *testing.T) {
	t.Run("what is queued", func(t *testing.T) {
		h := s.open(t)
		a := &answers[service.Appended]{t: t}
		var batch []service.Append
		for _, m := range texts(1, 2, 0, 500) {
			batch = append(batch, service.Append{Message: m, Done: a.next()})
		}
		h.Append(batch)
		h.reopen()
		for i, one := range a.get() {
			wantError(t, fmt.Sprint("message ", i), one.err, nil)
		}
		if n := len(h.read(service.Pair(1, 2))); n != 500 {
			t.Errorf("%d entries of 500 are there", n)
		}
	})
	t.Run("while writing", s.testCloseWhileWriting)
	t.Run("afterwards", s.testClosed)
}

// testCloseWhileWriting closes the store under several writers: every Done runs, and tells the truth.
func (s Subject) testCloseWhileWriting(t *testing.T) {
	const writers, enough, bound = 4, 50, 5000
	h := s.open(t)
	all := make([]*answers[service.Appended], writers)
	var writing, started sync.WaitGroup
	stop := make(chan struct{})
	started.Add(writers)
	for w := range all {
		all[w] = &answers[service.Appended]{t: t}
		store := h.Store
		writing.Go(func() {
			for i := range bound {
				store.Append([]service.Append{{Message: text(service.UserID(w), 100, fmt.Sprint("m", i)), Done: all[w].next()}})
				if i == enough {
					started.Done()
				}
				if i > enough && isClosed(stop) {
					return
				}
			}
		})
	}
	started.Wait()
	h.stop()
	close(stop)
	writing.Wait()
	h.start()
	for w := range all {
		stored := 0
		for i, a := range all[w].get() {
			if a.err == nil {
				stored++
				if int(a.value.Entry.Seq) != stored || a.value.Entry.MsgID != fmt.Sprint("m", i) {
					t.Errorf("writer %d: message %d is %q with seq %d", w, i, a.value.Entry.MsgID, a.value.Entry.Seq)
				}
			} else if !errors.Is(a.err, service.ErrBusy) {
				wantError(t, fmt.Sprintf("writer %d: message %d", w, i), a.err, service.ErrUnavailable)
			}
		}
		if n := len(h.read(service.Pair(service.UserID(w), 100))); n != stored {
			t.Errorf("writer %d: %d entries, %d were acknowledged", w, n, stored)
		}
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// testClosed calls everything on a closed store.
func (s Subject) testClosed(t *testing.T) {
	h := s.open(t)
	h.mustSend(text(1, 2, "a"))
	g := h.newGroup(1, 1, 2)
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	wantError(t, "append", h.send(text(1, 2, "b"))[0].err, service.ErrUnavailable)
	wantError(t, "mark", h.mark(service.Mark{User: 2, Conv: service.Pair(1, 2), State: service.StateRead, Seq: 1})[0].err, service.ErrUnavailable)
	_, err := h.change(adding(g, 3))
	wantError(t, "change", err, service.ErrUnavailable)
	ctx, c := context.Background(), service.Pair(1, 2)
	for name, read := range map[string]func() error{
		"read":          func() error { _, err := h.Read(ctx, c, 1, 10, 1000, service.Forward); return err },
		"find":          func() error { _, err := h.Find(ctx, c, "a"); return err },
		"heads":         func() error { _, err := h.Heads(ctx, []service.ConvID{c}); return err },
		"unread":        func() error { _, err := h.Unread(ctx, 2, c, 0, []service.Span{{From: 1, To: 9}}, 9); return err },
		"marks":         func() error { _, err := h.Marks(ctx, 2, []service.ConvID{c}); return err },
		"member marks":  func() error { _, err := h.MemberMarks(ctx, c, []service.UserID{1}); return err },
		"group":         func() error { _, err := h.Group(ctx, g.ID); return err },
		"conversation":  func() error { _, err := h.Conversation(ctx, 1, c); return err },
		"conversations": func() error { _, _, err := h.Conversations(ctx, 1, "", 10); return err },
	} {
		wantError(t, name, read(), service.ErrUnavailable)
	}
	if err := h.Close(); err != nil {
		t.Errorf("the second Close: %v", err)
	}
}
