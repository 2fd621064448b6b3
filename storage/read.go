package storage

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/msgserver/msgserver/service"
)

// view runs a read of bbolt. What recent has must have been taken before.
func (db *DB) view(ctx context.Context, fn func(*bbolt.Tx) error) error {
	if err := db.readable(ctx); err != nil {
		return err
	}
	err := db.bolt.View(fn)
	if errors.Is(err, bolterrors.ErrDatabaseNotOpen) {
		return service.ErrUnavailable
	}
	return err
}

// readable is nil while reads are answered.
func (db *DB) readable(ctx context.Context) error {
	if db.closes.Load() {
		return service.ErrUnavailable
	}
	return ctx.Err()
}

// fetch makes the entry that was located in a conversation.
func fetch(tx *bbolt.Tx, c service.ConvID, at *located) (service.Entry, error) {
	gid, op := at.gid(), at.op
	if op == nil {
		if op = tx.Bucket(bucketLog).Get(keyOfGid(gid)); op == nil {
			return service.Entry{}, fmt.Errorf("record %d, entry %d of conversation %x, is not in the log: %w", gid, at.seq, c, errDamaged)
		}
	}
	e, err := decodeEntry(gid, op)
	if err == nil && (e.Conv != c || e.Seq != at.seq) {
		err = fmt.Errorf("record %d is not entry %d of conversation %x: %w", gid, at.seq, c, errDamaged)
	}
	return e, err
}

// Read is service.Store's.
func (db *DB) Read(ctx context.Context, c service.ConvID, from service.Seq, limit, maxBytes int, dir service.Direction) ([]service.Entry, error) {
	if limit <= 0 {
		return nil, nil
	}
	w := db.recent.window(c, from, limit, dir)
	var entries []service.Entry
	err := db.view(ctx, func(tx *bbolt.Tx) error {
		page, err := w.page(tx)
		if err != nil {
			return err
		}
		if dir == service.Backward {
			slices.Reverse(page)
		}
		entries = make([]service.Entry, 0, len(page))
		for i := range page {
			if maxBytes <= 0 && i > 0 {
				break
			}
			e, err := fetch(tx, c, &page[i])
			if err != nil {
				return err
			}
			maxBytes -= len(e.Content)
			entries = append(entries, e)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if dir == service.Backward {
		slices.Reverse(entries)
	}
	return entries, nil
}

// Find is service.Store's.
func (db *DB) Find(ctx context.Context, c service.ConvID, msgID string) ([]service.Entry, error) {
	if msgID == "" {
		return nil, nil
	}
	hash := db.hash.msgID([]byte(msgID))
	w := db.recent.window(c, service.MaxSeq, dedupWindow, service.Backward)
	var found []service.Entry
	err := db.view(ctx, func(tx *bbolt.Tx) error {
		page, err := w.page(tx)
		if err != nil {
			return err
		}
		for i := len(page) - 1; i >= 0; i-- {
			if page[i].msgID != hash {
				continue
			}
			e, err := fetch(tx, c, &page[i])
			if err != nil {
				return err
			}
			known := slices.ContainsFunc(found, func(f service.Entry) bool { return f.From == e.From })
			if e.MsgID == msgID && !known {
				found = append(found, e)
			}
		}
		return nil
	})
	return found, err
}

// Heads is service.Store's.
func (db *DB) Heads(ctx context.Context, cs []service.ConvID) ([]service.Head, error) {
	windows := make([]window, len(cs))
	db.recent.mu.RLock()
	for i, c := range cs {
		windows[i] = db.recent.lookAt(c, service.MaxSeq, 1, service.Backward)
	}
	db.recent.mu.RUnlock()
	heads := make([]service.Head, len(cs))
	err := db.view(ctx, func(tx *bbolt.Tx) error {
		for i := range windows {
			heads[i].First = 1
			page, err := windows[i].page(tx)
			if err != nil {
				return err
			}
			if len(page) == 0 {
				continue
			}
			at := page[len(page)-1]
			heads[i].Last = at.seq
			if at.op == nil {
				at.op = tx.Bucket(bucketLog).Get(keyOfGid(at.gid()))
			}
			h, err := unsealEntry(at.gid(), at.op)
			if err != nil {
				return err
			}
			heads[i].Date = h.date
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return heads, nil
}

// countChunk is how many postings are looked at together when unread messages are counted.
const countChunk = 1024

// Unread is service.Store's. It counts postings: two users whose hashes are equal, one pair in four billion,
// do not see each other's messages in this number.
func (db *DB) Unread(ctx context.Context, u service.UserID, c service.ConvID, after service.Seq, spans []service.Span, limit int) (int, error) {
	self, count := db.hash.sender(u), 0
	for _, span := range spans {
		from := span.From
		if after >= from {
			from = after + 1
		}
		for after < service.MaxSeq && from <= span.To && count < limit {
			w := db.recent.window(c, from, countChunk, service.Forward)
			var page []located
			err := db.view(ctx, func(tx *bbolt.Tx) (err error) {
				page, err = w.page(tx)
				return err
			})
			if err != nil {
				return 0, err
			}
			for i := range page {
				if page[i].seq <= span.To && !page[i].notice() && page[i].sender != self {
					count++
				}
			}
			if len(page) < countChunk {
				break
			}
			from += countChunk
		}
	}
	return min(count, limit), nil
}
