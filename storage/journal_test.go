package storage

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// reopen opens the journal and gives what it replays.
func reopen(t *testing.T, dir string, after uint64) (*journal, []string) {
	t.Helper()
	j, err := openJournal(dir, minJournalSize)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	if err := j.replay(after, func(gid uint64, op []byte) error {
		got = append(got, fmt.Sprintf("%d %s", gid, op))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return j, got
}

func ops(from uint64, texts ...string) []record {
	var recs []record
	for i, text := range texts {
		recs = append(recs, record{from + uint64(i), []byte(text)})
	}
	return recs
}

func TestJournalSurvivesReopening(t *testing.T) {
	dir := t.TempDir()
	j, got := reopen(t, dir, 0)
	if len(got) != 0 {
		t.Fatalf("a new journal replays %q", got)
	}
	for _, batch := range [][]record{ops(1, "a", "b"), ops(3, "c"), ops(4, "d", "", "f")} {
		if err := j.write(batch); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.close(false); err != nil {
		t.Fatal(err)
	}
	j, got = reopen(t, dir, 2)
	if diff := cmp.Diff([]string{"3 c", "4 d", "5 ", "6 f"}, got); diff != "" {
		t.Fatal(diff)
	}
	if err := j.write(ops(7, "g")); err != nil {
		t.Fatal(err)
	}
	j.applied(7)
	if err := j.close(true); err != nil {
		t.Fatal(err)
	}
	j, got = reopen(t, dir, 7)
	if len(got) != 0 || j.pos != journalHeaderSize {
		t.Fatalf("after a clean close it replays %q and goes on at byte %d", got, j.pos)
	}
	if err := j.close(true); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"journal-0", "journal-1"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode() != 0o600 || info.Size() != minJournalSize {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}
