package storage

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
)

// fileName is the database within its directory.
const fileName = "msgserver.db"

// boltLock is how long to wait for bbolt's own lock: nobody can have it but a tool that ignores ours.
const boltLock = 100 * time.Millisecond

// openBolt opens the database of a directory, making it first if there is none.
func openBolt(dir string, o Options) (*bbolt.DB, error) {
	path := filepath.Join(dir, fileName)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := createBolt(dir, path); err != nil {
			return nil, fmt.Errorf("create %s: %w", path, err)
		}
	} else if err != nil {
		return nil, err
	}
	if err := checkLength(path); err != nil {
		return nil, err
	}
	b, err := bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout: boltLock, FreelistType: bbolt.FreelistMapType, InitialMmapSize: o.MmapSize, NoStatistics: true,
	})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	b.AllocSize = growBy
	return b, nil
}

// growBy is by how much the file grows, without being written: each time costs a sync.
const growBy = 64 << 20

// createBolt makes the database under another name and renames it when it is whole and synced, so that a crash
// leaves either none or one that is complete.
func createBolt(dir, path string) error {
	temp := path + ".new"
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	b, err := bbolt.Open(temp, 0o600, &bbolt.Options{Timeout: boltLock})
	if err != nil {
		return err
	}
	err = b.Update(func(tx *bbolt.Tx) error {
		for _, name := range buckets {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		var key [16]byte
		rand.Read(key[:])
		if err := tx.Bucket(bucketMeta).Put(metaHashKey, key[:]); err != nil {
			return err
		}
		return errors.Join(putMetaUint(tx, metaFormat, format), putMetaUint(tx, metaIndexed, 1))
	})
	if err := errors.Join(err, b.Sync(), b.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return syncDir(dir)
}

// checkLength refuses a file that is shorter than what it says of itself: reading behind its end through the
// memory map would kill the process.
func checkLength(path string) (err error) {
	b, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: boltLock, ReadOnly: true})
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	return b.View(func(tx *bbolt.Tx) error {
		info, err := os.Stat(path)
		if err == nil && info.Size() < tx.Size() {
			err = fmt.Errorf("%s has %d bytes and should have at least %d: it was cut off, restore a backup: %w",
				path, info.Size(), tx.Size(), errDamaged)
		}
		return err
	})
}

// readMeta checks the format and gives the key of the file's fingerprints.
func readMeta(tx *bbolt.Tx) (hashKey, error) {
	path := tx.DB().Path()
	for _, name := range buckets {
		if tx.Bucket(name) == nil {
			return hashKey{}, fmt.Errorf("%s has no bucket %s: it is not a file of this server", path, name)
		}
	}
	if v := metaUint(tx, metaFormat); v != format {
		return hashKey{}, fmt.Errorf("%s has format %d, this version reads format %d: use the version that wrote it, or a newer one",
			path, v, format)
	}
	key := tx.Bucket(bucketMeta).Get(metaHashKey)
	if len(key) != 16 {
		return hashKey{}, fmt.Errorf("%s has no key for fingerprints: %w", path, errDamaged)
	}
	return hashKey{binary.LittleEndian.Uint64(key), binary.LittleEndian.Uint64(key[8:])}, nil
}
