package storage_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/msgserver/msgserver/service"
	"github.com/msgserver/msgserver/storage"
)

var (
	damageRounds = flag.Int("damage.rounds", 12, "how many files the test of damaged pages damages")
	damageSeed   = flag.Uint64("damage.seed", 0, "what it starts from; 0 is something new each time")
)

// hit damages one page of a file, mostly where its head is. It says if bbolt is not safe from what it did: a page that
// is billions of pages long fills the memory when it is freed.
func hit(rng *rand.Rand, b []byte) (how string, unsafe bool) {
	const size = 4096
	n := 2 + rng.IntN(len(b)/size-2)
	page := b[n*size : (n+1)*size]
	at := rng.IntN(16)
	if rng.IntN(3) == 0 {
		at = 16 + rng.IntN(200)
	}
	switch rng.IntN(5) {
	case 0:
		clear(page)
		return fmt.Sprintf("page %d is zeroed", n), false
	case 1:
		from := rng.IntN(len(b) / size)
		copy(page, b[from*size:(from+1)*size])
		return fmt.Sprintf("page %d is a copy of %d", n, from), false
	case 2:
		for i := range 8 {
			page[at+i] = byte(rng.Uint32())
		}
		return fmt.Sprintf("page %d has noise at byte %d", n, at), at < 16 && at+8 > 12
	default:
		page[at] ^= 1 << rng.IntN(8)
		return fmt.Sprintf("page %d has another byte %d", n, at), at >= 12 && at < 16
	}
}

// TestADamagedPageWasAPanic damages files, and does everything there is with them. Nothing may end the process, and
// what fails says which file it was.
func TestADamagedPageWasAPanic(t *testing.T) {
	dir, o := t.TempDir(), small()
	o.JournalSize = 64 << 10
	o.PendingPostings = 50
	db := open(t, dir, o)
	for range 5 {
		furnish(t, db, 300)
	}
	if err := db.Crash(); err != nil {
		t.Fatal(err)
	}
	whole := contents(t, dir, files...)
	size := int64(len(whole["msgserver.db"]))
	used := bytes.TrimRight(whole["msgserver.db"], "\x00") // bbolt lets the file grow ahead
	used = append(used, make([]byte, 4096-len(used)%4096)...)
	seed := *damageSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	for round := range *damageRounds {
		b := bytes.Clone(used)
		how, unsafe := hit(rng, b)
		how = fmt.Sprintf("seed %d, round %d: %s", seed, round, how)
		for what, do := range map[string]func(dir string) error{
			"serve": func(dir string) error { return serveDamaged(dir, o) },
			"check": func(dir string) error {
				r, err := storage.Check(dir, nil)
				if err != nil && r.FaultCount == 0 || len(r.Faults) > 20 || int64(len(r.Faults)) > r.FaultCount {
					t.Errorf("%s: check: %v, and its report has %d faults, %q", how, err, r.FaultCount, r.Faults)
				}
				return err
			},
			"stats":   func(dir string) error { _, err := storage.Measure(dir, nil); return err },
			"compact": func(dir string) error { _, err := storage.Compact(dir, nil); return err },
			"backup":  func(dir string) error { return storage.BackupDir(context.Background(), dir, &bytes.Buffer{}) },
		} {
			if unsafe && what == "serve" {
				continue
			}
			dir := lay(t, map[string][]byte{"msgserver.db": b, "journal-0": whole["journal-0"], "journal-1": whole["journal-1"]})
			if err := os.Truncate(filepath.Join(dir, "msgserver.db"), size); err != nil {
				t.Fatal(err)
			}
			if os.Getenv("DAMAGE_VERBOSE") != "" {
				fmt.Println(how, what)
			}
			err := do(dir)
			if err != nil && (strings.Contains(err.Error(), "goroutine ") || strings.Count(err.Error(), "\n") > 2) {
				t.Errorf("%s: %s says %v", how, what, err)
			}
			if os.Getenv("DAMAGE_VERBOSE") != "" {
				fmt.Println("   ", err)
			}
		}
	}
}

// serveDamaged opens a store, reads it all and writes something.
func serveDamaged(dir string, o storage.Options) error {
	fatal := make(chan error, 1)
	o.OnFatal = func(err error) { fatal <- err }
	db, err := storage.Open(dir, o)
	if err != nil {
		return err
	}
	ctx := context.Background()
	var errs []error
	for u := range service.UserID(13) {
		refs, _, err := db.Conversations(ctx, u, "", 1000)
		errs = append(errs, err)
		for _, ref := range refs {
			_, err := db.Read(ctx, ref.Conv, 1, 100_000, 1<<30, service.Forward)
			errs = append(errs, err)
		}
	}
	for i := range 30 {
		errs = append(errs, send(db, message(service.UserID(i%7), service.UserID(i%3+10), fmt.Sprint("x", i)))[0].err)
	}
	errs = append(errs, db.Close())
	for _, err := range errs {
		if err != nil {
			return err // the first one is enough
		}
	}
	return nil
}

// TestADamagedPageIsNamed: the error says which file it is, and what to do.
func TestADamagedPageIsNamed(t *testing.T) {
	dir, o := t.TempDir(), small()
	o.PendingPostings = 1
	db := open(t, dir, o)
	for range 5 {
		furnish(t, db, 300)
	}
	closeDB(t, db)
	path := filepath.Join(dir, "msgserver.db")
	b := contents(t, dir, "msgserver.db")["msgserver.db"]
	for at := 2 * 4096; at < len(b); at += 4096 {
		if b[at+8] == 1 || b[at+8] == 2 { // branches and leaves
			b[at+8] = 77
		}
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	for what, do := range map[string]func() error{
		"serve":   func() error { db, err := storage.Open(dir, o); closeIf(db, err); return err },
		"check":   func() error { _, err := storage.Check(dir, nil); return err },
		"stats":   func() error { _, err := storage.Measure(dir, nil); return err },
		"compact": func() error { _, err := storage.Compact(dir, nil); return err },
		"backup":  func() error { return storage.BackupDir(context.Background(), dir, &bytes.Buffer{}) },
	} {
		err := do()
		if !errors.Is(err, service.ErrDamaged) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "restore a backup") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestAFileThatWasCutOffWhileInUseKilledTheProcess: where a memory map ends behind its file, reading is a fault.
func TestAFileThatWasCutOffWhileInUseKilledTheProcess(t *testing.T) {
	dir, o := t.TempDir(), small()
	o.PendingPostings = 1
	fatal := make(chan error, 1)
	o.OnFatal = func(err error) { fatal <- err }
	db := open(t, dir, o)
	for range 5 {
		furnish(t, db, 300)
	}
	await(t, "applied", func() bool { return db.Stats().TailEntries == 0 })
	path := filepath.Join(dir, "msgserver.db")
	if err := os.Truncate(path, 2*4096); err != nil {
		t.Fatal(err)
	}
	_, err := db.Read(context.Background(), service.Pair(0, 10), 1, 10, 1<<20, service.Forward)
	if !errors.Is(err, service.ErrDamaged) || !strings.Contains(err.Error(), path) {
		t.Errorf("a read: %v", err)
	}
	if err := send(db, message(100, 200, "x"))[0].err; !errors.Is(err, service.ErrDamaged) {
		t.Errorf("a message of which the committer has to read: %v", err)
	}
	if err := send(db, message(0, 10, "x"))[0].err; err != nil {
		t.Errorf("a message of which it need not: %v", err)
	}
	if err := <-fatal; !errors.Is(err, service.ErrDamaged) || !strings.Contains(err.Error(), path) {
		t.Errorf("an apply: %v", err)
	}
	if err := db.Close(); !errors.Is(err, service.ErrDamaged) {
		t.Errorf("close: %v", err)
	}
}

// TestAPanicThatIsNotAboutTheFileGoesOn: a mistake of ours must not look like a damaged disk.
func TestAPanicThatIsNotAboutTheFileGoesOn(t *testing.T) {
	for name, fn := range map[string]func() error{
		"a word":  func() error { panic("a mistake") },
		"a nil":   func() error { var err error; return errors.New(err.Error()) },
		"a bound": func() error { return errors.New(os.Args[:len(os.Args)][len(os.Args)]) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("it was taken for damage")
				}
			}()
			t.Errorf("it is %v", storage.Guarded("file", fn))
		})
	}
}
