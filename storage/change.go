package storage

import (
	"fmt"

	"github.com/msgserver/msgserver/service"
)

// change decides a change of a group.
func (c *committer) change(r *request) error {
	ch := &r.change.GroupChange
	g, err := c.group(ch.ID)
	switch {
	case err != nil:
		return err
	case ch.Revision == 0 && g != nil:
		return service.ErrConflict
	case ch.Revision == 0:
		g = &groupState{}
	case g == nil || g.dissolved:
		return service.ErrNotFound
	case g.Revision != ch.Revision:
		return service.ErrConflict
	}
	if err := c.checkUsers(ch); err != nil {
		return err
	}
	conv, err := c.conv(ch.ID.Conv(), false)
	if err != nil {
		return err
	}
	gid := c.last + 1
	made := c.made(ch, g)
	next := g.after(made, ch.ID, ch.Kind, gid)
	if ch.Kind == service.KindGroupUpdated {
		made.members = next.Members
	}
	m := service.Message{Conv: ch.ID.Conv(), From: ch.By, MsgID: ch.MsgID}
	p := c.db.hash.posting(gid, conv.last+1, ch.Kind, ch.By, []byte(ch.MsgID))
	grown := appendEntry(c.arena, gid, &m, p.seq, ch.Kind, c.now, made)
	staged := staged{gid: gid, conv: m.Conv, state: conv, posting: p, group: next, change: made}
	if err := c.stage(grown, staged); err != nil {
		return err
	}
	conv.add(p)
	c.groups[ch.ID] = next
	r.change.answer = service.GroupChanged{
		Group: next.Group, Entry: service.Entry{Message: m, Seq: p.seq, Kind: ch.Kind, ServerDate: c.now},
	}
	made.tell(&r.change.answer.Entry)
	return nil
}

// made is the change as it is stored.
func (c *committer) made(ch *service.GroupChange, g *groupState) *change {
	made := &change{
		revision: g.Revision + 1, createDate: g.CreateDate, updateDate: c.now,
		creator: ch.Creator, name: ch.Name, headImage: ch.HeadImage, add: ch.Add, remove: ch.Remove,
	}
	if ch.Revision == 0 {
		made.createDate = c.now
	}
	if ch.Kind == service.KindGroupDissolved {
		made.add, made.remove = nil, g.Members
	}
	return made
}

// checkUsers refuses a change that puts someone into more groups than he may be in.
func (c *committer) checkUsers(ch *service.GroupChange) error {
	if ch.UserLimit <= 0 || len(ch.Add) == 0 {
		return nil
	}
	changes := c.db.recent.memberships()
	tx, err := c.view()
	if err != nil {
		return err
	}
	b, applied := tx.Bucket(bucketUserGroups), appliedIn(tx)
	for _, u := range ch.Add {
		count, err := countGroups(b, u)
		if err != nil {
			return err
		}
		for i := range changes {
			if changes[i].gid > applied {
				count += moved(u, changes[i].joined, changes[i].left)
			}
		}
		for i := range c.staged {
			if made := c.staged[i].change; made != nil {
				count += moved(u, made.add, made.remove)
			}
		}
		if count >= ch.UserLimit {
			return fmt.Errorf("user %d is in %d groups: %w", u, count, service.ErrTooLarge)
		}
	}
	return nil
}

// moved is by how much a change moves the number of u's groups.
func moved(u service.UserID, joined, left []service.UserID) (more int) {
	if contains(joined, u) {
		more++
	}
	if contains(left, u) {
		more--
	}
	return more
}
