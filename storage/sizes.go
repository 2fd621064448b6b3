package storage

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/msgserver/msgserver/service"
)

// Sizes says what a database consists of.
type Sizes struct {
	Entries       int64         `json:"entries"`
	Conversations int64         `json:"conversations"`
	Groups        int64         `json:"groups"`
	FileBytes     int64         `json:"fileBytes"`
	FreeBytes     int64         `json:"freeBytes"` // pages in the file that the next writes will use
	BytesPerEntry float64       `json:"bytesPerEntry"`
	Top           []Busy        `json:"top"` // the conversations with the most entries
	Buckets       []BucketBytes `json:"buckets"`
}

// Busy is a conversation with many entries.
type Busy struct {
	Conversation string `json:"conversation"` // "group ID", or "users A and B"
	Entries      uint64 `json:"entries"`      // written so far, expired ones included
}

// BucketBytes is the part of the file that one bucket uses.
type BucketBytes struct {
	Name  string `json:"name"`
	Keys  int    `json:"keys"`
	Bytes int    `json:"bytes"`
}

// topConversations is how many of the busiest conversations Sizes names.
const topConversations = 10

// Measure gives the sizes of the database in a directory that no server uses.
func Measure(dir string, progress Progress) (Sizes, error) {
	if err := settleDir(dir); err != nil {
		return Sizes{}, err
	}
	lock, err := lockDir(dir)
	if err != nil {
		return Sizes{}, offlineError(err, "ask its admin address for /stats")
	}
	path := filepath.Join(dir, fileName)
	b, err := openGuarded(path, bbolt.Options{Timeout: boltLock, ReadOnly: true, PreLoadFreelist: true})
	if err != nil {
		return Sizes{}, errors.Join(err, lock.Close())
	}
	var s Sizes
	err = guarded(path, func() error {
		return b.View(func(tx *bbolt.Tx) (err error) {
			s, err = measure(tx, progress)
			return err
		})
	})
	return s, errors.Join(err, b.Close(), lock.Close())
}

func measure(tx *bbolt.Tx, progress Progress) (Sizes, error) {
	s := Sizes{FileBytes: tx.Size()}
	used := 0
	for i, name := range buckets {
		stats := tx.Bucket(name).Stats()
		bytes := stats.BranchAlloc + stats.LeafAlloc
		used += bytes
		s.Buckets = append(s.Buckets, BucketBytes{Name: string(name), Keys: stats.KeyN, Bytes: bytes})
		if progress != nil {
			progress(int64(i+1), int64(len(buckets)))
		}
	}
	s.FreeBytes = max(0, s.FileBytes-int64(used))
	s.Entries = int64(tx.Bucket(bucketLog).Stats().KeyN)
	s.Groups = int64(tx.Bucket(bucketGroups).Stats().KeyN)
	if s.Entries > 0 {
		s.BytesPerEntry = float64(used) / float64(s.Entries)
	}
	return s, s.countConversations(tx)
}

// countConversations goes over the tails: every conversation has one, once the sweep has come by.
func (s *Sizes) countConversations(tx *bbolt.Tx) error {
	heads := map[service.ConvID]service.Seq{}
	x := indexOf(tx)
	err := x.tails.ForEach(func(k, _ []byte) error {
		if len(k) != len(service.ConvID{}) {
			return fmt.Errorf("tail %x: %w", k, errDamaged)
		}
		heads[service.ConvID(k)] = x.last(service.ConvID(k))
		return nil
	})
	if err != nil {
		return err
	}
	cur := tx.Bucket(bucketLog).Cursor()
	for k, op := cur.Seek(keyOfGid(metaUint(tx, metaIndexed))); k != nil; k, op = cur.Next() {
		h, err := unsealEntry(gidOfKey(k), op)
		if err != nil {
			return err
		}
		heads[h.conv] = max(heads[h.conv], h.seq)
	}
	s.Conversations = int64(len(heads))
	for c, last := range heads {
		s.Top = append(s.Top, Busy{nameOf(c), uint64(last)})
	}
	slices.SortFunc(s.Top, func(a, b Busy) int {
		return cmp.Or(cmp.Compare(b.Entries, a.Entries), cmp.Compare(a.Conversation, b.Conversation))
	})
	s.Top = slices.Clip(s.Top[:min(len(s.Top), topConversations)])
	return nil
}

func nameOf(c service.ConvID) string {
	if g, ok := c.Group(); ok {
		return "group " + g.String()
	}
	lower, higher := c.Users()
	return fmt.Sprintf("users %d and %d", lower, higher)
}
