package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/msgserver/msgserver/bench/result"
	"github.com/msgserver/msgserver/client"
	"github.com/msgserver/msgserver/codec"
)

var historyKind = kind{
	Description: Description{
		Name:   "history",
		Models: "people who scroll back: pages of 50 from anywhere in conversations of --backlog messages",
		Omits:  "conversations of years: what is read was written by this run and is in the page cache",
		Sync:   "of a page, from when it was due to be asked for",
	},
	defaults: result.Spec{Users: 200, Rate: 500, Backlog: 500},
	begins:   kindSync,
	build:    func(r *run) scenario { return &history{run: r} },
}

// historyPage is how many entries are asked for at once.
const historyPage = 50

// history is pairs with a past.
type history struct {
	run   *run
	flows []*flow
}

func (h *history) prepare(ctx context.Context) error {
	r := h.run
	all := r.enlist(r.spec.Users, r.spec.Users)
	h.flows = r.pairs(all)
	if err := r.openAll(ctx, all); err != nil {
		return err
	}
	return r.fill(ctx, h.flows, r.spec.Backlog)
}

func (h *history) lanes() int      { return len(h.flows) }
func (h *history) arrivals() int64 { return unlimited }

// arrival reads a page behind a random seq, as either of the two.
func (h *history) arrival(_, _ int, random *rand.Rand) arrive {
	return func(due time.Duration, done func()) bool {
		f := h.flows[random.IntN(len(h.flows))]
		after := uint64(random.IntN(h.run.spec.Backlog))
		s, peer := f.from, f.to
		if random.IntN(2) == 1 {
			s, peer = f.readers[0], client.Conversation{Peer: f.from.user}
		}
		return h.run.spawn(func(ctx context.Context) { h.read(ctx, s, f, peer, after, due) }, done)
	}
}

// read asks for a page and checks that it is the right one.
func (h *history) read(ctx context.Context, s *session, f *flow, v client.Conversation, after uint64, due time.Duration) {
	r := h.run
	t, err := r.page(ctx, s, client.HistoryPage{Conversation: v, After: after, HasAfter: true, Limit: historyPage}, due)
	if err != nil {
		r.failed(s, "history", kindSync, due, err)
		r.breathe()
		return
	}
	if err := h.check(f, after, t); err != nil {
		r.ledger.violation("user %d asked for what follows seq %d: %v", s.user, after, err)
	}
}

// check looks for the messages that must be on a page: the conversation has no others than the flow's.
func (h *history) check(f *flow, after uint64, t *codec.Timeline) error {
	if want := min(historyPage, h.run.spec.Backlog-int(after)); len(t.Messages) != want {
		return fmt.Errorf("%d entries instead of %d", len(t.Messages), want)
	}
	for i, item := range t.Messages {
		m, ok := item.Content.(*codec.MessageBody)
		if !ok {
			return fmt.Errorf("%s among the messages", item.LabelName)
		}
		n := int64(after) + int64(i)
		if index, got, ours := h.run.ledger.parse(m.MsgID); !ours || index != f.index || got != n || m.Seq != after+uint64(i)+1 {
			return fmt.Errorf("seq %d is message %q, and not message %d of flow %d", m.Seq, m.MsgID, n, f.index)
		}
		if flaw := f.flaw(n, m, false); flaw != "" {
			return fmt.Errorf("message %q %s", m.MsgID, flaw)
		}
		if _, ok := h.run.stamp(m.ContentStr); !ok {
			return fmt.Errorf("seq %d has other content than it was sent with", m.Seq)
		}
	}
	return nil
}
