package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/msgserver/msgserver/service"
)

// SeedEnv names the environment variable with the seed of the random tests; a failed test says which it was.
const SeedEnv = "STORETEST_SEED"

// seeds gives the seed of the environment, or n new ones.
func seeds(t *testing.T, n int) []uint64 {
	if text := os.Getenv(SeedEnv); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", SeedEnv, err)
		}
		return []uint64{seed}
	}
	all := make([]uint64, n)
	for i := range all {
		all[i] = rand.Uint64()
	}
	return all
}

// testRandom does random operations on a store and a model, and compares them, with reopening in between.
func (s Subject) testRandom(t *testing.T) {
	for _, seed := range seeds(t, 5) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			g := &generator{rng: rand.New(rand.NewPCG(seed, 0)), model: newModel()}
			h := s.open(t)
			for step := range 90 {
				size := 1
				if g.rng.IntN(3) > 0 {
					size += g.rng.IntN(60)
				}
				if err := g.burst(h, size); err != nil {
					t.Fatalf("%s=%d, step %d: %v", SeedEnv, seed, step, err)
				}
				if step%15 == 14 {
					if g.rng.IntN(2) == 0 {
						h.reopen()
					}
					if err := g.model.verify(h, g.rng); err != nil {
						t.Fatalf("%s=%d, step %d: %v", SeedEnv, seed, step, err)
					}
				}
			}
			h.reopen()
			if err := g.model.verify(h, g.rng); err != nil {
				t.Fatalf("%s=%d, reopened: %v", SeedEnv, seed, err)
			}
		})
	}
}

// The random world is small, so that everything meets everything.
const (
	randomUsers  = 6
	randomGroups = 5
	// joinBound is how often one user joins one group: no store has to remember any number of spans.
	joinBound = 8
)

// generator makes random operations that are mostly sensible as far as the model knows.
type generator struct {
	rng   *rand.Rand
	model *model
	ids   int // given out to messages
	made  int // groups made
}

// burst submits n operations without waiting, and judges the answers in order of submission.
func (g *generator) burst(h *handle, n int) error {
	appended, marked := &answers[service.Appended]{t: h.t}, &answers[service.Marked]{t: h.t}
	changed := &answers[service.GroupChanged]{t: h.t}
	var judges []func() error
	var appends []service.Append
	var marks []service.Mark
	flush := func() {
		h.Append(appends)
		h.Mark(marks)
		appends, marks = nil, nil
	}
	for i := range n {
		switch kind := g.rng.IntN(20); {
		case kind < 12:
			if len(marks) > 0 || g.rng.IntN(8) == 0 {
				flush()
			}
			m, nth := g.message(), len(appended.all)
			appends = append(appends, service.Append{Message: m, Done: appended.next()})
			judges = append(judges, func() error {
				a := appended.all[nth]
				return judged(fmt.Sprintf("operation %d: append %+v", i, m), a.err, func() error { return g.model.append(m, a) })
			})
		case kind < 17:
			if len(appends) > 0 || g.rng.IntN(8) == 0 {
				flush()
			}
			m, nth := g.mark(), len(marked.all)
			judges = append(judges, func() error {
				a := marked.all[nth]
				return judged(fmt.Sprintf("operation %d: mark %+v", i, m), a.err, func() error { return g.model.mark(m, a) })
			})
			m.Done = marked.next()
			marks = append(marks, m)
		default:
			flush()
			ch, nth := g.change(n == 1), len(changed.all)
			judges = append(judges, func() error {
				a := changed.all[nth]
				return judged(fmt.Sprintf("operation %d: change %+v", i, ch), a.err, func() error { return g.model.change(ch, a) })
			})
			h.ChangeGroup(ch, changed.next())
		}
	}
	flush()
	appended.get()
	marked.get()
	changed.get()
	for _, judge := range judges {
		if err := judge(); err != nil {
			return err
		}
	}
	return nil
}

// judged judges an operation; one that the store was too busy for did not happen.
func judged(what string, err error, judge func() error) error {
	if errors.Is(err, service.ErrBusy) {
		return nil
	}
	if err := judge(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func (g *generator) user() service.UserID { return service.UserID(1 + g.rng.IntN(randomUsers)) }

// conv is a conversation of u, or of a group he may or may not be in.
func (g *generator) conv(u service.UserID) service.ConvID {
	if g.made > 0 && g.rng.IntN(2) == 0 {
		return g.groupID().Conv()
	}
	return service.Pair(u, g.user())
}

// groupID is mostly one of the newest groups.
func (g *generator) groupID() service.GroupID {
	return groupID(byte(1 + max(0, g.made-1-g.rng.IntN(randomGroups))))
}

// message is new, or one that was sent before, with the same content or another.
func (g *generator) message() service.Message {
	u := g.user()
	c := g.conv(u)
	if old := g.model.timelines[c]; len(old) > 0 && g.rng.IntN(6) == 0 {
		if e := old[g.rng.IntN(len(old))]; e.Kind == service.KindMessage {
			m := e.Message
			switch g.rng.IntN(4) {
			case 0:
				m.Content += "!"
			case 1:
				if m.From = u; m.To != 0 {
					m.To = c.Peer(u)
				}
			}
			return m
		}
	}
	g.ids++
	m := service.Message{
		Conv: c, From: u, MsgID: fmt.Sprint("m", g.ids), ContentType: int64(g.rng.IntN(3)),
		SendDate: fmt.Sprint(g.rng.IntN(1000)), Content: strings.Repeat("x", g.rng.IntN(300)),
	}
	if g.rng.IntN(30) == 0 {
		m.Content = strings.Repeat("long", g.rng.IntN(2000))
	}
	if _, isGroup := c.Group(); !isGroup {
		m.To = c.Peer(u)
	}
	return m
}

func (g *generator) mark() service.Mark {
	u := g.user()
	c := g.conv(u)
	return service.Mark{
		User: u, Conv: c, State: service.StateDelivered + service.State(g.rng.IntN(2)),
		Seq: service.Seq(g.rng.Uint64N(uint64(g.model.last(c)) + 4)),
	}
}

// change makes a group, or changes one from the revision the model knows, now and then from another. The order
// of changes of several groups is not promised, so only one that comes alone is limited.
func (g *generator) change(alone bool) service.GroupChange {
	limit := 0
	if alone && g.rng.IntN(2) == 0 {
		limit = 1 + g.rng.IntN(randomGroups)
	}
	group, ok := g.model.groups[g.groupID()]
	if !ok || g.rng.IntN(10) == 0 {
		if g.made < 200 {
			g.made++
		}
		ch := create(groupID(byte(g.made)), g.users(func(service.UserID) bool { return true })...)
		ch.UserLimit = limit
		return ch
	}
	ch := from(group, service.KindGroupUpdated)
	ch.UserLimit = limit
	in := func(u service.UserID) bool { return slices.Contains(group.Members, u) }
	switch kind := g.rng.IntN(10); {
	case kind < 4:
		ch.Kind = service.KindMembersAdded
		ch.Add = g.users(func(u service.UserID) bool {
			return !in(u) && len(g.model.spans[membership{u, group.ID.Conv()}]) < joinBound
		})
	case kind < 7:
		ch.Kind = service.KindMembersGone
		ch.Remove = g.users(func(u service.UserID) bool { return in(u) && u != group.Creator })
	case kind < 8:
		ch.Kind = service.KindGroupDissolved
	case kind < 9:
		ch.Name = fmt.Sprint("name ", g.rng.IntN(100))
	default:
		ch.Creator = group.Members[g.rng.IntN(len(group.Members))]
	}
	if (ch.Kind == service.KindMembersAdded && len(ch.Add) == 0) || (ch.Kind == service.KindMembersGone && len(ch.Remove) == 0) {
		ch.Kind, ch.Name = service.KindGroupUpdated, "nobody to add or remove"
	}
	if g.rng.IntN(10) == 0 {
		ch.Revision += 1000 // never reached by the others of its burst, for which it may make no sense
	}
	return ch
}

// users are some users, sorted; if there are any, at least one.
func (g *generator) users(which func(service.UserID) bool) []service.UserID {
	var all []service.UserID
	for u := service.UserID(1); u <= randomUsers; u++ {
		if which(u) {
			all = append(all, u)
		}
	}
	g.rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	if len(all) > 0 {
		all = all[:1+g.rng.IntN(len(all))]
	}
	slices.Sort(all)
	return all
}
