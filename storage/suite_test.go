package storage_test

import (
	"errors"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/msgserver/msgserver/service"
	"github.com/msgserver/msgserver/storage"
	"github.com/msgserver/msgserver/storage/storetest"
)

// tight makes everything happen all the time: journal files fill up and are used in turn, the hand of the index
// comes round, and what was in memory has to be read again. The journal just takes what the suite stores at once.
func tight() storage.Options {
	return storage.Options{
		JournalSize: 160 << 10, PendingPostings: 40, DedupBytes: 64 << 10, GroupBytes: 4 << 10,
		MmapSize: 1 << 20, MinFree: -1,
	}
}

// subject is the store for the suite of all stores.
func subject(o storage.Options) storetest.Subject {
	return storetest.Subject{
		Open:  func(dir string) (service.Store, error) { return storage.Open(dir, o) },
		Check: checkPages,
	}
}

// checkPages is bbolt's own consistency check.
func checkPages(dir string) error {
	bolt, err := bbolt.Open(filepath.Join(dir, "msgserver.db"), 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	err = bolt.View(func(tx *bbolt.Tx) error {
		var found []error
		for err := range tx.Check() {
			found = append(found, err)
		}
		return errors.Join(found...)
	})
	return errors.Join(err, bolt.Close())
}

func TestSuite(t *testing.T)      { storetest.Run(t, subject(small())) }
func TestSuiteTight(t *testing.T) { storetest.Run(t, subject(tight())) }
