package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/msgserver/msgserver/bench/result"
	"github.com/msgserver/msgserver/client"
	"github.com/msgserver/msgserver/service"
)

var groupKind = kind{
	Description: Description{
		Name:   "group",
		Models: "groups whose members are all online: a message of one reaches all the others. --members says how many; 10, 100, 1,000 and 10,000 show how fan-out grows",
		Omits:  "groups of which most members are asleep, and the few who write most: the first ten members write, equally often",
	},
	defaults: result.Spec{Users: 100, Members: 100, Rate: 50},
	begins:   kindAck,
	build:    func(r *run) scenario { return &group{messages: messages{run: r}} },
}

// group is users in groups of equal size.
type group struct{ messages }

// writers is how many members of a group write.
const writers = 10

func (g *group) prepare(ctx context.Context) error {
	r := g.run
	all := r.enlist(r.spec.Users, r.spec.Conns)
	var err error
	g.flows, err = r.groups(ctx, all, r.spec.Members, writers)
	return err
}

// groups makes groups of so many users each, and a flow from the first few of each group to the others. All are
// connected then. The creators come first: to all who are there a new group is announced with its whole list of
// members, which for 10,000 is more than a gigabyte.
func (r *run) groups(ctx context.Context, all []*session, members, writers int) ([]*flow, error) {
	users := byUser(all)
	var creators, others []*session
	for i, s := range all {
		if i < len(users) && i%members == 0 {
			creators = append(creators, s)
		} else {
			others = append(others, s)
		}
	}
	if err := r.openAll(ctx, creators); err != nil {
		return nil, err
	}
	flows, err := r.makeGroups(ctx, users, members, writers)
	if err != nil {
		return nil, err
	}
	return flows, r.openAll(ctx, others)
}

func (r *run) makeGroups(ctx context.Context, users [][]*session, members, writers int) ([]*flow, error) {
	var flows []*flow
	for begin := 0; begin+members <= len(users); begin += members {
		group := users[begin : begin+members]
		id, err := r.makeGroup(ctx, group)
		if err != nil {
			return nil, fmt.Errorf("make a group of %d: %w", members, err)
		}
		for i := range min(writers, members) {
			from := group[i][0]
			var readers []*session
			for _, devices := range group {
				for _, s := range devices {
					if s != from {
						readers = append(readers, s)
					}
				}
			}
			flows = append(flows, r.ledger.flow(from, client.Conversation{Group: id}, readers))
		}
	}
	return flows, nil
}

// atOnce is how many members a request names, so that it fits into a frame.
const atOnce = 5000

// makeGroup creates a group of users; the first one is its creator.
func (r *run) makeGroup(ctx context.Context, users [][]*session) (id string, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	ids := make([]service.UserID, 0, len(users))
	for _, devices := range users[1:] {
		ids = append(ids, devices[0].user)
	}
	creator := users[0][0].connection()
	n := min(atOnce, len(ids))
	err = patiently(ctx, func() error {
		id, err = creator.CreateGroup(ctx, "bench", ids[:n])
		return err
	})
	for ids = ids[n:]; err == nil && len(ids) > 0; ids = ids[n:] {
		n = min(atOnce, len(ids))
		err = patiently(ctx, func() error { return creator.AddMembers(ctx, id, ids[:n]) })
	}
	return id, err
}

// patiently tries again while the server is busy: it bounds how many members of all groups may be unwritten. A refused
// change was not made.
func patiently(ctx context.Context, change func() error) error {
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		err := change()
		if code, _ := client.CodeOf(err); err == nil || code != service.Busy || sleep(ctx, wait/2+rand.N(wait)) != nil {
			return err
		}
	}
}
