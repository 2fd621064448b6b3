package storage

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// journalFile is a pre-written file of a journal. The tests have one that fails and crashes at will.
type journalFile interface {
	io.ReaderAt
	io.WriterAt
	Name() string
	Size() int64
	Sync() error // the data; the file's size and place never change
	Forget()     // what is synced need not stay in memory
	Close() error
}

var zeros [sectorSize]byte

// diskFile is a journalFile on a disk.
type diskFile struct {
	*os.File
	size int64
}

func (f diskFile) Size() int64 { return f.size }

// Sync makes what was written durable.
func (f diskFile) Sync() error { return fdatasync(f.File) }

// Forget drops the file's clean pages. Those of the last turn lie in memory in large pieces, which the kernel
// counts as written whole when a batch touches a corner of one: in write_bytes of /proc/self/io, in the limits
// for dirty pages and in a control group's budget, four times what goes to the disk.
func (f diskFile) Forget() { forget(f.File) }

// journalNames are the two files, and msgserver.db is the one whose journal they are.
var journalNames = [2]string{"journal-0", "journal-1"}

// openJournalFiles opens both files, making them for a database that never had any. journal-0 gets its turn
// before it has its name, and has its name only after journal-1: so what a crash leaves of the making is either
// nothing, or an empty journal-1, or both.
func openJournalFiles(dir string, size int64, m meta) (files [2]journalFile, err error) {
	size = sectorUp(min(max(size, minJournalSize), maxJournalSize))
	zero, one := filepath.Join(dir, journalNames[0]), filepath.Join(dir, journalNames[1])
	there, err := journalThere(zero, one)
	if err != nil {
		return files, err
	}
	for i, path := range []string{zero, one} {
		if !there[i] && (m.journaled || there[0]) {
			return files, fmt.Errorf("%w: %s is missing: %s", errJournalLost, path, lostAdvice)
		}
	}
	defer func() {
		for _, f := range files {
			if err != nil && f != nil {
				f.Close()
			}
		}
	}()
	if files[1], err = openJournalFile(one, size, turn{}); err != nil {
		return files, err
	}
	used, err := readTurn(files[1])
	if err != nil {
		return files, err
	}
	if used.number > 0 && !there[0] {
		return files, fmt.Errorf("%w: %s is missing: %s", errJournalLost, zero, lostAdvice)
	}
	files[0], err = openJournalFile(zero, size, newTurn(m.id, 1, m.applied, size))
	return files, err
}

// journalThere says which of the files there are.
func journalThere(paths ...string) (there [2]bool, err error) {
	for i, path := range paths {
		if there[i], err = isFile(path); err != nil {
			return there, err
		}
	}
	return there, nil
}

// openJournalFile opens a file, making it with the given header if it is missing.
func openJournalFile(path string, size int64, first turn) (journalFile, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		if err := createJournalFile(path, size, first); err != nil {
			return nil, err
		}
		f, err = os.OpenFile(path, os.O_RDWR, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("open the journal: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the journal: %w", err), f.Close())
	}
	if info.Size() < minJournalSize || info.Size() > maxJournalSize {
		return nil, errors.Join(fmt.Errorf("%w: %s has %d bytes: %s", errJournalDamaged, path, info.Size(), damagedAdvice), f.Close())
	}
	return diskFile{f, info.Size() &^ (sectorSize - 1)}, nil
}

// createJournalFile makes a file that is either not there or complete. It is written, not just allocated: a
// sync of blocks that were never written has to write their metadata too, and takes twice as long.
func createJournalFile(path string, size int64, first turn) (err error) {
	temp := path + ".tmp"
	f, err := os.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("make the journal: %w", err)
	}
	defer func() {
		if err != nil {
			os.Remove(temp)
		}
	}()
	err = errors.Join(fillJournalFile(diskFile{f, size}, first), f.Close())
	if err != nil {
		return fmt.Errorf("make the journal: %w", err)
	}
	if err := os.Rename(temp, path); err != nil {
		return fmt.Errorf("make the journal: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

func fillJournalFile(f diskFile, first turn) error {
	chunk := make([]byte, min(1<<20, f.size))
	for at := int64(0); at < f.size; at += int64(len(chunk)) {
		if _, err := f.WriteAt(chunk[:min(int64(len(chunk)), f.size-at)], at); err != nil {
			return err
		}
	}
	if first.number > 0 {
		if err := writeTurn(f, first); err != nil {
			return err
		}
	}
	return f.File.Sync()
}
