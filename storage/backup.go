package storage

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/klauspost/compress/zstd"
	"go.etcd.io/bbolt"

	"github.com/msgserver/msgserver/service"
)

// A backup is the database file at one moment, compressed:
//
//	"msgserver backup 1\n" | zstd frames of the file | SHA-256 [32] of all that is before it
const backupMagic = "msgserver backup 1\n"

// ErrBackup says that a file is no backup, or not a whole one.
var ErrBackup = errors.New("not a whole backup of this server")

// Progress hears how much of a long work is done, in units that only the ratio of the two says something
// about; total is 0 if it is not known.
type Progress func(done, total int64)

// Backup writes a backup that contains everything that was acknowledged before the call. Writers go on
// meanwhile. Backup fails with ctx, and when the store closes.
func (db *DB) Backup(ctx context.Context, w io.Writer) error {
	if err := db.awaitApplied(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// bbolt cannot close before its readers end, and nothing ends a w that is stuck. So the transaction is on a
	// goroutine of its own, which writes into a pipe, and a pipe can be closed.
	pipe, in := io.Pipe()
	defer context.AfterFunc(ctx, func() { in.CloseWithError(context.Cause(ctx)) })()
	go func() {
		select {
		case <-db.closing:
			cancel(errClosing)
		case <-ctx.Done():
		}
	}()
	read := make(chan struct{})
	go func() {
		defer close(read)
		in.CloseWithError(db.view(ctx, func(tx *bbolt.Tx) error { return writeBackup(in, tx) }))
	}()
	_, err := io.Copy(w, pipe)
	pipe.CloseWithError(err)
	<-read
	return err
}

// errClosing ends what would hold up Close.
var errClosing = errors.New("the store is closing")

// awaitApplied waits until everything that is acknowledged now is in bbolt.
func (db *DB) awaitApplied(ctx context.Context) error {
	_, last := db.recent.gids()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for {
		if err := db.failed(); err != nil {
			return err
		}
		if applied, _ := db.recent.gids(); applied >= last {
			return nil
		}
		if db.stuck.Load() {
			return fmt.Errorf("the disk is full, and so the database lacks what only the journal has: free some space: %w", service.ErrUnavailable)
		}
		db.applier.hurry()
		select {
		case <-poll.C:
		case <-db.closing:
			return errClosing
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func writeBackup(w io.Writer, tx *bbolt.Tx) error {
	sum := sha256.New()
	out := io.MultiWriter(w, sum)
	if _, err := io.WriteString(out, backupMagic); err != nil {
		return err
	}
	z, err := zstd.NewWriter(out, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	_, err = tx.WriteTo(z)
	if err := errors.Join(err, z.Close()); err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	_, err = w.Write(sum.Sum(nil))
	return err
}

// BackupDir writes a backup of a directory that no server uses.
func BackupDir(ctx context.Context, dir string, w io.Writer) error {
	if err := wholePages(dir); err != nil {
		return err
	}
	db, err := Open(dir, Options{MinFree: -1})
	if err != nil {
		return offlineError(err, "run the backup over the admin address of the server")
	}
	return errors.Join(db.Backup(ctx, w), db.Close())
}

// VerifyBackup reads a backup to its end and checks that it is whole. It gives the size of the database.
func VerifyBackup(r io.Reader) (size int64, err error) { return unpackBackup(r, io.Discard) }

// unpackBackup writes the database of a backup to w. What it wrote is right only if there is no error.
func unpackBackup(r io.Reader, w io.Writer) (size int64, err error) {
	magic := make([]byte, len(backupMagic))
	if _, err := io.ReadFull(r, magic); err != nil || string(magic) != backupMagic {
		return 0, fmt.Errorf("it does not begin as a backup does: %w", ErrBackup)
	}
	body := &summedReader{r: r, sum: sha256.New()}
	body.sum.Write(magic)
	z, err := zstd.NewReader(body, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(256<<20))
	if err != nil {
		return 0, err
	}
	defer z.Close()
	size, err = io.Copy(w, z)
	if err != nil {
		return 0, fmt.Errorf("unpack the backup: %w: %w", err, ErrBackup)
	}
	if !body.whole() {
		return 0, fmt.Errorf("its checksum is wrong or missing: %w", ErrBackup)
	}
	return size, nil
}

// summedReader gives everything but the last 32 bytes, and sums up what it gave.
type summedReader struct {
	r    io.Reader
	sum  hash.Hash
	held []byte // up to 32 bytes that may be the checksum
	err  error
}

func (s *summedReader) Read(b []byte) (int, error) {
	for s.err == nil {
		buf := make([]byte, len(b)+sha256.Size)
		n := copy(buf, s.held)
		var m int
		m, s.err = s.r.Read(buf[n:])
		n += m
		give := max(0, n-sha256.Size)
		s.held = bytes.Clone(buf[give:n])
		if give > 0 {
			s.sum.Write(buf[:give])
			return copy(b, buf[:give]), nil
		}
	}
	return 0, s.err
}

// whole reports whether what was held back is the checksum of the rest.
func (s *summedReader) whole() bool {
	_, err := io.Copy(io.Discard, s) // behind the last frame there must be nothing
	return err == nil && len(s.held) == sha256.Size && bytes.Equal(s.held, s.sum.Sum(nil))
}

// offlineError adds to the error of a directory in use what to do instead.
func offlineError(err error, instead string) error {
	if errors.Is(err, errLocked) {
		return fmt.Errorf("%w; or %s", err, instead)
	}
	return err
}
