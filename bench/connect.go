package bench

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/msgserver/msgserver/bench/result"
)

var connectStormKind = kind{
	Description: Description{
		Name:   "connect-storm",
		Models: "clients that come at a rate, each a new TCP connection with its bind; when --connections are there, the oldest leaves for each new one",
		Omits:  "TLS, tokens and the distance of real clients: a handshake takes no time here. The connections end with a reset",
	},
	defaults: result.Spec{Users: 1000, Rate: 500},
	begins:   kindConnect,
	build:    func(r *run) scenario { return &connectStorm{run: r} },
}

// connectStorm opens connections at a rate.
type connectStorm struct {
	run   *run
	slots []*session
}

func (c *connectStorm) prepare(context.Context) error {
	c.slots = c.run.enlist(c.run.spec.Users, c.run.spec.Conns)
	return nil
}

func (c *connectStorm) lanes() int      { return len(c.slots) }
func (c *connectStorm) arrivals() int64 { return unlimited }

// arrival connects the driver's sessions in turn; the one whose turn it is leaves first if it is there.
func (c *connectStorm) arrival(driver, drivers int, _ *rand.Rand) arrive {
	r, next := c.run, driver
	return func(due time.Duration, done func()) bool {
		s := c.slots[next]
		if next += drivers; next >= len(c.slots) {
			next = driver
		}
		return r.spawn(func(ctx context.Context) {
			s.turn.Lock()
			defer s.turn.Unlock()
			r.leave(s)
			if err := s.open(ctx, due); err != nil {
				r.failed(s, "connect", kindConnect, due, err)
				r.breathe()
			}
		}, done)
	}
}
