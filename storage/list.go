package storage

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/msgserver/msgserver/service"
)

// group is a group with its members, dissolved or not; nil if there never was one.
func (db *DB) group(id service.GroupID) (*groupState, error) {
	g, published := db.groups.get(id)
	if g != nil {
		return g, nil
	}
	err := db.view(context.Background(), func(tx *bbolt.Tx) (err error) {
		g, err = loadGroup(tx, id)
		return err
	})
	if g != nil {
		db.groups.loaded(g, published)
	}
	return g, err
}

// Group is service.Store's.
func (db *DB) Group(ctx context.Context, id service.GroupID) (service.Group, error) {
	if err := db.readable(ctx); err != nil {
		return service.Group{}, err
	}
	g, err := db.group(id)
	if err != nil {
		return service.Group{}, err
	}
	if g == nil || g.dissolved {
		return service.Group{}, service.ErrNotFound
	}
	return g.Group, nil
}

// Conversation is service.Store's.
func (db *DB) Conversation(ctx context.Context, u service.UserID, c service.ConvID) (service.ConvRef, error) {
	ref := service.ConvRef{Conv: c}
	if id, isGroup := c.Group(); isGroup {
		changes := db.recent.memberships()
		err := db.view(ctx, func(tx *bbolt.Tx) (err error) {
			ref.Spans, err = spansOf(tx, changes, u, id)
			return err
		})
		return ref, err
	}
	if lower, higher := c.Users(); u != lower && u != higher {
		return ref, nil
	}
	heads, err := db.Heads(ctx, []service.ConvID{c})
	if err == nil && heads[0].Last > 0 {
		ref.Spans = always()
	}
	return ref, err
}

// always is the span of a personal conversation.
func always() []service.Span { return []service.Span{{From: 1, To: service.MaxSeq}} }

// Conversations is service.Store's. Personal conversations come first: their ids begin with a zero byte.
func (db *DB) Conversations(ctx context.Context, u service.UserID, after service.Cursor, limit int) ([]service.ConvRef, service.Cursor, error) {
	from, err := afterCursor(after)
	if err != nil || limit <= 0 {
		return nil, "", err
	}
	pending, changes := db.recent.listOf(u)
	var refs []service.ConvRef
	err = db.view(ctx, func(tx *bbolt.Tx) error {
		var joined []service.ConvID
		for _, m := range changes {
			if contains(m.joined, u) {
				joined = append(joined, m.group.Conv())
			}
		}
		for _, id := range listed(tx.Bucket(bucketConvs), u, from, pending, limit+1) {
			refs = append(refs, service.ConvRef{Conv: id, Spans: always()})
		}
		for _, id := range listed(tx.Bucket(bucketUserGroups), u, from, joined, limit+1-len(refs)) {
			spans, err := spansOf(tx, changes, u, service.GroupID(id))
			if err != nil {
				return err
			}
			refs = append(refs, service.ConvRef{Conv: id, Spans: spans})
		}
		return nil
	})
	if err != nil || len(refs) <= limit {
		return refs, "", err
	}
	refs = refs[:limit]
	return refs, service.Cursor(hex.EncodeToString(refs[limit-1].Conv[:])), nil
}

// afterCursor is the id that a page begins behind.
func afterCursor(after service.Cursor) (id service.ConvID, err error) {
	if after == "" {
		return id, nil
	}
	b, err := hex.DecodeString(string(after))
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("cursor %.64q is not one that this store gave", string(after))
	}
	return service.ConvID(b), nil
}

// listOf gives what is pending of u's list, and the changes of groups that are not applied.
func (r *recent) listOf(u service.UserID) ([]service.ConvID, []membership) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	items := r.convs.pending(u)
	ids := make([]service.ConvID, len(items))
	for i, l := range items {
		ids[i] = l.conv
	}
	return ids, r.changes[:len(r.changes):len(r.changes)]
}

// listed gives up to limit ids after one, in order: those under u's keys in a bucket and those in more.
func listed(b *bbolt.Bucket, u service.UserID, after service.ConvID, more []service.ConvID, limit int) []service.ConvID {
	if limit <= 0 {
		return nil
	}
	var ids []service.ConvID
	start := keyOfUser(u, after)
	cur := b.Cursor()
	for k, _ := cur.Seek(start[:]); bytes.HasPrefix(k, start[:8]) && len(ids) < limit; k, _ = cur.Next() {
		if len(k) == len(start) && !bytes.Equal(k, start[:]) {
			ids = append(ids, service.ConvID(k[8:]))
		}
	}
	for _, id := range more {
		if bytes.Compare(id[:], after[:]) > 0 {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b service.ConvID) int { return bytes.Compare(a[:], b[:]) })
	ids = slices.Compact(ids)
	return ids[:min(limit, len(ids))]
}
