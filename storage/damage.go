package storage

import (
	"errors"
	"fmt"
	"sync"

	"go.etcd.io/bbolt"

	"github.com/msgserver/msgserver/service"
)

// maxDamage is how many damaged things are remembered, so that each is reported once; what is found beyond is not reported.
const maxDamage = 1000

// damage is what was found that is not what was written. What depends on it gets an error, and the rest goes on.
type damage struct {
	mu   sync.Mutex
	seen map[any]struct{} // gids of records, keys of spans; guarded by mu
}

// damaged counts and reports damage under a key, once.
func (db *DB) damaged(key any, err error) {
	d := &db.damage
	d.mu.Lock()
	_, known := d.seen[key]
	report := !known && len(d.seen) < maxDamage
	if report {
		if d.seen == nil {
			d.seen = map[any]struct{}{}
		}
		d.seen[key] = struct{}{}
	}
	d.mu.Unlock()
	if report {
		db.options.OnDamage(err)
	}
}

func (d *damage) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.seen)
}

// fetch is fetch, with damage named and reported.
func (db *DB) fetch(tx *bbolt.Tx, c service.ConvID, at *located) (service.Entry, error) {
	e, err := fetch(tx, c, at)
	if errors.Is(err, errDamaged) {
		err = fmt.Errorf("entry %d of conversation %x: %w", at.seq, c, err)
		db.damaged(at.gid(), err)
	}
	return e, err
}
