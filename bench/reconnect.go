package bench

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/msgserver/msgserver/bench/result"
	"github.com/msgserver/msgserver/client"
)

var reconnectStormKind = kind{
	Description: Description{
		Name:   "reconnect-storm",
		Models: "a network that fails for everyone: when the measurement begins all receivers lose their connections, come back spread over --ramp, and fetch what they missed, while messages go on being sent to them",
		Omits:  "senders that are cut off, too, and clients that try again for hours",
		Sync:   "from the bind until everything that was missed is here",
	},
	defaults: result.Spec{Users: 1000, Rate: 1000, Ramp: time.Second},
	begins:   kindAck,
	build:    func(r *run) scenario { return &reconnectStorm{messages: messages{run: r}} },
}

// reconnectStorm is pairs of which the receivers lose their connections at once.
type reconnectStorm struct {
	messages
	receivers []*session
}

func (c *reconnectStorm) prepare(ctx context.Context) error {
	r := c.run
	all := r.enlist(r.spec.Users, r.spec.Users)
	half := len(all) / 2
	c.receivers = all[half : 2*half]
	for _, s := range c.receivers {
		s.comesBack()
	}
	c.flows = r.pairs(all)
	return r.openAll(ctx, all)
}

// measuring is when the network fails.
func (c *reconnectStorm) measuring(ctx context.Context) {
	r := c.run
	for _, s := range c.receivers {
		r.leave(s)
	}
	pacer := Pacer{Rate: float64(len(c.receivers)) / max(r.spec.Ramp, time.Millisecond).Seconds()}
	begin := r.now()
	for n, i := range rand.Perm(len(c.receivers)) {
		due := begin + pacer.Due(int64(n))
		if sleep(ctx, due-r.now()) != nil {
			break
		}
		s := c.receivers[i]
		r.spawn(func(ctx context.Context) { r.comeBack(ctx, s, due) }, nil)
	}
}

// comesBack prepares the session for leaving; before flows are made.
func (s *session) comesBack() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cursors = map[client.Conversation]*cursor{}
}
