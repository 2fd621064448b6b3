package storetest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/msgserver/msgserver/service"
)

// event is one acknowledgement as a child reports it; one of the three.
type event struct {
	Entry *service.Entry `json:",omitempty"`
	Group *service.Group `json:",omitempty"` // as it is after a change
	Gone  bool           `json:",omitempty"` // the change was its end
	Mark  *markEvent     `json:",omitempty"`
}

type markEvent struct {
	User  service.UserID
	Conv  service.ConvID
	Marks service.Marks
}

// ledger is what children have acknowledged, and what was there when somebody looked.
type ledger struct {
	acks    int
	entries map[service.ConvID]map[service.Seq]service.Entry
	marks   map[membership]service.Marks
	groups  map[service.GroupID]event // the one with the highest revision
}

func newLedger() *ledger {
	return &ledger{
		entries: map[service.ConvID]map[service.Seq]service.Entry{}, marks: map[membership]service.Marks{},
		groups: map[service.GroupID]event{},
	}
}

// take takes down what a child reports until its end, and says after each how many there were.
func (l *ledger) take(r io.Reader, each func(n int)) error {
	dec := json.NewDecoder(r)
	for n := 1; ; n++ {
		var e event
		err := dec.Decode(&e)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) { // the kill may cut a report
			return nil
		}
		if err != nil {
			return fmt.Errorf("report of the child: %w", err)
		}
		if err := l.add(e); err != nil {
			return err
		}
		each(n)
	}
}

func (l *ledger) add(e event) error {
	l.acks++
	if e.Mark != nil {
		l.addMark(membership{e.Mark.User, e.Mark.Conv}, e.Mark.Marks)
	}
	if e.Group != nil && e.Group.Revision >= l.revision(e.Group.ID) {
		l.groups[e.Group.ID] = e
	}
	if e.Entry != nil {
		return l.addEntry(*e.Entry)
	}
	return nil
}

func (l *ledger) revision(id service.GroupID) uint64 {
	if e, ok := l.groups[id]; ok {
		return e.Group.Revision
	}
	return 0
}

func (l *ledger) addMark(key membership, m service.Marks) {
	old := l.marks[key]
	l.marks[key] = service.Marks{Delivered: max(old.Delivered, m.Delivered), Read: max(old.Read, m.Read)}
}

func (l *ledger) addEntry(e service.Entry) error {
	line := l.entries[e.Conv]
	if line == nil {
		line = map[service.Seq]service.Entry{}
		l.entries[e.Conv] = line
	}
	if old, ok := line[e.Seq]; ok {
		return equal(fmt.Sprintf("entry %d of %x, acknowledged twice,", e.Seq, e.Conv), old, e, nil)
	}
	line[e.Seq] = e
	return nil
}

// count is how many entries are known.
func (l *ledger) count() (n int) {
	for _, line := range l.entries {
		n += len(line)
	}
	return n
}

// convs are all conversations that a child may have written to.
func (l *ledger) convs() []service.ConvID {
	all := map[service.ConvID]bool{}
	for _, u := range childUserIDs() {
		for _, v := range childUserIDs() {
			all[service.Pair(u, v)] = true
		}
	}
	for n := byte(1); n <= childGroups; n++ {
		all[groupID(n).Conv()] = true
	}
	return slices.SortedFunc(maps.Keys(all), func(a, b service.ConvID) int { return bytes.Compare(a[:], b[:]) })
}

// compareTimeline compares a conversation with what was acknowledged.
func (l *ledger) compareTimeline(c service.ConvID, entries []service.Entry) error {
	type id struct {
		from service.UserID
		id   string
	}
	seen := map[id]service.Seq{}
	for i, e := range entries {
		if e.Seq != service.Seq(i+1) {
			return fmt.Errorf("entry %d of %x has seq %d", i+1, c, e.Seq)
		}
		if e.Kind != service.KindMessage {
			continue
		}
		if first, again := seen[id{e.From, e.MsgID}]; again {
			return fmt.Errorf("message %q of %x is there as %d and %d", e.MsgID, c, first, e.Seq)
		}
		seen[id{e.From, e.MsgID}] = e.Seq
		if want := childContent(e.MsgID); e.Content != want || e.Conv != c {
			return fmt.Errorf("entry %d of %x is nothing that was sent: %q with %d bytes", e.Seq, c, e.MsgID, len(e.Content))
		}
	}
	var errs []error
	for seq, want := range l.entries[c] {
		if int(seq) > len(entries) {
			errs = append(errs, fmt.Errorf("acknowledged entry %d of %x (%q) is lost: it ends at %d", seq, c, want.MsgID, len(entries)))
			continue
		}
		errs = append(errs, equal(fmt.Sprintf("acknowledged entry %d of %x", seq, c), want, entries[seq-1], nil))
	}
	return errors.Join(errs...)
}

func (l *ledger) compareMarks(key membership, m service.Marks, last service.Seq) error {
	if want := l.marks[key]; m.Delivered < want.Delivered || m.Read < want.Read || m.Read > m.Delivered || m.Delivered > last {
		return fmt.Errorf("marks of user %d in %x are %v, acknowledged were %v, the end is %d", key.user, key.conv, m, want, last)
	}
	return nil
}

// compareGroup compares a group with the newest revision that was acknowledged.
func compareGroup(acked event, found service.Group, dissolved bool) error {
	switch want := *acked.Group; {
	case acked.Gone && !dissolved:
		return fmt.Errorf("group %v was dissolved and is there", want.ID)
	case !acked.Gone && !dissolved && found.Revision < want.Revision:
		return fmt.Errorf("group %v is at revision %d, acknowledged was %d", want.ID, found.Revision, want.Revision)
	case found.Revision == want.Revision:
		return equal(fmt.Sprintf("group %v", want.ID), want, found, nil)
	}
	return nil
}

// learn takes over what was found: what somebody has seen may not go away.
func (l *ledger) learn(found *model) {
	for c, entries := range found.timelines {
		l.entries[c] = map[service.Seq]service.Entry{}
		for _, e := range entries {
			l.entries[c][e.Seq] = e
		}
	}
	for key, m := range found.marks {
		l.addMark(key, m)
	}
	for id, g := range found.groups {
		l.groups[id] = event{Group: &g}
	}
}
