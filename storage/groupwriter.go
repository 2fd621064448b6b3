package storage

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/msgserver/msgserver/service"
)

// groupWriter gathers what the notices of one apply do to groups and their members, and then writes each bucket once, in
// the order of its keys. One after the other in the order of the log, the keys of large groups go into the middle of
// leaves that bbolt splits only at the commit: 200,000 of them took it up to a minute.
type groupWriter struct {
	groups map[service.GroupID]*groupState // as the last notice left them
	moves  []move
	arena  []byte // of the values, which bbolt refers to until the commit

	damaged func(key any, err error)
}

// move is a user who joins or leaves a group.
type move struct {
	user  service.UserID
	group service.GroupID
	seq   service.Seq // of the notice
	joins bool
}

// addNotice takes in what a notice says; a message says nothing.
func (w *groupWriter) addNotice(gid uint64, op []byte) error {
	h, err := parseEntry(gid, op[:len(op)-crcSize])
	if err != nil || !h.kind.Notice() {
		return err
	}
	ch, err := h.groupChange(gid)
	if err != nil {
		return err
	}
	id := service.GroupID(h.conv)
	if w.groups == nil {
		w.groups = map[service.GroupID]*groupState{}
	}
	w.groups[id] = &groupState{Group: *ch.group(id, nil), dissolved: h.kind == service.KindGroupDissolved}
	w.moves = slices.Grow(w.moves, len(ch.add)+len(ch.remove))
	for _, u := range ch.add {
		w.moves = append(w.moves, move{u, id, h.seq, true})
	}
	for _, u := range ch.remove {
		w.moves = append(w.moves, move{u, id, h.seq, false})
	}
	return nil
}

// write writes it all.
func (w *groupWriter) write(tx *bbolt.Tx) error {
	groups := tx.Bucket(bucketGroups)
	for _, id := range slices.SortedFunc(maps.Keys(w.groups), compareGroups) {
		if err := groups.Put(id[:], w.groups[id].record()); err != nil {
			return err
		}
	}
	if len(w.moves) == 0 {
		return nil
	}
	if err := w.writeMembers(tx.Bucket(bucketMembers)); err != nil {
		return err
	}
	return w.writeUsers(tx.Bucket(bucketUserGroups))
}

func compareGroups(a, b service.GroupID) int { return bytes.Compare(a[:], b[:]) }

// writeMembers writes who is in each group. Of somebody who moved more than once the last move counts.
func (w *groupWriter) writeMembers(b *bbolt.Bucket) error {
	slices.SortStableFunc(w.moves, func(a, b move) int {
		return cmp.Or(compareGroups(a.group, b.group), cmp.Compare(a.user, b.user))
	})
	for i := range w.moves {
		m := &w.moves[i]
		if i+1 < len(w.moves) && w.moves[i+1].group == m.group && w.moves[i+1].user == m.user {
			continue
		}
		key := keyOfMember(m.group, m.user)
		var err error
		if m.joins {
			err = b.Put(key[:], nil)
		} else {
			err = b.Delete(key[:])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// writeUsers writes the number of each user's groups, and behind it his spans.
func (w *groupWriter) writeUsers(b *bbolt.Bucket) error {
	slices.SortStableFunc(w.moves, func(a, b move) int {
		return cmp.Or(cmp.Compare(a.user, b.user), compareGroups(a.group, b.group), cmp.Compare(a.seq, b.seq))
	})
	for moves := w.moves; len(moves) > 0; {
		n := leading(moves, func(m move) bool { return m.user == moves[0].user })
		if err := w.writeCount(b, moves[:n]); err != nil {
			return err
		}
		for his := moves[:n]; len(his) > 0; {
			k := leading(his, func(m move) bool { return m.group == his[0].group })
			if err := w.writeSpans(b, his[:k]); err != nil {
				return err
			}
			his = his[k:]
		}
		moves = moves[n:]
	}
	return nil
}

// leading is how many moves at the beginning are alike.
func leading(moves []move, alike func(move) bool) int {
	n := 1
	for n < len(moves) && alike(moves[n]) {
		n++
	}
	return n
}

// writeCount moves the number of one user's groups. Of one that cannot be read it counts what is new.
func (w *groupWriter) writeCount(b *bbolt.Bucket, his []move) error {
	count, err := countGroups(b, his[0].user)
	if err != nil {
		w.damaged(his[0].user, err)
	}
	for _, m := range his {
		if m.joins {
			count++
		} else {
			count--
		}
	}
	start := len(w.arena)
	w.arena = binary.AppendUvarint(w.arena, uint64(max(0, count)))
	return b.Put(keyOfGid(uint64(his[0].user)), w.arena[start:len(w.arena):len(w.arena)])
}

// writeSpans moves one user's spans in one group. If they cannot be read he begins anew: he sees less, never more.
func (w *groupWriter) writeSpans(b *bbolt.Bucket, moves []move) error {
	key := keyOfUser(moves[0].user, moves[0].group)
	spans, err := decodeSpans(b.Get(key[:]))
	if err != nil {
		w.damaged(key, fmt.Errorf("user %d in group %s: %w", moves[0].user, moves[0].group, err))
	}
	for _, m := range moves {
		if m.joins {
			spans = join(spans, m.seq)
		} else {
			spans = leave(spans, m.seq)
		}
	}
	start := len(w.arena)
	w.arena = appendSpans(w.arena, spans)
	return b.Put(key[:], w.arena[start:len(w.arena):len(w.arena)])
}
