package storage

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// lockName is the file whose lock says that a process uses the directory. It holds that process's id.
const lockName = "lock"

// errLocked says that another process uses the directory.
var errLocked = errors.New("stop it, or use another data directory")

// lockDir takes the lock, or says who has it.
func lockDir(dir string) (*os.File, error) {
	path := filepath.Join(dir, lockName)
	if _, err := isFile(path); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = fmt.Errorf("%s is locked by process %s: %w", filepath.Join(dir, fileName), holder(f), errLocked)
		return nil, errors.Join(err, f.Close())
	}
	if err == nil {
		err = sign(f)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), f.Close())
	}
	return f, nil
}

// sign writes this process's id. On a full disk it may be missing: the lock itself needs no space. What is there is
// overwritten before it is cut off, so that its block stays.
func sign(f *os.File) error {
	n, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	if err == nil {
		err = f.Truncate(int64(n))
	}
	if noSpace(err) {
		return nil
	}
	return err
}

// holder is the id of the process that wrote itself into the lock file.
func holder(f *os.File) string {
	b, err := io.ReadAll(io.LimitReader(f, 32))
	if pid, _, _ := strings.Cut(string(b), "\n"); err == nil && pid != "" {
		return pid
	}
	return "(unknown)"
}
