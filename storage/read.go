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
	err := db.look(fn)
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

// errExpired says that an entry expired between the moment it was found and the one it was read.
var errExpired = errors.New("the entry has expired")

// opAt gives the stored bytes of the entry that was located in a conversation.
func opAt(tx *bbolt.Tx, c service.ConvID, at *located) ([]byte, error) {
	if at.op != nil {
		return at.op, nil
	}
	gid := at.gid()
	if op := tx.Bucket(bucketLog).Get(keyOfGid(gid)); op != nil {
		return op, nil
	}
	if gid < metaUint(tx, metaRetained) {
		return nil, errExpired
	}
	return nil, fmt.Errorf("record %d, entry %d of conversation %x, is not in the log: %w", gid, at.seq, c, errDamaged)
}

// fetch makes the entry that was located in a conversation.
func fetch(tx *bbolt.Tx, c service.ConvID, at *located) (service.Entry, error) {
	gid := at.gid()
	op, err := opAt(tx, c, at)
	if err != nil {
		return service.Entry{}, err
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
	for {
		entries, err := db.read(ctx, c, from, limit, maxBytes, dir)
		if !errors.Is(err, errExpired) { // what expired is found no more: the next look begins behind it
			return entries, err
		}
	}
}

func (db *DB) read(ctx context.Context, c service.ConvID, from service.Seq, limit, maxBytes int, dir service.Direction) ([]service.Entry, error) {
	if dir == service.Forward && db.retains {
		heads, err := db.Heads(ctx, []service.ConvID{c})
		if err != nil {
			return nil, err
		}
		from = max(from, heads[0].First)
	}
	w := db.recent.window(c, from, limit, dir)
	var entries []service.Entry
	err := db.view(ctx, func(tx *bbolt.Tx) error {
		page, err := w.page(tx)
		if err != nil {
			return err
		}
		if len(page) > 0 && dir == service.Forward && page[0].seq > max(from, 1) {
			return errExpired
		}
		if dir == service.Backward {
			slices.Reverse(page)
		}
		entries = make([]service.Entry, 0, len(page))
		for i := range page {
			if maxBytes <= 0 && i > 0 {
				break
			}
			e, err := db.fetch(tx, c, &page[i])
			if err != nil {
				return err
			}
			maxBytes -= e.Size()
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

// Find is service.Store's. It looks at the last 1,024 entries: the late table is the committer's, and has no entry without its
// sender.
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
			e, err := db.fetch(tx, c, &page[i])
			if errors.Is(err, errExpired) {
				continue
			}
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
	err := db.view(ctx, func(tx *bbolt.Tx) (err error) {
		for i := range windows {
			if heads[i], err = db.head(tx, &windows[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return heads, nil
}

// head is that of the conversation whose last entry the window looked for. Of one whose entries have all
// expired, or whose last one is damaged, nobody knows the date any more: it is 0.
func (db *DB) head(tx *bbolt.Tx, w *window) (service.Head, error) {
	h := service.Head{First: 1, Last: w.end(tx)}
	retained := metaUint(tx, metaRetained)
	if retained > 0 {
		first, err := indexOf(tx).first(w.conv, retained)
		if err != nil {
			return h, err
		}
		h.First = first
	}
	page, err := w.page(tx)
	if err != nil || len(page) == 0 {
		return h, err
	}
	at := page[len(page)-1]
	if at.op == nil {
		if at.op = tx.Bucket(bucketLog).Get(keyOfGid(at.gid())); at.op == nil && at.gid() < retained {
			h.First = h.Last + 1
			return h, nil
		}
	}
	entry, err := unsealEntry(at.gid(), at.op)
	if err != nil {
		db.damaged(at.gid(), fmt.Errorf("entry %d of conversation %x: %w", at.seq, w.conv, err))
	}
	h.Date = entry.date
	return h, nil
}

// countChunk is how many postings are looked at together when unread messages are counted.
const countChunk = 1024

// Unread is service.Store's. It counts postings: two users whose hashes are equal, one pair in four billion,
// do not see each other's messages in this number.
func (db *DB) Unread(ctx context.Context, u service.UserID, c service.ConvID, after service.Seq, spans []service.Span, limit int) (int, error) {
	self, count := db.hash.sender(u), 0
	first := service.Seq(1)
	if db.retains {
		heads, err := db.Heads(ctx, []service.ConvID{c})
		if err != nil {
			return 0, err
		}
		first = heads[0].First
	}
	for _, span := range spans {
		from := max(span.From, first)
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
