package storage

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// bbolt panics, or makes us read where nothing is mapped, when a page is not what it should be. That is the file's
// fault: it becomes an error that names the file, wherever a transaction runs.

// guarded runs fn, which reads the pages of a file. A panic that is not about the file goes on.
func guarded(path string, fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = damageOf(path, p)
		}
	}()
	return fn()
}

// damageOf makes an error of a panic, if it is about the file. It is called by the function that recovered.
func damageOf(path string, p any) error {
	if _, fault := p.(interface{ Addr() uintptr }); !fault && !ofFile(p) {
		panic(p)
	}
	return fmt.Errorf("%s: a page of it is not what was written (%.200s): restore a backup: %w",
		path, strings.ReplaceAll(fmt.Sprint(p), "\n", " "), errDamaged)
}

// ofFile reports whether the panic that is being recovered began where pages are taken apart: in bbolt, or in a
// key that is too short. A transaction that is used when it is closed is a mistake of ours.
func ofFile(p any) bool {
	if strings.Contains(fmt.Sprint(p), "tx closed") {
		return false
	}
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	panicking := false
	for {
		f, more := frames.Next()
		switch {
		case f.Function == "runtime.gopanic":
			panicking = true
		case !panicking, strings.HasPrefix(f.Function, "runtime."), strings.HasPrefix(f.Function, "encoding/binary."):
		default:
			return strings.HasPrefix(f.Function, "go.etcd.io/bbolt") ||
				strings.HasSuffix(f.Function, "storage.gidOfKey") || strings.HasSuffix(f.Function, "storage.seqOfKey")
		}
		if !more {
			return false
		}
	}
}

// look is bolt.View.
func (db *DB) look(fn func(*bbolt.Tx) error) error {
	return guarded(db.path, func() error { return db.bolt.View(fn) })
}

// decideGuarded is decide, where damage is the answer.
func (c *committer) decideGuarded(r *request) (taken bool) {
	debug.SetPanicOnFault(true) // on the committer's goroutine, which ends with it
	defer func() {
		if p := recover(); p != nil {
			r.refuse(damageOf(c.db.path, p))
			taken = true
		}
	}()
	return c.decide(r)
}

// openGuarded opens a file of bbolt.
func openGuarded(path string, o bbolt.Options) (b *bbolt.DB, err error) {
	info, err := os.Stat(path)
	if err == nil && info.Mode().IsRegular() && info.Size() == 0 {
		return nil, fmt.Errorf("%s is empty: it was cut off, restore a backup: %w", path, errDamaged)
	}
	var f *os.File
	o.OpenFile = func(name string, flag int, mode os.FileMode) (_ *os.File, err error) {
		f, err = os.OpenFile(name, flag, mode)
		return f, err
	}
	err = guarded(path, func() (err error) {
		b, err = bbolt.Open(path, 0o600, &o)
		return err
	})
	switch {
	case err == nil:
		return b, nil
	case b == nil && f != nil:
		f.Close() // after a panic nobody else does
	}
	for _, damage := range []error{bolterrors.ErrInvalid, bolterrors.ErrChecksum, bolterrors.ErrVersionMismatch} {
		if errors.Is(err, damage) {
			return nil, fmt.Errorf("%s is no database, or its first pages are damaged: restore a backup: %w: %w", path, damage, errDamaged)
		}
	}
	if errors.Is(err, bolterrors.ErrTimeout) {
		err = fmt.Errorf("another program has locked it: %w", err)
	}
	return nil, fmt.Errorf("open %s: %w", path, err)
}

// closeBolt closes bbolt. A panic in an update may have left its lock held for ever: then the file stays open until
// the process ends, which it does soon.
func (db *DB) closeBolt() error {
	if db.torn.Load() {
		return nil
	}
	return db.bolt.Close()
}
