package storage

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"

	"go.etcd.io/bbolt"

	"github.com/msgserver/msgserver/service"
)

// groupState is a group as it is after the op with this gid. It is immutable.
type groupState struct {
	service.Group
	dissolved bool
	gid       uint64
}

// after is the group when a change was made to it.
func (g *groupState) after(ch *change, id service.GroupID, kind service.EntryKind, gid uint64) *groupState {
	var members []service.UserID
	if kind != service.KindGroupDissolved {
		members = without(merged(g.Members, ch.add), ch.remove)
	}
	return &groupState{Group: *ch.group(id, members), dissolved: kind == service.KindGroupDissolved, gid: gid}
}

func (g *groupState) weight() int {
	return 256 + len(g.Name) + len(g.HeadImage) + 8*len(g.Members)
}

func (g *groupState) has(u service.UserID) bool { return contains(g.Members, u) }

func contains(sorted []service.UserID, u service.UserID) bool {
	_, found := slices.BinarySearch(sorted, u)
	return found
}

// merged is the sorted set of both; it shares a with the result if b adds nothing.
func merged(a, b []service.UserID) []service.UserID {
	if len(b) == 0 {
		return a
	}
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// without is what a has and b has not, both sorted.
func without(a, b []service.UserID) []service.UserID {
	if len(b) == 0 {
		return a
	}
	rest := make([]service.UserID, 0, len(a))
	for _, u := range a {
		if !contains(b, u) {
			rest = append(rest, u)
		}
	}
	return rest
}

// groupCache keeps groups under a budget of bytes. A change that is not applied is never forgotten: bbolt does
// not have it yet.
type groupCache struct {
	mu        sync.Mutex
	clock     *clock[service.GroupID, *groupState]
	published uint64 // changes: what was read from bbolt before one may be old after it
	applied   uint64 // gid
}

func newGroupCache(budget int) *groupCache {
	return &groupCache{clock: newClock[service.GroupID, *groupState](budget)}
}

// get gives the group if it is here, and what loaded wants to know.
func (c *groupCache) get(id service.GroupID) (g *groupState, published uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if kept := c.clock.get(id); kept != nil {
		g = *kept
	}
	return g, c.published
}

// loaded keeps a group that was read from bbolt, unless something changed since get.
func (c *groupCache) loaded(g *groupState, published uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.published == published {
		c.keep(g)
	}
}

// publish shows a change that is in the journal.
func (c *groupCache) publish(g *groupState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.published++
	c.keep(g)
}

// keep puts a group in; the caller holds mu.
func (c *groupCache) keep(g *groupState) {
	c.clock.put(g.ID, g, g.weight())
	c.clock.evict(func(g **groupState) bool { return (*g).gid > c.applied })
}

// dropTail says that bbolt has every change up to gid.
func (c *groupCache) dropTail(applied uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.applied = applied
}

// A group's record:
//
//	u8 1 | flags u8 (1: dissolved) | revision uv | createDate v | updateDate v | creator uv | name | headImage
const groupVersion = 1

func (g *groupState) record() []byte {
	b := []byte{groupVersion, 0}
	if g.dissolved {
		b[1] = 1
	}
	b = binary.AppendUvarint(b, g.Revision)
	b = binary.AppendVarint(b, g.CreateDate)
	b = binary.AppendVarint(b, g.UpdateDate)
	b = binary.AppendUvarint(b, uint64(g.Creator))
	return appendText(appendText(b, g.Name), g.HeadImage)
}

// loadGroup reads a group with its members; nil if there never was one.
func loadGroup(tx *bbolt.Tx, id service.GroupID) (*groupState, error) {
	record := tx.Bucket(bucketGroups).Get(id[:])
	if record == nil {
		return nil, nil
	}
	s := scan{b: record}
	version, flags := s.byte(), s.byte()
	g := &groupState{dissolved: flags&1 != 0, Group: service.Group{
		ID: id, Revision: s.uvarint(), CreateDate: s.varint(), UpdateDate: s.varint(),
		Creator: service.UserID(s.uvarint()), Name: s.text(), HeadImage: s.text(),
	}}
	if version != groupVersion || s.bad {
		return nil, fmt.Errorf("record of group %s: %w", id, errDamaged)
	}
	cur := tx.Bucket(bucketMembers).Cursor()
	for k, _ := cur.Seek(id[:]); bytes.HasPrefix(k, id[:]); k, _ = cur.Next() {
		g.Members = append(g.Members, service.UserID(seqOfKey(k)))
	}
	g.Members = slices.Clip(g.Members)
	return g, nil
}
