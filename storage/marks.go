package storage

import (
	"context"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/msgserver/msgserver/service"
)

// loadMarks are the marks in their table; they count only if recent has none.
func loadMarks(tx *bbolt.Tx, k markKey) (service.Marks, error) {
	key := k.key()
	value := tx.Bucket(bucketMarks).Get(key[:])
	if value == nil {
		return service.Marks{}, nil
	}
	s := scan{b: value}
	m := s.marks()
	if s.bad {
		return m, fmt.Errorf("marks of user %d in conversation %x: %w", k.user, k.conv, errDamaged)
	}
	return m, nil
}

// Marks is service.Store's.
func (db *DB) Marks(ctx context.Context, u service.UserID, cs []service.ConvID) ([]service.Marks, error) {
	return db.marks(ctx, len(cs), func(i int) markKey { return markKey{cs[i], u} })
}

// MemberMarks is service.Store's.
func (db *DB) MemberMarks(ctx context.Context, c service.ConvID, us []service.UserID) ([]service.Marks, error) {
	return db.marks(ctx, len(us), func(i int) markKey { return markKey{c, us[i]} })
}

// marks reads n marks.
func (db *DB) marks(ctx context.Context, n int, key func(int) markKey) ([]service.Marks, error) {
	marks := make([]service.Marks, n)
	missing := db.recent.marksAt(marks, key)
	err := db.view(ctx, func(tx *bbolt.Tx) (err error) {
		for _, i := range missing {
			if marks[i], err = loadMarks(tx, key(i)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return marks, nil
}

// marksAt fills in the marks that are pending and says which are not.
func (r *recent) marksAt(marks []service.Marks, key func(int) markKey) (missing []int) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for i := range marks {
		if items := r.marks.pending(key(i)); len(items) > 0 {
			marks[i] = items[len(items)-1].marks
		} else {
			missing = append(missing, i)
		}
	}
	return missing
}

// marksOf are marks that are pending.
func (r *recent) marksOf(k markKey) (service.Marks, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if items := r.marks.pending(k); len(items) > 0 {
		return items[len(items)-1].marks, true
	}
	return service.Marks{}, false
}
