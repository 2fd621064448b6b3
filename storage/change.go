package storage

import (
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
	made := c.made(ch, g)
	if moves := len(made.add) + len(made.remove); !c.db.queue.reweigh(r, weightOf(moves, len(g.Members)-len(made.remove))) {
		return service.ErrBusy
	}
	if err := c.checkUsers(ch); err != nil {
		return err
	}
	conv, err := c.conv(ch.ID.Conv(), true)
	if err != nil {
		return err
	}
	gid := c.last + 1
	next := g.after(made, ch.ID, ch.Kind, gid)
	if ch.Kind == service.KindGroupUpdated {
		made.members = next.Members
	}
	m := service.Message{Conv: ch.ID.Conv(), From: ch.By, MsgID: ch.MsgID}
	p := c.db.hash.posting(gid, conv.last+1, ch.Kind, ch.By, []byte(ch.MsgID))
	c.reserve(entrySize(&m) + changeSize(made))
	grown := appendEntry(c.arena, gid, &m, p.seq, ch.Kind, c.now, made)
	staged := staged{gid: gid, conv: m.Conv, state: conv, posting: p, group: next, change: made, weight: r.weight}
	if err := c.stage(grown, staged); err != nil {
		return err
	}
	c.counts.add(staged.membership())
	c.add(conv, p)
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
