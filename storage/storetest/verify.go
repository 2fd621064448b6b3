package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/msgserver/msgserver/service"
)

// verify compares everything that can be read with the model. Pages are cut at random.
func (m *model) verify(store service.Store, rng *rand.Rand) error {
	var errs []error
	for _, c := range m.convs() {
		errs = append(errs, m.verifyTimeline(store, rng, c), m.verifyMarks(store, c))
	}
	for _, u := range m.users() {
		errs = append(errs, m.verifyUser(store, rng, u))
	}
	for id, g := range m.groups {
		got, err := store.Group(context.Background(), id)
		errs = append(errs, equal(fmt.Sprintf("group %v", id), g, got, err))
	}
	for id := range m.dissolved {
		if _, err := store.Group(context.Background(), id); !errors.Is(err, service.ErrNotFound) {
			errs = append(errs, fmt.Errorf("dissolved group %v: %v", id, err))
		}
	}
	return errors.Join(errs...)
}

// verifyTimeline reads a conversation forward, backward and somewhere, and finds one message in it.
func (m *model) verifyTimeline(store service.Store, rng *rand.Rand, c service.ConvID) error {
	ctx, want := context.Background(), m.timelines[c]
	head := service.Head{First: 1, Last: m.last(c)}
	if len(want) > 0 {
		head.Date = want[len(want)-1].ServerDate
	}
	heads, err := store.Heads(ctx, []service.ConvID{c})
	errs := []error{equal(fmt.Sprintf("head of %x", c), []service.Head{head}, heads, err)}
	for from := service.Seq(1); from <= head.Last; {
		limit := 1 + rng.IntN(60)
		end := min(head.Last, from+service.Seq(limit)-1)
		for _, dir := range []service.Direction{service.Forward, service.Backward} {
			start := from
			if dir == service.Backward {
				start = end
			}
			got, err := store.Read(ctx, c, start, int(end-from+1), 1<<30, dir)
			errs = append(errs, equal(fmt.Sprintf("entries %d to %d of %x, direction %d", from, end, c, dir), want[from-1:end], got, err))
		}
		from = end + 1
	}
	if len(want) > 0 {
		// Find looks back over 1,024 entries at least.
		if e := want[len(want)-1-rng.IntN(min(len(want), 1000))]; e.Kind == service.KindMessage {
			found, err := store.Find(ctx, c, e.MsgID)
			errs = append(errs, equal(fmt.Sprintf("message %q of %x", e.MsgID, c), m.find(c, e.MsgID), found, err))
		}
	}
	return errors.Join(errs...)
}

// find gives the messages with this id, newest first. The model has no two of one sender.
func (m *model) find(c service.ConvID, id string) []service.Entry {
	var found []service.Entry
	for _, e := range m.timelines[c] {
		if e.Kind == service.KindMessage && e.MsgID == id {
			found = append([]service.Entry{e}, found...)
		}
	}
	return found
}

func (m *model) verifyMarks(store service.Store, c service.ConvID) error {
	users := m.users()
	want := make([]service.Marks, len(users))
	for i, u := range users {
		want[i] = m.marks[membership{u, c}]
	}
	got, err := store.MemberMarks(context.Background(), c, users)
	return equal(fmt.Sprintf("marks in %x", c), want, got, err)
}

// verifyUser looks at all conversations of a user.
func (m *model) verifyUser(store service.Store, rng *rand.Rand, u service.UserID) error {
	ctx, want := context.Background(), m.refs(u)
	var got []service.ConvRef
	for after, pages := service.Cursor(""), 0; pages <= len(want)+1; pages++ {
		page, next, err := store.Conversations(ctx, u, after, 1+rng.IntN(10))
		if err != nil {
			return fmt.Errorf("conversations of user %d: %w", u, err)
		}
		got = append(got, page...)
		if after = next; next == "" {
			break
		}
	}
	errs := []error{equal(fmt.Sprintf("conversations of user %d", u), want, got, nil)}
	for _, c := range m.convs() {
		ref, err := store.Conversation(ctx, u, c)
		errs = append(errs, equal(fmt.Sprintf("conversation %x of user %d", c, u), m.ref(u, c), ref, err))
		after, limit := service.Seq(rng.Uint64N(uint64(m.last(c))+2)), 1+rng.IntN(200)
		for _, spans := range [][]service.Span{ref.Spans, {{From: 1, To: service.MaxSeq}}} {
			n, err := store.Unread(ctx, u, c, after, spans, limit)
			errs = append(errs, equal(fmt.Sprintf("unread after %d in %x of user %d", after, c, u), m.unread(u, c, after, spans, limit), n, err))
		}
	}
	return errors.Join(errs...)
}
