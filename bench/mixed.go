package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/msgserver/msgserver/bench/result"
	"github.com/msgserver/msgserver/client"
	"github.com/msgserver/msgserver/codec"
)

// DefaultMix is a day in the life: of a hundred things that people do, so many are each of these.
var DefaultMix = []result.Share{
	{Action: "direct", Weight: 60},   // a message to the other one of a pair
	{Action: "group", Weight: 15},    // a message to a group of --members
	{Action: "history", Weight: 10},  // a page of 50 of the conversation with the other one
	{Action: "sessions", Weight: 12}, // the list of conversations, as an app shows it first
	{Action: "reconnect", Weight: 3}, // a device goes, comes back a moment later and fetches what it missed
}

var mixedKind = kind{
	Description: Description{
		Name:   "mixed",
		Models: "a day in the life: everyone has two devices, a partner and a group of --members, confirms what comes, and does what the weights say (--mix FILE; the default is 60 direct, 15 group, 12 sessions, 10 history, 3 reconnect, for which it is the second device that goes and comes back)",
		Omits:  "mornings and evenings: the rate is constant; and the few who are in hundreds of groups",
		Sync:   "of a page of history, of a list of conversations (from when they were due), and of a catch-up (from the bind)",
	},
	defaults: result.Spec{Users: 200, Rate: 1000, Members: 20, Mix: DefaultMix},
	begins:   kindAck,
	build:    func(r *run) scenario { return &mixed{run: r} },
}

// ReadMix reads weights: a JSON object of actions and numbers, {"direct": 60, "group": 15, …}.
func ReadMix(r io.Reader) ([]result.Share, error) {
	var weights map[string]float64
	if err := json.NewDecoder(r).Decode(&weights); err != nil {
		return nil, fmt.Errorf(`weights are a JSON object such as {"direct": 60, "group": 15}: %w`, err)
	}
	var mix []result.Share
	for _, action := range slices.Sorted(maps.Keys(weights)) {
		mix = append(mix, result.Share{Action: action, Weight: weights[action]})
	}
	return mix, checkMix(mix)
}

// maxWeight keeps sums of weights numbers.
const maxWeight = 1e9

func checkMix(mix []result.Share) error {
	var sum float64
	for _, s := range mix {
		known := slices.ContainsFunc(DefaultMix, func(d result.Share) bool { return d.Action == s.Action })
		if !known {
			return fmt.Errorf("there is no action %q: they are direct, group, history, sessions and reconnect", s.Action)
		}
		if !(s.Weight >= 0 && s.Weight <= maxWeight) {
			return fmt.Errorf("the weight of %s is %v: it is within 0 and %g", s.Action, s.Weight, float64(maxWeight))
		}
		sum += s.Weight
	}
	if sum <= 0 {
		return errors.New("no action has a weight")
	}
	return nil
}

// mixed is users with a partner and a group each.
type mixed struct {
	run   *run
	users []*mixedUser
}

// mixedUser is what an action is done by. Its flows are owned by one driver.
type mixedUser struct {
	*session // the first device, which stays
	second   *session
	direct   *flow
	group    *flow
}

func (m *mixed) prepare(ctx context.Context) error {
	r := m.run
	all := r.enlist(r.spec.Users, r.spec.Conns)
	for _, s := range all {
		s.comesBack()
		s.heard = s.confirm
	}
	users := byUser(all)
	groups, err := r.groups(ctx, all, r.spec.Members, r.spec.Members)
	if err != nil {
		return err
	}
	for i, devices := range users {
		m.users = append(m.users, &mixedUser{
			session: devices[0], second: devices[1], direct: r.pair(devices, users[i^1]), group: groups[i],
		})
	}
	return nil
}

func (m *mixed) lanes() int      { return len(m.users) }
func (m *mixed) arrivals() int64 { return unlimited }

func (m *mixed) arrival(driver, drivers int, random *rand.Rand) arrive {
	var mine []*mixedUser
	for i := driver; i < len(m.users); i += drivers {
		mine = append(mine, m.users[i])
	}
	return func(due time.Duration, done func()) bool {
		u := mine[random.IntN(len(mine))]
		switch pick(m.run.spec.Mix, random) {
		case "direct":
			return m.run.send(u.direct, due, done)
		case "group":
			return m.run.send(u.group, due, done)
		case "history":
			return m.run.spawn(func(ctx context.Context) { m.history(ctx, u, due) }, done)
		case "sessions":
			return m.run.spawn(func(ctx context.Context) { m.sessions(ctx, u, due) }, done)
		}
		return m.run.spawn(func(ctx context.Context) { m.reconnect(ctx, u.second, due) }, done)
	}
}

// pick chooses an action by weight.
func pick(mix []result.Share, random *rand.Rand) string {
	var sum float64
	for _, s := range mix {
		sum += s.Weight
	}
	at := random.Float64() * sum
	for _, s := range mix {
		if at -= s.Weight; at < 0 {
			return s.Action
		}
	}
	return mix[len(mix)-1].Action
}

func (m *mixed) history(ctx context.Context, u *mixedUser, due time.Duration) {
	m.count(u, "history", due, func(conn *client.Conn) (int, error) {
		t, err := conn.HistoryPage(ctx, client.HistoryPage{Conversation: u.direct.to, Limit: historyPage})
		if err != nil {
			return 0, err
		}
		if err := dense(t); err != nil {
			m.run.ledger.violation("the newest page of user %d with user %d: %v", u.user, u.direct.to.Peer, err)
		}
		return len(t.Messages), nil
	})
}

func (m *mixed) sessions(ctx context.Context, u *mixedUser, due time.Duration) {
	m.count(u, "sessions", due, func(conn *client.Conn) (int, error) {
		list, err := conn.Sessions(ctx, historyPage, "")
		if err != nil {
			return 0, err
		}
		return len(list.Sessions), nil
	})
}

// count runs a query and counts what became of it.
func (m *mixed) count(u *mixedUser, what string, due time.Duration, query func(*client.Conn) (int, error)) {
	r := m.run
	n, err := query(u.connection())
	if err != nil {
		r.failed(u.session, what, kindSync, due, err)
		r.breathe()
		return
	}
	r.rec.took(u.index, synced, kindSync, due, r.now())
	r.rec.count(u.index, entries, int64(n))
}

// dense checks that a page has every seq between its first and its last.
func dense(t *codec.Timeline) error {
	var last uint64
	for _, item := range t.Messages {
		m, ok := item.Content.(*codec.MessageBody)
		if ok && last > 0 && m.Seq != last+1 {
			return fmt.Errorf("seq %d follows %d", m.Seq, last)
		}
		if ok {
			last = m.Seq
		}
	}
	return nil
}

// away is how long a device is gone.
const away = 200 * time.Millisecond

// reconnect lets the second device go when that is due, and come back. One that is away already goes again when it is back.
func (m *mixed) reconnect(ctx context.Context, s *session, due time.Duration) {
	if !s.turn.TryLock() {
		s.turn.Lock()
		due = m.run.now()
	}
	defer s.turn.Unlock()
	m.run.leave(s)
	if sleep(ctx, due+away-m.run.now()) == nil {
		m.run.comeBack(ctx, s, due+away)
	}
}
