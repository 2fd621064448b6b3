package storage

import (
	"syscall"
	"time"
)

// spaceEvery is how often the free space is looked at. At 300 MB/s, the fastest the disk of this project's
// measurements writes, the default MinFree is not used up in between.
const spaceEvery = 500 * time.Millisecond

// freeSpace is how many bytes an ordinary user may still write to the file system of dir.
func freeSpace(dir string) (int64, error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return 0, err
	}
	return int64(fs.Bavail) * int64(fs.Bsize), nil
}

// FileSystem names the file system of the database, such as ext4 or tmpfs: what a sync costs, and what it is
// worth, depends on it. It is "" where that is not known.
func (db *DB) FileSystem() string { return fileSystem(db.dir) }

// watchSpace makes the store read-only while there is too little space.
func (db *DB) watchSpace(stop <-chan struct{}) {
	ticker := time.NewTicker(spaceEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			db.checkSpace()
		case <-stop:
			return
		}
	}
}

// checkSpace looks once. To become writable again takes a tenth more than to stay it, so that the store does
// not flap. Space that cannot be asked for does not count against it: the next write will tell.
func (db *DB) checkSpace() {
	if db.options.MinFree < 0 {
		return
	}
	need := db.options.MinFree
	if db.full.Load() {
		need += need / 10
	}
	free, err := db.free(db.dir)
	db.full.Store(err == nil && free < need)
}
