package storage

import (
	"encoding/binary"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/msgserver/msgserver/service"
)

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
