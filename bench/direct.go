package bench

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/msgserver/msgserver/bench/result"
	"github.com/msgserver/msgserver/client"
)

// messages is a load of messages: an arrival is the next message of a flow.
type messages struct {
	run   *run
	flows []*flow
}

func (m *messages) lanes() int      { return len(m.flows) }
func (m *messages) arrivals() int64 { return unlimited }

// arrival sends for the flows of one driver: those of other drivers are not its own.
func (m *messages) arrival(driver, drivers int, random *rand.Rand) arrive {
	var mine []*flow
	for i := driver; i < len(m.flows); i += drivers {
		mine = append(mine, m.flows[i])
	}
	return func(due time.Duration, done func()) bool {
		return m.run.send(mine[random.IntN(len(mine))], due, done)
	}
}

var directKind = kind{
	Description: Description{
		Name:   "direct",
		Models: "pairs of users who are both online: one writes, the other one gets it",
		Omits:  "people who answer, and conversations that were asleep: every conversation is warm",
	},
	defaults: result.Spec{Users: 100, Rate: 1000},
	begins:   kindAck,
	build:    func(r *run) scenario { return &direct{messages: messages{run: r}} },
}

// direct is pairs of users: the first half writes to the second.
type direct struct{ messages }

func (d *direct) prepare(ctx context.Context) error {
	all := d.run.enlist(d.run.spec.Users, d.run.spec.Conns)
	d.flows = d.run.pairs(all)
	return d.run.openAll(ctx, all)
}

// pairs makes a flow from each user of the first half to one of the second.
func (r *run) pairs(all []*session) []*flow {
	devices := byUser(all)
	half := len(devices) / 2
	var flows []*flow
	for i := range half {
		flows = append(flows, r.pair(devices[i], devices[half+i]))
	}
	return flows
}

// pair makes a flow from the first device of a user to another user. All other devices of both read.
func (r *run) pair(from, to []*session) *flow {
	return r.ledger.flow(from[0], client.Conversation{Peer: to[0].user}, slices.Concat(to, from[1:]))
}

// byUser gives the devices of each user.
func byUser(all []*session) [][]*session {
	var users [][]*session
	for _, s := range all {
		i := int(s.user - all[0].user)
		if i == len(users) {
			users = append(users, nil)
		}
		users[i] = append(users[i], s)
	}
	return users
}
