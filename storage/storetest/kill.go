package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/msgserver/msgserver/service"
)

// RoundsEnv names the environment variable that says how often Kill kills.
const RoundsEnv = "STORETEST_ROUNDS"

const (
	defaultRounds = 25
	dirRounds     = 25                // then a new directory: every look at one reads all of it
	childEnv      = "STORETEST_CHILD" // the directory of the child's store
	childSeedEnv  = "STORETEST_CHILD_SEED"
)

// Kill runs the test binary again as a child that writes to a store, kills it at a random moment and looks at
// what it has left, several times on the same directory. A top-level test must do nothing but call it.
func Kill(t *testing.T, s Subject) {
	if dir := os.Getenv(childEnv); dir != "" {
		s.runChild(t, dir)
		return
	}
	rounds := defaultRounds
	if text := os.Getenv(RoundsEnv); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("%s: %v", RoundsEnv, err)
		}
		rounds = n
	}
	seed := seeds(t, 1)[0]
	rng := rand.New(rand.NewPCG(seed, 0))
	var dir string
	var known *ledger
	entries, acks := 0, 0
	for round := range rounds {
		if round%dirRounds == 0 {
			dir, known = t.TempDir(), newLedger()
		}
		moment := randomMoment(rng)
		err := killChild(t, dir, rng.Uint64(), moment, known)
		// Now and then the next child finds what this one left, without a clean close in between.
		last := round == rounds-1 || (round+1)%dirRounds == 0
		if err == nil && (rng.IntN(3) > 0 || last) {
			err = s.inspect(dir, known, rng)
		}
		if err != nil {
			t.Fatalf("%s=%d, round %d, killed after %v: %v", SeedEnv, seed, round, moment, err)
		}
		if last {
			entries, acks = entries+known.count(), acks+known.acks
		}
	}
	t.Logf("%d kills, %d entries, %d acknowledgements", rounds, entries, acks)
}

// moment is when a child is killed: after so many acknowledgements, or after some time.
type moment struct {
	acks  int
	after time.Duration
}

func (m moment) String() string {
	if m.acks > 0 {
		return fmt.Sprint(m.acks, " acknowledgements")
	}
	return m.after.String()
}

// randomMoment is mostly in the middle of writing, sometimes while the store is being opened.
func randomMoment(rng *rand.Rand) moment {
	if rng.IntN(4) == 0 {
		return moment{after: time.Duration(rng.IntN(40_000)) * time.Microsecond}
	}
	return moment{acks: 1 + rng.IntN(1+rng.IntN(3000))}
}

// killChild starts a child, takes down what it acknowledges, kills it, and waits for its end.
func killChild(t *testing.T, dir string, seed uint64, m moment, l *ledger) error {
	acks, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer acks.Close()
	child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), childEnv+"="+dir, childSeedEnv+"="+strconv.FormatUint(seed, 10))
	child.ExtraFiles = []*os.File{w}
	var output bytes.Buffer
	child.Stdout, child.Stderr = &output, &output
	if err := errors.Join(child.Start(), w.Close()); err != nil {
		return err
	}
	late := m.after
	if m.acks > 0 {
		late = patience // it should come to that many
	}
	timer := time.AfterFunc(late, func() { child.Process.Kill() })
	defer timer.Stop()
	readErr := l.take(acks, func(n int) {
		if n == m.acks {
			child.Process.Kill()
		}
	})
	if readErr != nil {
		child.Process.Kill()
		io.Copy(io.Discard, acks)
	}
	err = child.Wait()
	if child.ProcessState.Exited() {
		return fmt.Errorf("the child ended by itself: %w\n%s", err, output.Bytes())
	}
	return readErr
}

// inspect opens the store and compares it with the ledger.
func (s Subject) inspect(dir string, l *ledger, rng *rand.Rand) error {
	store, err := s.Open(dir)
	if err != nil {
		return fmt.Errorf("open after the kill: %w", err)
	}
	err = errors.Join(l.compare(store, rng), store.Close())
	if err == nil && s.Check != nil {
		err = s.Check(dir)
	}
	return err
}

// compare reads everything there is. It must be consistent in itself, hold everything acknowledged, and nothing
// that nobody has sent. From then on it is all history.
func (l *ledger) compare(store service.Store, rng *rand.Rand) error {
	found := newModel()
	var errs []error
	for _, c := range l.convs() {
		entries, err := store.Read(context.Background(), c, 1, 1<<20, 1<<30, service.Forward)
		if err != nil {
			return err
		}
		errs = append(errs, l.compareTimeline(c, entries), found.replay(store, c, entries))
		marks, err := store.MemberMarks(context.Background(), c, childUserIDs())
		if err != nil {
			return err
		}
		for i, u := range childUserIDs() {
			key := membership{u, c}
			found.marks[key] = marks[i]
			errs = append(errs, l.compareMarks(key, marks[i], service.Seq(len(entries))))
		}
	}
	for id, acked := range l.groups {
		errs = append(errs, compareGroup(acked, found.groups[id], found.dissolved[id]))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for c, entries := range found.timelines { // once more, and it is the same one
		if len(entries) == 0 {
			continue
		}
		e := entries[len(entries)-1-rng.IntN(min(len(entries), 1000))]
		if e.Kind != service.KindMessage {
			continue
		}
		done := make(chan answer[service.Appended], 1)
		store.Append([]service.Append{{Message: e.Message, Done: func(a service.Appended, err error) {
			done <- answer[service.Appended]{a, err}
		}}})
		errs = append(errs, judged(fmt.Sprintf("repeat %d of %x", e.Seq, c), nil, func() error { return found.append(e.Message, <-done) }))
	}
	l.learn(found)
	return errors.Join(errors.Join(errs...), found.verify(store, rng))
}

// replay makes the model from a timeline. What its entries do not say of a group is taken from the store.
func (m *model) replay(store service.Store, c service.ConvID, entries []service.Entry) error {
	id, isGroup := c.Group()
	if !isGroup {
		m.timelines[c] = entries
		return nil
	}
	for _, e := range entries {
		before, next := m.groups[id].Members, m.groups[id]
		switch e.Kind {
		case service.KindMessage:
			m.add(e)
			continue
		case service.KindGroupCreated, service.KindGroupUpdated:
			next = *e.Group
		default:
			next.Members = changedMembers(before, service.GroupChange{Kind: e.Kind, Add: e.Members, Remove: e.Members})
			if e.Kind == service.KindMembersAdded {
				next.Members = changedMembers(before, service.GroupChange{Kind: e.Kind, Add: e.Members})
			}
		}
		m.follow(e, before, next)
	}
	g, alive := m.groups[id]
	now, err := store.Group(context.Background(), id)
	if !alive && errors.Is(err, service.ErrNotFound) {
		return nil
	}
	g.Revision, g.UpdateDate = now.Revision, now.UpdateDate
	m.groups[id] = g
	return equal(fmt.Sprintf("group %v", id), g, now, err)
}
