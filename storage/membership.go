package storage

import (
	"encoding/binary"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/msgserver/msgserver/service"
)

// applyChange writes what a notice did to its group, its members and their spans.
func applyChange(tx *bbolt.Tx, gid uint64, h *header) error {
	ch, err := h.groupChange(gid)
	if err != nil {
		return err
	}
	id := service.GroupID(h.conv)
	g := &groupState{Group: *ch.group(id, nil), dissolved: h.kind == service.KindGroupDissolved}
	if err := tx.Bucket(bucketGroups).Put(id[:], g.record()); err != nil {
		return err
	}
	members, spans := tx.Bucket(bucketMembers), tx.Bucket(bucketUserGroups)
	for _, u := range ch.add {
		key := keyOfMember(id, u)
		if err := members.Put(key[:], nil); err != nil {
			return err
		}
		if err := applySpan(spans, u, id, 1, h.seq, join); err != nil {
			return err
		}
	}
	for _, u := range ch.remove {
		key := keyOfMember(id, u)
		if err := members.Delete(key[:]); err != nil {
			return err
		}
		if err := applySpan(spans, u, id, -1, h.seq, leave); err != nil {
			return err
		}
	}
	return nil
}

// applySpan moves one user's spans and the number of his groups.
func applySpan(b *bbolt.Bucket, u service.UserID, id service.GroupID, more int, seq service.Seq,
	move func([]service.Span, service.Seq) []service.Span) error {
	key := keyOfUser(u, id)
	spans, err := decodeSpans(b.Get(key[:]))
	if err != nil {
		return fmt.Errorf("user %d in group %s: %w", u, id, err)
	}
	if err := b.Put(key[:], appendSpans(nil, move(spans, seq))); err != nil {
		return err
	}
	count, err := countGroups(b, u)
	if err != nil {
		return err
	}
	return b.Put(key[:8], binary.AppendUvarint(nil, uint64(max(0, count+more))))
}

// countGroups is the number of groups that u is in, by the bucket usergroups.
func countGroups(b *bbolt.Bucket, u service.UserID) (int, error) {
	value := b.Get(binary.BigEndian.AppendUint64(nil, uint64(u)))
	if value == nil {
		return 0, nil
	}
	s := scan{b: value}
	count := s.uvarint()
	if s.bad {
		return 0, fmt.Errorf("number of groups of user %d: %w", u, errDamaged)
	}
	return int(count), nil
}

// appliedIn is the gid up to which a transaction shows every op.
func appliedIn(tx *bbolt.Tx) uint64 { return metaUint(tx, metaApplied) }

func metaUint(tx *bbolt.Tx, name []byte) uint64 {
	if v := tx.Bucket(bucketMeta).Get(name); len(v) == 8 {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

func putMetaUint(tx *bbolt.Tx, name []byte, v uint64) error {
	return tx.Bucket(bucketMeta).Put(name, keyOfGid(v))
}

// spansOf are u's spans in a group: those in the transaction, and what was taken from recent before it began.
func spansOf(tx *bbolt.Tx, changes []membership, u service.UserID, id service.GroupID) ([]service.Span, error) {
	key := keyOfUser(u, id)
	spans, err := decodeSpans(tx.Bucket(bucketUserGroups).Get(key[:]))
	if err != nil {
		return nil, fmt.Errorf("user %d in group %s: %w", u, id, err)
	}
	applied := appliedIn(tx)
	for _, m := range changes {
		if m.gid <= applied || m.group != id {
			continue
		}
		if contains(m.joined, u) {
			spans = join(spans, m.seq)
		}
		if contains(m.left, u) {
			spans = leave(spans, m.seq)
		}
	}
	return spans, nil
}
