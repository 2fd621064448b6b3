package service

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"slices"
)

// lastMessageScan is how far back the last message is looked for behind notices.
const lastMessageScan = 64

// Session is one conversation in a user's list.
type Session struct {
	Conv   ConvID
	Seq    Seq // the newest the user may see
	Marks  Marks
	Unread int     // messages of others after Marks.Read, up to MaxUnread
	Last   *Stated // the last message; nil if there is none, or none among the last notices
	Date   int64   // of the newest entry, Unix milliseconds
}

// Sessions lists the caller's conversations, most recent first. after is where the page before ended, "" at
// first; next is "" when there are no more.
func (s *Service) Sessions(ctx context.Context, c Caller, asked Limit, after string) (page []Session, next string, err error) {
	if err := c.verify(); err != nil {
		return nil, "", err
	}
	limit, err := s.pageLimit(asked.N, asked.Set)
	if err != nil {
		return nil, "", err
	}
	from, err := parsePlace(after)
	if err != nil {
		return nil, "", err
	}
	if err := c.Reads.Take(pageCost * s.limits.PageBytes); err != nil {
		return nil, "", err
	}
	recent, more, err := s.recent(ctx, c.User, from, limit)
	if err != nil {
		return nil, "", err
	}
	size := 0
	for i, v := range recent {
		if size >= s.limits.PageBytes {
			recent, more = recent[:i], true
			break
		}
		if there, err := s.refresh(ctx, &v); err != nil {
			return nil, "", err
		} else if !there || !v.present() {
			continue // removed while the list was made
		}
		session, err := s.session(ctx, v)
		if err != nil {
			return nil, "", err
		}
		if session.Last != nil {
			size += session.Last.Size()
		}
		page = append(page, session)
	}
	if more {
		next = placeOf(recent[len(recent)-1]).String()
	}
	return page, next, nil
}

// recent finds the limit conversations that come next in the list after a place.
func (s *Service) recent(ctx context.Context, u UserID, after *place, limit int) (page []view, more bool, err error) {
	order := func(a, b view) int { return placeOf(a).compare(placeOf(b)) }
	for v, err := range s.views(ctx, u) {
		if err != nil {
			return nil, false, err
		}
		if !v.present() || after != nil && placeOf(v).compare(*after) <= 0 {
			continue
		}
		page = append(page, v)
		if len(page) >= 2*limit+64 { // keep no more than can still be of use
			slices.SortFunc(page, order)
			page, more = page[:limit], true
		}
	}
	slices.SortFunc(page, order)
	if len(page) > limit {
		page, more = page[:limit], true
	}
	return page, more, nil
}

func (s *Service) session(ctx context.Context, v view) (Session, error) {
	out := Session{Conv: v.conv, Seq: v.head.Last, Date: v.head.Date, Marks: v.marks}
	var err error
	if out.Unread, err = s.store.Unread(ctx, v.user, v.conv, out.Marks.Read, v.spans, MaxUnread); err != nil {
		return out, err
	}
	stamps, err := s.stamps(ctx, v, StampQuery{From: MaxSeq, Dir: Backward, Limit: 1, Window: lastMessageScan, Messages: true})
	if err != nil || len(stamps) == 0 {
		return out, err
	}
	entries, err := s.read(ctx, v, stamps[0].Seq, 1, s.limits.PageBytes, Backward)
	if err != nil || len(entries) == 0 { // it has expired meanwhile
		return out, err
	}
	stated, err := s.state(ctx, v.conv, entries)
	if err != nil {
		return out, err
	}
	out.Last = &stated[0]
	return out, nil
}

// place is where a conversation stands in the list: by the date of its newest entry, newest first.
type place struct {
	date int64
	conv ConvID
}

func placeOf(v view) place { return place{v.head.Date, v.conv} }

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(q.date, p.date), bytes.Compare(p.conv[:], q.conv[:]))
}

// String is the place as clients carry it: opaque to them.
func (p place) String() string {
	return base64.RawURLEncoding.EncodeToString(append(binary.BigEndian.AppendUint64(nil, uint64(p.date)), p.conv[:]...))
}

func parsePlace(after string) (*place, error) {
	if after == "" {
		return nil, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(after)
	if err != nil || len(b) != 8+16 {
		return nil, Errorf(Invalid, "after is not one that this server gave")
	}
	return &place{int64(binary.BigEndian.Uint64(b)), ConvID(b[8:])}, nil
}
