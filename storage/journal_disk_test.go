package storage

import (
	"errors"
	"io"
	"maps"
	"slices"
	"testing"
)

var errPower = errors.New("the power is gone")

// platter is a disk with the two files of a journal that fails or loses its power when it is told to. What is
// written is in the cache; a sync brings to the disk what was written since the last one, also if that failed:
// as in Linux, a failed sync forgets what it did not write. What a power loss leaves of the rest is any of it.
type platter struct {
	files [2]*platterFile
	bytes int // how many more may be written before the power goes; negative: any number
	syncs int // how many more syncs work before one fails; negative: any number
}

// platterFile is a journalFile.
type platterFile struct {
	disk   *platter
	name   string
	cache  []byte       // what reads see
	synced []byte       // what the disk holds
	dirty  map[int]bool // the sectors that the next sync writes
}

// newPlatter is a disk with a new journal.
func newPlatter(t testing.TB, size int64) *platter {
	t.Helper()
	p := &platter{bytes: -1, syncs: -1}
	for i, name := range []string{"journal-0", "journal-1"} {
		p.files[i] = &platterFile{p, name, make([]byte, size), make([]byte, size), map[int]bool{}}
	}
	if err := writeTurn(p.files[0], newTurn(fileID{}, 1, 0, size)); err != nil {
		t.Fatal(err)
	}
	if err := p.files[0].Sync(); err != nil {
		t.Fatal(err)
	}
	return p
}

func (f *platterFile) Name() string { return f.name }
func (f *platterFile) Size() int64  { return int64(len(f.cache)) }
func (f *platterFile) Close() error { return nil }

func (f *platterFile) ReadAt(b []byte, at int64) (int, error) {
	if n := copy(b, f.cache[at:]); n < len(b) {
		return n, io.ErrUnexpectedEOF
	}
	return len(b), nil
}

func (f *platterFile) WriteAt(b []byte, at int64) (int, error) {
	n := len(b)
	if f.disk.bytes >= 0 {
		n = min(n, f.disk.bytes)
		f.disk.bytes -= n
	}
	copy(f.cache[at:], b[:n])
	for sector := int(at) / sectorSize; sector*sectorSize < int(at)+n; sector++ {
		f.dirty[sector] = true
	}
	if n < len(b) {
		return n, errPower
	}
	return n, nil
}

// Forget does nothing: what a platterFile has cached and not synced it must keep.
func (f *platterFile) Forget() {}

func (f *platterFile) Sync() error {
	failed := f.disk.bytes == 0 || f.disk.syncs == 0
	if f.disk.syncs > 0 {
		f.disk.syncs--
	}
	for sector := range f.dirty {
		at := sector * sectorSize
		if !failed {
			copy(f.synced[at:at+sectorSize], f.cache[at:])
		}
	}
	clear(f.dirty)
	if failed {
		return errPower
	}
	return nil
}

// put lays bytes on the disk behind the journal's back.
func (f *platterFile) put(b []byte, at int) {
	copy(f.cache[at:], b)
	copy(f.synced[at:], b)
}

// clone is a second disk in the same state, without any failure planned.
func (p *platter) clone() *platter {
	c := &platter{bytes: -1, syncs: -1}
	for i, f := range p.files {
		c.files[i] = &platterFile{c, f.name, slices.Clone(f.cache), slices.Clone(f.synced), maps.Clone(f.dirty)}
	}
	return c
}

// repair ends a failure: the process has died, the cache is what it was.
func (p *platter) repair() { p.bytes, p.syncs = -1, -1 }

// powerLoss empties the cache. Of what was not synced it leaves what keep says, by sectors.
func (p *platter) powerLoss(keep func() bool) {
	p.repair()
	for _, f := range p.files {
		for at := 0; at < len(f.cache); at += sectorSize {
			c, s := f.cache[at:at+sectorSize], f.synced[at:at+sectorSize]
			if !slices.Equal(c, s) && keep() {
				copy(s, c)
			}
		}
		copy(f.cache, f.synced)
		clear(f.dirty)
	}
}

func none() bool { return false }

// open reads the journal on the disk.
func (p *platter) open(after uint64) (j *journal, history []record, err error) {
	j, err = newJournal([2]journalFile{p.files[0], p.files[1]}, fileID{})
	if err != nil {
		return nil, nil, err
	}
	err = j.replay(after, func(gid uint64, op []byte) error {
		history = append(history, record{gid, slices.Clone(op)})
		return nil
	})
	return j, history, err
}

// mustOpen is open where nothing may be wrong.
func (p *platter) mustOpen(t testing.TB, after uint64) (*journal, []record) {
	t.Helper()
	j, history, err := p.open(after)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return j, history
}

func mustWrite(t testing.TB, j *journal, batch []record) {
	t.Helper()
	if err := j.write(batch); err != nil {
		t.Fatalf("write gid %d: %v", batch[0].gid, err)
	}
}
