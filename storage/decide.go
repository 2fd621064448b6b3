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
	if conv.add(p) {
		c.convs.put(m.Conv, *conv, conv.weight())
	}
	r.seq, r.date = p.seq, c.now
	return nil
}

// first finds the entry that m is a repetition of.
func (c *committer) first(conv *convState, p posting, m *service.Message) (*service.Entry, error) {
	if m.MsgID == "" {
		return nil, nil
	}
	print := fingerprint(p.sender, p.msgID)
	for seq := conv.match(print, p.seq); seq != 0; seq = conv.match(print, seq) {
		e, err := c.entry(m.Conv, seq)
		if errors.Is(err, errExpired) {
			return nil, nil // and so have those before it
		}
		if err != nil {
			return nil, err
		}
		if e.From == m.From && e.MsgID == m.MsgID && e.Kind == service.KindMessage {
			return &e, nil
		}
	}
	return nil, nil
}

func (c *committer) duplicate(r *request, first *service.Entry) error {
	if first.Content != r.message.Content || first.ContentType != r.message.ContentType {
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

// entry reads an entry that is in the batch, in recent or in bbolt.
func (c *committer) entry(id service.ConvID, seq service.Seq) (service.Entry, error) {
	for i := len(c.staged) - 1; i >= 0; i-- {
		if s := &c.staged[i]; s.conv == id && s.posting.seq == seq {
			return decodeEntry(s.gid, s.op)
		}
	}
	w := c.db.recent.window(id, seq, 1, service.Forward)
	tx, err := c.view()
	if err != nil {
		return service.Entry{}, err
	}
	page, err := w.page(tx)
	if err == nil && len(page) != 1 {
		if metaUint(tx, metaRetained) > 0 {
			return service.Entry{}, errExpired
		}
		err = fmt.Errorf("conversation %x has no entry %d: %w", id, seq, errDamaged)
	}
	if err != nil {
		return service.Entry{}, err
	}
	return c.db.fetch(tx, id, &page[0])
}

// conv is the state of a conversation, read if it is not known. Fingerprints are read when a message asks.
func (c *committer) conv(id service.ConvID, prints bool) (*convState, error) {
	s := c.convs.get(id)
	if s != nil && (s.known || !prints) {
		return s, nil
	}
	if s == nil {
		s = &convState{id: id}
	}
	limit := 1
	if prints {
		limit = dedupWindow
	}
	w := c.db.recent.window(id, service.MaxSeq, limit, service.Backward)
	tx, err := c.view()
	if err != nil {
		return nil, err
	}
	indexed := w.end(tx) // also when everything has expired: seqs never begin again
	if prints {
		if c.older, err = w.older(c.older[:0], tx); err != nil {
			return nil, err
		}
		c.print(s, &w)
	}
	s.last = max(s.last, indexed)
	return c.convs.put(id, *s, s.weight()), nil
}

// print makes the fingerprints of a conversation from what the index and recent have of it, and from what is
// staged behind them: only of a conversation that was known before, since none is forgotten within a batch.
func (c *committer) print(s *convState, w *window) {
	staged := s.last
	s.known, s.prints, s.last = true, make([]uint32, 0, len(c.older)+len(w.found)+8), 0
	for _, p := range c.older {
		s.prints = append(s.prints, fingerprint(p.sender, p.msgID))
	}
	for i := range w.found {
		s.prints = append(s.prints, fingerprint(w.found[i].sender, w.found[i].msgID))
	}
	s.last = max(w.last, w.indexed)
	for i := 0; staged > s.last && i < len(c.staged); i++ {
		if st := &c.staged[i]; st.conv == s.id && st.posting.seq > s.last {
			s.add(st.posting)
		}
	}
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
