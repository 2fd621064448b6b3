package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/msgserver/msgserver/bench/result"
	"github.com/msgserver/msgserver/client"
	"github.com/msgserver/msgserver/codec"
	"github.com/msgserver/msgserver/service"
)

var offlineDrainKind = kind{
	Description: Description{
		Name:   "offline-drain",
		Models: "users who come back after a while: each has --backlog messages waiting, connects when it is due, and reads and confirms them page by page. It ends when all have",
		Omits:  "long absences: what waits was written just before, so the server still has it in memory",
		Sync:   "from the bind until the last message is here and confirmed",
	},
	defaults: result.Spec{Users: 400, Rate: 50, Backlog: 200},
	begins:   kindConnect,
	build:    func(r *run) scenario { return &offlineDrain{run: r} },
}

// offlineDrain is pairs of which the second halves come when the messages are there.
type offlineDrain struct {
	run     *run
	readers []*session
}

func (o *offlineDrain) prepare(ctx context.Context) error {
	r := o.run
	all := r.enlist(r.spec.Users, r.spec.Users)
	half := len(all) / 2
	flows := r.pairs(all)
	o.readers = all[half : 2*half]
	for _, s := range o.readers {
		s.away, s.absent = true, true // what is pushed is in a page, too
	}
	if err := r.openAll(ctx, all[:half]); err != nil {
		return err
	}
	return r.fill(ctx, flows, r.spec.Backlog)
}

func (o *offlineDrain) lanes() int      { return len(o.readers) }
func (o *offlineDrain) arrivals() int64 { return int64(len(o.readers)) }

func (o *offlineDrain) arrival(driver, drivers int, _ *rand.Rand) arrive {
	next := driver
	return func(due time.Duration, done func()) bool {
		s := o.readers[next]
		next += drivers
		return o.run.spawn(func(ctx context.Context) { o.drain(ctx, s, due) }, done)
	}
}

// drain connects a session and empties what waits for it.
func (o *offlineDrain) drain(ctx context.Context, s *session, due time.Duration) {
	r := o.run
	if err := s.open(ctx, due); err != nil {
		r.failed(s, "connect", kindConnect, due, err)
		return
	}
	bound := r.now()
	for more := true; more; {
		t, err := s.connection().Offline(ctx, pageSize)
		if err == nil {
			r.rec.count(s.index, entries, int64(len(t.Messages)))
			more = t.More
			err = s.drained(ctx, t)
		}
		if err != nil {
			r.failed(s, "offline", kindSync, bound, err)
			return
		}
	}
	s.absence(false)
	r.rec.took(s.index, synced, kindSync, bound, r.now())
}

// drained takes a page and confirms it.
func (s *session) drained(ctx context.Context, t *codec.Timeline) error {
	marks := map[client.Conversation]uint64{}
	s.mu.Lock()
	conn := s.conn
	for _, item := range t.Messages {
		m, ok := item.Content.(*codec.MessageBody)
		if !ok {
			continue
		}
		if _, first := s.take(m, false); first {
			s.run.rec.count(s.index, delivered, 1)
		}
		if r, _ := s.reading(m); r != nil {
			marks[s.conversation(r.flow.from.user, r.flow.to)] = m.Seq
		}
	}
	s.mu.Unlock()
	for v, seq := range marks {
		if err := conn.Confirm(ctx, v, service.StateDelivered, seq); err != nil {
			return err
		}
	}
	return nil
}

// fill sends so many messages of each flow, as fast as they are taken, and waits until all are stored.
func (r *run) fill(ctx context.Context, flows []*flow, count int) error {
	places := make(chan struct{}, fillWindow)
	r.stopped = ctx
	for range count {
		for _, f := range flows {
			select {
			case places <- struct{}{}:
			case <-ctx.Done():
				return ctx.Err()
			}
			r.send(f, r.now(), func() { <-places })
		}
	}
	for range fillWindow {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for _, f := range flows {
		if f.acked != f.sent {
			return fmt.Errorf("%d of %d messages that were to wait were not stored", f.sent-f.acked, f.sent)
		}
	}
	return nil
}

// fillWindow is how many messages are under way while a backlog is made.
const fillWindow = 2000
