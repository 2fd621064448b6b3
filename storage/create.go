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

// makeBolt makes the database of a directory if there is none. It comes before its journal, so a journal without
// a database had one that is lost.
func makeBolt(dir string) (made bool, err error) {
	path := filepath.Join(dir, fileName)
	if there, err := isFile(path); there || err != nil {
		return false, err
	}
	for _, name := range journalNames {
		journal := filepath.Join(dir, name)
		if there, err := isFile(journal); err != nil {
			return false, err
		} else if there {
			return false, fmt.Errorf("%s is missing, and its journal %s is there: put the database back, restore a backup, "+
				"or move the journal away to begin with an empty database", path, journal)
		}
	}
	if err := createBolt(dir, path); err != nil {
		return false, fmt.Errorf("create %s: %w", path, err)
	}
	return true, nil
}

// openBolt opens the database of a directory.
func openBolt(dir string, o Options) (*bbolt.DB, error) {
	path := filepath.Join(dir, fileName)
	if err := checkLength(path); err != nil {
		return nil, err
	}
	b, err := openGuarded(path, bbolt.Options{
		Timeout: boltLock, FreelistType: bbolt.FreelistMapType, InitialMmapSize: o.MmapSize, NoStatistics: true,
	})
	if err != nil {
		return nil, err
	}
	b.AllocSize = growBy
	return b, nil
}

// growBy is by how much the file grows, without being written: each time costs a sync.
const growBy = 64 << 20

// createBolt makes the database under another name and renames it when it is whole and synced, so that a crash
// leaves either none or one that is complete.
func createBolt(dir, path string) (err error) {
	temp := path + ".new"
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(temp)
		}
	}()
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
		return errors.Join(putID(tx), putMetaUint(tx, metaFormat, format), putMetaUint(tx, metaIndexed, 1))
	})
	if err := errors.Join(err, b.Sync(), b.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return syncDir(dir)
}

// unmake removes what opening has just made and nobody has used, the journal first: without it a database is still
// whole.
func unmake(dir string) error {
	var errs []error
	for _, name := range []string{journalNames[0], journalNames[1], fileName} {
		if err := os.Remove(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, syncDir(dir))...)
}

// putID makes the database another one than all that there are: one that has no journal yet.
func putID(tx *bbolt.Tx) error {
	var id fileID
	rand.Read(id[:])
	b := tx.Bucket(bucketMeta)
	return errors.Join(b.Put(metaID, id[:]), b.Delete(metaJournal))
}

// checkLength refuses a file that is shorter than what it says of itself: reading behind its end through the
// memory map would kill the process.
func checkLength(path string) (err error) {
	b, err := openGuarded(path, bbolt.Options{Timeout: boltLock, ReadOnly: true})
	if err != nil {
		return err
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

// meta is what a database says of itself.
type meta struct {
	id        fileID
	hash      hashKey
	applied   uint64 // gid
	journaled bool   // it has a journal: nothing is acknowledged before it says so
}

// readMeta checks the format.
func readMeta(tx *bbolt.Tx) (meta, error) {
	path := tx.DB().Path()
	for _, name := range buckets {
		if tx.Bucket(name) == nil {
			return meta{}, fmt.Errorf("%s has no bucket %s: it is not a file of this server", path, name)
		}
	}
	if v := metaUint(tx, metaFormat); v != format {
		return meta{}, fmt.Errorf("%s has format %d, this version reads format %d: use the version that wrote it, or a newer one",
			path, v, format)
	}
	key, id := tx.Bucket(bucketMeta).Get(metaHashKey), tx.Bucket(bucketMeta).Get(metaID)
	if len(key) != 16 || len(id) != len(fileID{}) {
		return meta{}, fmt.Errorf("%s has no id, or no key for fingerprints: %w", path, errDamaged)
	}
	return meta{
		id: fileID(id), hash: hashKey{binary.LittleEndian.Uint64(key), binary.LittleEndian.Uint64(key[8:])},
		applied: appliedIn(tx), journaled: metaUint(tx, metaJournal) > 0,
	}, nil
}
