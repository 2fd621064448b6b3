package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/msgserver/msgserver/service"
)

// testConcurrent reads while others write: what a Done has reported is there at once, and stays.
func (s Subject) testConcurrent(t *testing.T) {
	const writers, readers, convs, rounds = 3, 3, 40, 250
	h := s.open(t)
	world := &world{store: h.Store, lines: make([]line, writers*convs)}
	for i := range world.lines {
		world.lines[i].conv = service.Pair(reader, service.UserID(100+i))
	}
	world.group.Store(h.mustChange(create(groupID(1), reader, 2)).Group.Revision)
	var writing, reading sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 1))
			lines := world.lines[w*convs : (w+1)*convs]
			for round := range rounds {
				world.write(t, rng, lines, 1+rng.IntN(60))
				if round%8 == 0 && w == 0 {
					world.change(t, round)
				}
			}
		})
	}
	var stop atomic.Bool
	reads := make([]int, readers)
	for r := range readers {
		reading.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(r), 2))
			for !stop.Load() && !t.Failed() {
				if err := world.look(rng, &world.lines[rng.IntN(len(world.lines))]); err != nil {
					t.Errorf("reader %d, read %d: %v", r, reads[r], err)
				}
				reads[r]++
			}
		})
	}
	within(t, "the writers", writing.Wait)
	stop.Store(true)
	reading.Wait()
	for r, n := range reads {
		if n < 10 {
			t.Errorf("reader %d has read %d times only", r, n)
		}
	}
	h.reopened(func(t *testing.T) {
		world.store = h.Store
		for i := range world.lines {
			line := &world.lines[i]
			entries := h.read(line.conv)
			dense(t, entries, 1)
			for _, e := range entries {
				if err := line.matches(e); err != nil {
					t.Error(err)
				}
			}
			if n := line.acked.Load(); n != uint64(len(entries)) {
				t.Errorf("%d entries, %d were acknowledged", len(entries), n)
			}
		}
	})
}

// reader is in every conversation of the world.
const reader service.UserID = 1

// world is what several goroutines write and read.
type world struct {
	store service.Store
	lines []line
	group atomic.Uint64 // the newest revision that was acknowledged
}

// line is one conversation. It is written by one goroutine, so what is in it is known.
type line struct {
	conv   service.ConvID
	sent   int           // owned by the writer
	acked  atomic.Uint64 // the newest seq that was acknowledged
	marked atomic.Uint64 // the reader's newest mark that was acknowledged
}

func (l *line) message(n int) service.Message {
	return text(l.conv.Peer(reader), reader, fmt.Sprint("m", n))
}

// matches is an error if the entry is not what was written at its seq.
func (l *line) matches(e service.Entry) error {
	want := service.Entry{Message: l.message(int(e.Seq)), Seq: e.Seq, Kind: service.KindMessage, ServerDate: e.ServerDate}
	return equal(fmt.Sprintf("entry %d of %x", e.Seq, l.conv), want, e, nil)
}

// write appends n messages and moves marks over them, and waits until it is done. Some messages come twice.
func (w *world) write(t *testing.T, rng *rand.Rand, lines []line, n int) {
	var batch []service.Append
	var wait sync.WaitGroup
	touched := map[*line]bool{}
	for range n {
		l := &lines[min(rng.IntN(len(lines)), rng.IntN(len(lines)))]
		if touched[l] = true; l.sent == 0 || rng.IntN(20) > 0 {
			l.sent++
		}
		want := uint64(l.sent)
		wait.Add(1)
		batch = append(batch, service.Append{Message: l.message(l.sent), Done: func(a service.Appended, err error) {
			defer wait.Done()
			if err != nil || uint64(a.Entry.Seq) != want {
				t.Errorf("append %d of %x: seq %d, %v", want, l.conv, a.Entry.Seq, err)
			}
			l.acked.Store(want)
		}})
	}
	w.store.Append(batch)
	var marks []service.Mark
	for l := range touched {
		wait.Add(1)
		marks = append(marks, service.Mark{User: reader, Conv: l.conv, State: service.StateRead, Seq: service.Seq(l.sent),
			Done: func(m service.Marked, err error) {
				defer wait.Done()
				if err != nil {
					t.Errorf("mark in %x: %v", l.conv, err)
				}
				l.marked.Store(uint64(m.After.Read))
			}})
	}
	w.store.Mark(marks)
	within(t, "the answers to a batch", wait.Wait)
}

// change renames the group, and lets user 3 come and go.
func (w *world) change(t *testing.T, round int) {
	g, err := w.store.Group(context.Background(), groupID(1))
	if err != nil {
		t.Errorf("group: %v", err)
		return
	}
	ch := from(g, service.KindGroupUpdated)
	if ch.Name = fmt.Sprint("round ", round); round == 16 {
		ch = adding(g, 3)
	}
	var wait sync.WaitGroup
	wait.Add(1)
	w.store.ChangeGroup(ch, func(done service.GroupChanged, err error) {
		defer wait.Done()
		if err != nil {
			t.Errorf("change: %v", err)
		}
		w.group.Store(done.Group.Revision)
	})
	within(t, "the answer to a change", wait.Wait)
}

// look reads what must be there by now in one of many ways.
func (w *world) look(rng *rand.Rand, l *line) error {
	ctx := context.Background()
	acked, marked, revision := l.acked.Load(), l.marked.Load(), w.group.Load()
	last := service.Seq(acked)
	if last == 0 {
		return nil
	}
	switch rng.IntN(7) {
	case 0:
		heads, err := w.store.Heads(ctx, []service.ConvID{l.conv})
		if err != nil || heads[0].Last < last || heads[0].First != 1 {
			return fmt.Errorf("head of %x: %v after %d were acknowledged, %v", l.conv, heads, last, err)
		}
	case 1:
		from := 1 + service.Seq(rng.Uint64N(acked))
		return l.wantPage(w.store, from, int(last-from)+1, service.Forward, from, last)
	case 2:
		n := 1 + rng.Uint64N(acked)
		return l.wantPage(w.store, last, int(n), service.Backward, last-service.Seq(n)+1, last)
	case 3:
		seq := last - service.Seq(rng.Uint64N(min(acked, 1000)))
		found, err := w.store.Find(ctx, l.conv, fmt.Sprint("m", seq))
		if err != nil || len(found) != 1 || found[0].Seq != seq {
			return fmt.Errorf("found %v for message %d of %x, %v", found, seq, l.conv, err)
		}
	case 4:
		after := rng.Uint64N(acked)
		n, err := w.store.Unread(ctx, reader, l.conv, service.Seq(after), []service.Span{{From: 1, To: last}}, 1<<20)
		return equal(fmt.Sprintf("unread of %d to %d", after+1, acked), int(acked-after), n, err)
	case 5:
		marks, err := w.store.Marks(ctx, reader, []service.ConvID{l.conv})
		if err != nil || uint64(marks[0].Read) < marked || marks[0].Delivered < marks[0].Read {
			return fmt.Errorf("marks %v after %d was acknowledged, %v", marks, marked, err)
		}
		ref, err := w.store.Conversation(ctx, reader, l.conv)
		return equal("conversation", service.ConvRef{Conv: l.conv, Spans: []service.Span{{From: 1, To: service.MaxSeq}}}, ref, err)
	case 6:
		g, err := w.store.Group(ctx, groupID(1))
		if err != nil || g.Revision < revision {
			return fmt.Errorf("revision %d after %d was acknowledged, %v", g.Revision, revision, err)
		}
		refs, _, err := w.store.Conversations(ctx, l.conv.Peer(reader), "", 10)
		if err != nil || len(refs) != 1 || refs[0].Conv != l.conv {
			return fmt.Errorf("conversations of user %d: %v, %v", l.conv.Peer(reader), refs, err)
		}
	}
	return nil
}

// wantPage reads a page that must hold just the entries first to last.
func (l *line) wantPage(store service.Store, from service.Seq, limit int, dir service.Direction, first, last service.Seq) error {
	page, err := store.Read(context.Background(), l.conv, from, limit, 1<<30, dir)
	if err != nil {
		return fmt.Errorf("read %d from %d of %x, direction %d: %w", limit, from, l.conv, dir, err)
	}
	if len(page) != int(last-first)+1 {
		return fmt.Errorf("read %d from %d of %x, direction %d: %d entries", limit, from, l.conv, dir, len(page))
	}
	for i, e := range page {
		if e.Seq != first+service.Seq(i) {
			return fmt.Errorf("read %d from %d of %x, direction %d: entry %d has seq %d", limit, from, l.conv, dir, i, e.Seq)
		}
		if err := l.matches(e); err != nil {
			return err
		}
	}
	return nil
}
