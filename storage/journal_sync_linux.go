package storage

import (
	"errors"
	"os"
	"syscall"
)

// fdatasync syncs a file's data and only the metadata that is needed to find it: none, in a pre-written file.
func fdatasync(f *os.File) error {
	for {
		if err := syscall.Fdatasync(int(f.Fd())); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
