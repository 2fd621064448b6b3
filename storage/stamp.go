package storage

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/msgserver/msgserver/service"
)

// Stamps looks at few postings at first and at more when none is what it looks for.
const (
	stampFew  = 8
	stampMany = 1024
)

// Stamps is service.Store's.
func (db *DB) Stamps(ctx context.Context, c service.ConvID, q service.StampQuery) ([]service.Stamp, error) {
	if q.Limit <= 0 {
		return nil, nil
	}
	for {
		stamps, err := db.stamps(ctx, c, q)
		if !errors.Is(err, errExpired) { // what expired is found no more: the next look begins behind it
			return stamps, err
		}
	}
}

func (db *DB) stamps(ctx context.Context, c service.ConvID, q service.StampQuery) ([]service.Stamp, error) {
	if q.Dir == service.Forward && db.retains {
		heads, err := db.Heads(ctx, []service.ConvID{c})
		if err != nil {
			return nil, err
		}
		q.From = max(q.From, heads[0].First)
	}
	window := q.Window
	if window <= 0 {
		window = math.MaxInt
	}
	f := db.filter(c, q)
	for chunk := max(stampFew, min(q.Limit, stampMany)); window > 0 && len(f.stamps) < q.Limit; chunk = min(4*chunk, stampMany) {
		chunk = min(chunk, window)
		window -= chunk
		w := db.recent.window(c, q.From, chunk, q.Dir)
		more := false
		err := db.view(ctx, func(tx *bbolt.Tx) error {
			page, err := w.page(tx)
			if err != nil || len(page) == 0 {
				return err
			}
			more = len(page) == chunk
			if q.From, more = nextPage(page, q.Dir, more); q.Dir == service.Backward {
				page = slices.Clone(page)
				slices.Reverse(page)
			}
			return f.add(tx, page)
		})
		if err != nil || !more {
			return f.stamps, err
		}
	}
	return f.stamps, nil
}

// nextPage is where the page behind this one begins; more is false if there is none.
func nextPage(page []located, dir service.Direction, more bool) (service.Seq, bool) {
	if dir == service.Forward {
		return page[len(page)-1].seq + 1, more
	}
	return page[0].seq - 1, more && page[0].seq > 1
}

// stampFilter chooses entries and stamps them.
type stampFilter struct {
	db      *DB
	conv    service.ConvID
	query   service.StampQuery
	self    uint32
	certain bool // a sender's hash tells who it is: there is one, or two whose hashes differ
	stamps  []service.Stamp
}

func (db *DB) filter(c service.ConvID, q service.StampQuery) *stampFilter {
	f := &stampFilter{db: db, conv: c, query: q, self: db.hash.sender(q.User)}
	if _, group := c.Group(); !group {
		peer := c.Peer(q.User)
		f.certain = peer == q.User || db.hash.sender(peer) != f.self
	}
	return f
}

// add stamps what is wanted of a page, until there is enough.
func (f *stampFilter) add(tx *bbolt.Tx, page []located) error {
	for i := range page {
		at := &page[i]
		if len(f.stamps) == f.query.Limit {
			return nil
		}
		own := f.query.Others && at.sender == f.self
		if f.query.Messages && at.notice() || own && f.certain {
			continue
		}
		stamp, err := f.stamp(tx, at)
		if err != nil {
			return err
		}
		if !f.query.Others || stamp.From != f.query.User {
			f.stamps = append(f.stamps, stamp)
		}
	}
	return nil
}

func (f *stampFilter) stamp(tx *bbolt.Tx, at *located) (service.Stamp, error) {
	op, err := opAt(tx, f.conv, at)
	if err != nil {
		return service.Stamp{}, err
	}
	h, err := unsealEntry(at.gid(), op)
	if err != nil {
		err = fmt.Errorf("entry %d of conversation %x: %w", at.seq, f.conv, err)
		f.db.damaged(at.gid(), err)
		return service.Stamp{}, err
	}
	return service.Stamp{
		Seq: at.seq, From: h.from, Kind: h.kind, Date: h.date, MsgID: string(h.id()), Size: h.content + wireSize*len(h.change),
	}, nil
}

// wireSize is how many bytes a byte of a stored change becomes on the wire at most, about: ids are stored as distances.
const wireSize = 17
