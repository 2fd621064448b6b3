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

// openJournalFiles opens both files, making those that are missing. Only a journal that is missing as a whole
// starts with turn 1: journal-0 gets it before it has its name, and has its name only after journal-1.
func openJournalFiles(dir string, size int64) (files [2]journalFile, err error) {
	size = sectorUp(min(max(size, minJournalSize), maxJournalSize))
	defer func() {
		for _, f := range files {
			if err != nil && f != nil {
				f.Close()
			}
		}
	}()
	files[1], err = openJournalFile(filepath.Join(dir, "journal-1"), size, turn{})
	if err != nil {
		return files, err
	}
	used, err := readTurn(files[1])
	if err != nil {
		return files, err
	}
	first := turn{}
	if used.number == 0 {
		first = newTurn(1, 0, size)
	}
	files[0], err = openJournalFile(filepath.Join(dir, "journal-0"), size, first)
	return files, err
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

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync the directory: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync the directory %s: %w", dir, err)
	}
	return nil
}
