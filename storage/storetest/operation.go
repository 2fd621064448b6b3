package storetest

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/msgserver/msgserver/service"
)

// text is a personal message.
func text(from, to service.UserID, id string) service.Message {
	return service.Message{
		Conv: service.Pair(from, to), From: from, To: to, MsgID: id,
		ContentType: 1, SendDate: "1700000000000", Content: "content of " + id,
	}
}

// texts are n personal messages, numbered from first.
func texts(from, to service.UserID, first, n int) []service.Message {
	ms := make([]service.Message, n)
	for i := range ms {
		ms[i] = text(from, to, fmt.Sprint("m", first+i))
	}
	return ms
}

// groupText is a message to a group.
func groupText(g service.GroupID, from service.UserID, id string) service.Message {
	m := text(from, 0, id)
	m.Conv, m.To = g.Conv(), 0
	return m
}

// groupID is a group id that depends on n alone.
func groupID(n byte) service.GroupID {
	return service.GroupID{1, 0x8b, 0, 0, 0, n, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, n}
}

// create is a change that makes a group with the first member as its creator.
func create(id service.GroupID, members ...service.UserID) service.GroupChange {
	add := slices.Sorted(slices.Values(members))
	return service.GroupChange{
		ID: id, Kind: service.KindGroupCreated, By: members[0],
		Name: fmt.Sprint("group ", id[15]), HeadImage: "image", Creator: members[0], Add: add,
	}
}

// from is a change of a group as it is, made by its creator.
func from(g service.Group, kind service.EntryKind) service.GroupChange {
	return service.GroupChange{
		ID: g.ID, Revision: g.Revision, Kind: kind, By: g.Creator,
		Name: g.Name, HeadImage: g.HeadImage, Creator: g.Creator,
	}
}

func adding(g service.Group, members ...service.UserID) service.GroupChange {
	ch := from(g, service.KindMembersAdded)
	ch.Add = members
	return ch
}

func removing(g service.Group, members ...service.UserID) service.GroupChange {
	ch := from(g, service.KindMembersGone)
	ch.Remove = members
	return ch
}

func dissolving(g service.Group) service.GroupChange { return from(g, service.KindGroupDissolved) }

// same fails the test if two values differ; empty and nil slices are the same.
func same(t testing.TB, what string, want, got any) {
	t.Helper()
	if err := equal(what, want, got, nil); err != nil {
		t.Error(err)
	}
}

// equal is an error if there was one, or if two values differ; empty and nil slices are the same.
func equal(what string, want, got any, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if reflect.DeepEqual(want, got) { // nearly always, and much faster
		return nil
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		return fmt.Errorf("%s differs (-want +got):\n%s", what, diff)
	}
	return nil
}

// dense fails the test unless the seqs are first, first+1, …
func dense(t testing.TB, entries []service.Entry, first service.Seq) {
	t.Helper()
	for i, e := range entries {
		if want := first + service.Seq(i); e.Seq != want {
			t.Fatalf("entry %d has seq %d, want %d", i, e.Seq, want)
		}
	}
}
