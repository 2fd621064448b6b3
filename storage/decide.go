package storage

import (
	"errors"
	"fmt"

	"github.com/msgserver/msgserver/service"
)

// append decides a message.
func (c *committer) append(r *request) error {
	m := &r.message
	if id, isGroup := m.Conv.Group(); isGroup {
		g, err := c.group(id)
		switch {
		case err != nil:
			return err
		case g == nil || g.dissolved:
			return service.ErrNotFound
		case !g.has(m.From):
			return service.ErrDenied
		}
		r.members = g.Members
		m.To = 0
	} else {
		m.To = m.Conv.Peer(m.From)
	}
	conv, err := c.conv(m.Conv, true)
	if err != nil {
		return err
	}
	gid := c.last + 1
	p := c.db.hash.posting(gid, conv.last+1, service.KindMessage, m.From, []byte(m.MsgID))
	if first, err := c.first(conv, p, m); err != nil {
		return err
	} else if first != nil {
		return c.duplicate(r, first)
	}
	c.reserve(entrySize(m))
	grown := appendEntry(c.arena, gid, m, p.seq, service.KindMessage, c.now, nil)
	if err := c.stage(grown, staged{gid: gid, conv: m.Conv, state: conv, posting: p}); err != nil {
		return err
	}
	c.add(conv, p)
	r.seq, r.date = p.seq, c.now
	return nil
}

// add takes the next entry of a conversation in. What its state forgets goes into the late table.
func (c *committer) add(conv *convState, p posting) {
	if conv.full() {
		c.late.add(conv.hash, conv.first(), conv.prints[:dedupSlack], c.now)
	}
	if conv.add(p) {
		c.convs.put(conv.id, *conv, conv.weight())
	}
}

// first finds the entry that m is a repetition of.
func (c *committer) first(conv *convState, p posting, m *service.Message) (*service.Entry, error) {
	if m.MsgID == "" {
		return nil, nil
	}
	print := p.print()
	for seq := conv.match(print, p.seq); seq != 0; seq = conv.match(print, seq) {
		e, err := c.entry(m.Conv, seq, print)
		if errors.Is(err, errExpired) {
			return nil, nil // and so have those before it
		}
		if err != nil || repeated(e, m) {
			return e, err
		}
	}
	if conv.first() <= 1 {
		return nil, nil
	}
	c.seqs = c.late.find(c.seqs[:0], conv.hash, print, conv.first(), conv.last)
	for _, seq := range c.seqs {
		e, err := c.entry(m.Conv, seq, print)
		if errors.Is(err, errExpired) {
			continue
		}
		if err != nil || repeated(e, m) {
			return e, err
		}
	}
	return nil, nil
}

// repeated reports whether m has the sender and the msgId of e, which may be a notice.
func repeated(e *service.Entry, m *service.Message) bool {
	return e != nil && e.From == m.From && e.MsgID == m.MsgID
}

func (c *committer) duplicate(r *request, first *service.Entry) error {
	if first.Kind.Notice() || first.Content != r.message.Content || first.ContentType != r.message.ContentType {
		return service.ErrConflict
	}
	r.first, r.state = first, service.StateStored
	if r.members == nil {
		m, err := c.marksOf(markKey{first.Conv, first.To})
		if err != nil {
			return err
		}
		r.state = stateOf(m, first.Seq)
	}
	return nil
}

// stateOf is the state of a personal message whose receiver has these marks.
func stateOf(m service.Marks, seq service.Seq) service.State {
	switch {
	case m.Read >= seq:
		return service.StateRead
	case m.Delivered >= seq:
		return service.StateDelivered
	}
	return service.StateStored
}

// entry reads an entry that is in the batch, in recent or in bbolt; nil if its fingerprint is another.
func (c *committer) entry(id service.ConvID, seq service.Seq, print uint32) (*service.Entry, error) {
	for i := len(c.staged) - 1; i >= 0; i-- {
		if s := &c.staged[i]; s.conv == id && s.posting.seq == seq {
			e, err := decodeEntry(s.gid, s.op)
			return &e, err
		}
	}
	w := c.db.recent.window(id, seq, 1, service.Forward)
	tx, err := c.view()
	if err != nil {
		return nil, err
	}
	page, err := w.page(tx)
	if err == nil && len(page) != 1 {
		if metaUint(tx, metaRetained) > 0 {
			return nil, errExpired
		}
		err = fmt.Errorf("conversation %x has no entry %d: %w", id, seq, errDamaged)
	}
	if err != nil || page[0].print() != print {
		return nil, err
	}
	e, err := c.db.fetch(tx, id, &page[0])
	return &e, err
}

// conv is the state of a conversation, read if it is not known. Fingerprints are read when an entry is to come.
func (c *committer) conv(id service.ConvID, prints bool) (*convState, error) {
	s := c.convs.get(id)
	if s != nil && (s.known || !prints) {
		return s, nil
	}
	if s == nil {
		s = &convState{id: id, hash: c.db.hash.sum(id[:])}
	}
	limit := 1
	if prints {
		limit = dedupWindow + dedupSlack // all that were here before, if it was forgotten in between
	}
	w := c.db.recent.window(id, service.MaxSeq, limit, service.Backward)
	tx, err := c.view()
	if err != nil {
		return nil, err
	}
	s.last = w.end(tx) // also when everything has expired: seqs never begin again
	if prints {
		if c.older, err = w.older(c.older[:0], tx); err != nil {
			return nil, err
		}
		if err := c.print(s, &w); err != nil {
			return nil, err
		}
	}
	return c.convs.put(id, *s, s.weight()), nil
}

// print makes the fingerprints of a conversation from what the index and recent have of it. Nothing of it is staged:
// none is forgotten within a batch, and only one with fingerprints takes entries.
func (c *committer) print(s *convState, w *window) error {
	n := len(c.older) + len(w.found)
	s.known, s.prints = true, make([]uint32, 0, min(n+8, dedupWindow+dedupSlack))
	if n == 0 {
		return nil
	}
	for _, p := range c.older {
		s.prints = append(s.prints, p.print())
	}
	for i := range w.found {
		s.prints = append(s.prints, w.found[i].print())
	}
	oldest := c.older
	if len(oldest) == 0 {
		oldest = []posting{w.found[0].posting}
	}
	return c.readBack(s, oldest[0].gid())
}

// mark decides a receipt.
func (c *committer) mark(r *request) error {
	conv, err := c.conv(r.message.Conv, false)
	if err != nil {
		return err
	}
	key := markKey{r.message.Conv, r.message.From}
	if r.before, err = c.marksOf(key); err != nil {
		return err
	}
	seq := min(r.seq, conv.last)
	r.after = r.before
	r.after.Delivered = max(r.after.Delivered, seq)
	if r.state == service.StateRead {
		r.after.Read = max(r.after.Read, seq)
	}
	if r.after == r.before {
		return nil
	}
	gid := c.last + 1
	c.reserve(64)
	grown := appendReceipt(c.arena, gid, key, r.after)
	err = c.stage(grown, staged{gid: gid, conv: key.conv, user: key.user, marks: r.after})
	if err == nil {
		c.marks[key] = r.after
	}
	return err
}

// marksOf are a user's marks as the batch so far leaves them.
func (c *committer) marksOf(k markKey) (service.Marks, error) {
	if m, ok := c.marks[k]; ok {
		return m, nil
	}
	if m, ok := c.db.recent.marksOf(k); ok {
		return m, nil
	}
	tx, err := c.view()
	if err != nil {
		return service.Marks{}, err
	}
	return loadMarks(tx, k)
}

// group is a group as the batch so far leaves it; nil if there never was one.
func (c *committer) group(id service.GroupID) (*groupState, error) {
	if g := c.groups[id]; g != nil {
		return g, nil
	}
	g, published := c.db.groups.get(id)
	if g != nil {
		return g, nil
	}
	tx, err := c.view()
	if err != nil {
		return nil, err
	}
	if g, err = loadGroup(tx, id); g != nil {
		c.db.groups.loaded(g, published)
	}
	return g, err
}
