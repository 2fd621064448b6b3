package storage

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// batchOf makes n records of size bytes each, whose content depends on their gid.
func batchOf(from uint64, n, size int) []record {
	batch := make([]record, n)
	for i := range batch {
		gid := from + uint64(i)
		batch[i] = record{gid, bytes.Repeat([]byte{byte(gid)}, size)}
	}
	return batch
}

// sameHistory fails the test unless the journal replayed exactly the batches.
func sameHistory(t testing.TB, got []record, want ...[]record) {
	t.Helper()
	if diff := historyDiff(got, want...); diff != "" {
		t.Fatalf("replay differs (-want +got):\n%s", diff)
	}
}

func historyDiff(got []record, want ...[]record) string {
	text := func(recs []record) []string {
		lines := []string{}
		for _, r := range recs {
			lines = append(lines, fmt.Sprintf("%d: %d bytes, sum %08x", r.gid, len(r.op), crc32.ChecksumIEEE(r.op)))
		}
		return lines
	}
	return cmp.Diff(text(slices.Concat(want...)), text(got))
}

// openAt opens the journal of a real directory.
func openAt(t *testing.T, dir string, after uint64) (*journal, []record) {
	t.Helper()
	j, err := openJournal(dir, minJournalSize, meta{})
	if err != nil {
		t.Fatal(err)
	}
	var got []record
	if err := j.replay(after, func(gid uint64, op []byte) error {
		got = append(got, record{gid, slices.Clone(op)})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return j, got
}

func TestJournalReopens(t *testing.T) {
	dir := t.TempDir()
	j, got := openAt(t, dir, 0)
	sameHistory(t, got)
	mustWrite(t, j, batchOf(1, 2, 10))
	mustWrite(t, j, batchOf(3, 1, 0))
	mustWrite(t, j, batchOf(4, 3, 700))
	if err := j.close(false); err != nil {
		t.Fatal(err)
	}
	j, got = openAt(t, dir, 2)
	sameHistory(t, got, batchOf(3, 1, 0), batchOf(4, 3, 700))
	mustWrite(t, j, batchOf(7, 1, 5))
	j.applied(7)
	if err := j.close(true); err != nil {
		t.Fatal(err)
	}
	j, got = openAt(t, dir, 7)
	sameHistory(t, got)
	if j.pos != journalHeaderSize {
		t.Errorf("a clean close left a journal that goes on at byte %d", j.pos)
	}
	mustWrite(t, j, batchOf(8, 1, 5))
	if err := j.close(false); err != nil {
		t.Fatal(err)
	}
	j, got = openAt(t, dir, 7)
	sameHistory(t, got, batchOf(8, 1, 5))
	if err := j.close(false); err != nil {
		t.Fatal(err)
	}
}

func TestJournalFilesAreSafe(t *testing.T) {
	dir := t.TempDir()
	j, _ := openAt(t, dir, 0)
	if err := j.close(false); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(names) != 2 {
		t.Fatalf("the directory holds %q, %v", names, err)
	}
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != 0o600 || info.Size() != minJournalSize {
			t.Errorf("%s has mode %v and %d bytes", name, info.Mode(), info.Size())
		}
	}
}

// TestJournalCreationInterrupted opens what a crash may leave of the first creation.
func TestJournalCreationInterrupted(t *testing.T) {
	cases := []struct {
		name  string
		leave func(t *testing.T, dir string)
	}{
		{"half a temporary file", func(t *testing.T, dir string) {
			for _, name := range []string{"journal-0", "journal-1"} {
				if err := os.Remove(filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(filepath.Join(dir, "journal-1.tmp"), []byte("half"), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{"the first of the two", func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "journal-0")); err != nil {
				t.Fatal(err)
			}
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			j, err := openJournal(dir, minJournalSize, meta{})
			if err != nil {
				t.Fatal(err)
			}
			if err := j.close(false); err != nil {
				t.Fatal(err)
			}
			c.leave(t, dir)
			j, got := openAt(t, dir, 0)
			sameHistory(t, got)
			mustWrite(t, j, batchOf(1, 1, 1))
			if err := j.close(false); err != nil {
				t.Fatal(err)
			}
			_, got = openAt(t, dir, 0)
			sameHistory(t, got, batchOf(1, 1, 1))
		})
	}
}

// TestJournalFileDamaged loses or cuts off files that hold something.
func TestJournalFileDamaged(t *testing.T) {
	const applied = 20 // gids 1 to 20 are in journal-0, 21 to 25 in journal-1
	cases := []struct {
		name  string
		after uint64
		spoil func(dir string) error
		ok    bool
	}{
		{"nothing", 0, func(string) error { return nil }, true},
		{"older file gone, not needed", applied, func(dir string) error { return os.Remove(filepath.Join(dir, "journal-0")) }, false},
		{"older file gone", applied - 1, func(dir string) error { return os.Remove(filepath.Join(dir, "journal-0")) }, false},
		{"newer file gone", 25, func(dir string) error { return os.Remove(filepath.Join(dir, "journal-1")) }, false},
		{"older file cut off", applied, func(dir string) error { return os.Truncate(filepath.Join(dir, "journal-0"), minJournalSize-1) }, false},
		{"newer file cut off", 25, func(dir string) error { return os.Truncate(filepath.Join(dir, "journal-1"), minJournalSize-sectorSize) }, false},
		{"newer file empty", applied, func(dir string) error { return os.Truncate(filepath.Join(dir, "journal-1"), 0) }, false},
		{"both zeroed", 0, func(dir string) error {
			zero := make([]byte, minJournalSize)
			return errors.Join(os.WriteFile(filepath.Join(dir, "journal-0"), zero, 0o600),
				os.WriteFile(filepath.Join(dir, "journal-1"), zero, 0o600))
		}, false},
		{"one is a copy of the other", 0, func(dir string) error {
			b, err := os.ReadFile(filepath.Join(dir, "journal-1"))
			return errors.Join(err, os.WriteFile(filepath.Join(dir, "journal-0"), b, 0o600))
		}, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			j, _ := openAt(t, dir, 0)
			mustWrite(t, j, batchOf(1, 20, 300))
			mustWrite(t, j, batchOf(21, 5, 600))
			if err := j.close(false); err != nil {
				t.Fatal(err)
			}
			if err := c.spoil(dir); err != nil {
				t.Fatal(err)
			}
			j, err := openJournal(dir, minJournalSize, meta{})
			if err == nil {
				err = errors.Join(j.replay(c.after, func(uint64, []byte) error { return nil }), j.close(false))
			}
			if c.ok != (err == nil) || !c.ok && !errors.Is(err, errJournalDamaged) && !errors.Is(err, errJournalLost) {
				t.Fatalf("open after %d: %v", c.after, err)
			}
		})
	}
}

func TestJournalOfAnotherTime(t *testing.T) {
	p := newPlatter(t, minJournalSize)
	j, _ := p.mustOpen(t, 1000) // an old database, a new journal
	mustWrite(t, j, batchOf(1001, 1, 1))
	j.applied(1001)
	if err := j.close(true); err != nil {
		t.Fatal(err)
	}
	if _, got := p.mustOpen(t, 2000); len(got) != 0 { // the database is ahead: the journal has nothing new
		t.Fatalf("replayed %v", got)
	}
	if _, _, err := p.open(500); !errors.Is(err, errJournalDamaged) { // a database restored from long ago
		t.Fatalf("a hole between database and journal: %v", err)
	}
}

func TestJournalTakesTurns(t *testing.T) {
	p := newPlatter(t, minJournalSize)
	j, _ := p.mustOpen(t, 0)
	var all [][]record
	gid := uint64(1)
	fill := func() {
		for range 100 {
			b := batchOf(gid, 1, 1000)
			err := j.write(b)
			if errors.Is(err, errNoRoom) {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			all, gid = append(all, b), gid+1
		}
		t.Fatal("the journal never fills up")
	}
	fill()
	perFile := uint64(len(all) / 2)
	if perFile < 2 || len(all)%2 != 0 {
		t.Fatalf("both files together took %d batches", len(all))
	}
	if _, got := p.clone().mustOpen(t, 0); historyDiff(got, all...) != "" {
		t.Fatal(historyDiff(got, all...))
	}
	j.applied(perFile - 1) // one of the first file is missing still
	if err := j.write(batchOf(gid, 1, 1000)); !errors.Is(err, errNoRoom) {
		t.Fatalf("a file that is not applied was used again: %v", err)
	}
	for round := uint64(1); round < 5; round++ {
		j.applied(round * perFile)
		fill()
		if want := (round + 2) * perFile; gid-1 != want {
			t.Fatalf("round %d ends at gid %d, want %d", round, gid-1, want)
		}
		q := p.clone()
		q.powerLoss(none)
		_, got := q.mustOpen(t, round*perFile)
		sameHistory(t, got, all[round*perFile:]...)
		if _, _, err := q.open(round*perFile - 1); !errors.Is(err, errJournalDamaged) {
			t.Fatalf("gid %d is overwritten, and nobody misses it: %v", round*perFile, err)
		}
	}
}

func TestJournalRefuses(t *testing.T) {
	p := newPlatter(t, minJournalSize)
	j, err := newJournal([2]journalFile{p.files[0], p.files[1]}, fileID{})
	if err != nil {
		t.Fatal(err)
	}
	if err := j.write(batchOf(1, 1, 1)); !errors.Is(err, errNotReplayed) {
		t.Errorf("write before replay: %v", err)
	}
	j, _ = p.mustOpen(t, 0)
	largest := batchOf(1, 1, j.maxBatch()-recordHeaderSize)
	if got := recordSize(largest[0].op); got != j.maxBatch() {
		t.Errorf("recordSize is %d, want %d", got, j.maxBatch())
	}
	if err := j.write(batchOf(1, 1, len(largest[0].op)+1)); !errors.Is(err, errBatchTooLarge) {
		t.Errorf("a batch that is too large: %v", err)
	}
	mustWrite(t, j, largest)
	if err := j.write(batchOf(1, 1, 1)); err == nil {
		t.Error("the same gid twice is accepted")
	}
	mustWrite(t, j, batchOf(2, 1, 1))
	_, got := p.clone().mustOpen(t, 0)
	sameHistory(t, got, largest, batchOf(2, 1, 1))
	j.applied(1)
	if err := j.close(true); err == nil {
		t.Error("a clean close with something that is not applied")
	}
	if err := j.write(batchOf(3, 1, 1)); !errors.Is(err, errJournalClosed) {
		t.Errorf("write after close: %v", err)
	}
	_, got = p.mustOpen(t, 1)
	sameHistory(t, got, batchOf(2, 1, 1))
}

// TestJournalIsPoisoned makes each write and each sync fail in turn and then work again.
func TestJournalIsPoisoned(t *testing.T) {
	first := batchOf(1, 1, minJournalSize-journalHeaderSize-1000) // so that the next one starts a turn
	for name, spoil := range map[string]func(*platter){
		"no write":          func(p *platter) { p.bytes = 0 },
		"half a header":     func(p *platter) { p.bytes = 100 },
		"one of two copies": func(p *platter) { p.bytes = sectorSize },
		"half a batch":      func(p *platter) { p.bytes = 2*sectorSize + 100 },
		"no sync of header": func(p *platter) { p.syncs = 0 },
		"no sync of batch":  func(p *platter) { p.syncs = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlatter(t, minJournalSize)
			j, _ := p.mustOpen(t, 0)
			mustWrite(t, j, first)
			spoil(p)
			failure := j.write(batchOf(2, 3, 400))
			if !errors.Is(failure, errPower) {
				t.Fatalf("write: %v", failure)
			}
			p.bytes, p.syncs = -1, -1
			before := p.clone()
			if err := j.write(batchOf(2, 3, 400)); err != failure {
				t.Errorf("the next write: %v, want the same failure", err)
			}
			if err := j.close(true); err != nil {
				t.Error(err)
			}
			for i := range p.files {
				if !bytes.Equal(p.files[i].cache, before.files[i].cache) {
					t.Errorf("%s was written after the failure", p.files[i].name)
				}
			}
			p.powerLoss(none)
			_, got := p.mustOpen(t, 0)
			sameHistory(t, got, first)
		})
	}
}

func TestJournalAppliedWhileWriting(t *testing.T) {
	p := newPlatter(t, minJournalSize)
	j, _ := p.mustOpen(t, 0)
	written := make(chan uint64, 1)
	var applier sync.WaitGroup
	applier.Go(func() {
		for gid := range written {
			j.applied(gid)
			j.applied(gid / 2) // late news do no harm
		}
	})
	for gid := uint64(1); gid <= 300; gid++ {
		for {
			err := j.write(batchOf(gid, 1, 900))
			if err == nil {
				break
			}
			if !errors.Is(err, errNoRoom) {
				t.Fatal(err)
			}
			written <- gid - 1
		}
	}
	close(written)
	applier.Wait()
}

func TestJournalWriteAllocatesNothing(t *testing.T) {
	p := newPlatter(t, 1<<20) // room for all batches: only a turn may allocate
	j, _ := p.mustOpen(t, 0)
	batch := batchOf(1, 20, 100)
	mustWrite(t, j, batch)
	if n := testing.AllocsPerRun(100, func() {
		for i := range batch {
			batch[i].gid += uint64(len(batch))
		}
		if err := j.write(batch); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("a batch allocates %v times", n)
	}
}
