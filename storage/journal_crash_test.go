package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestJournalTornAtEveryByte tears the last batch at every byte, so that only its head or only its rest is on
// the disk. It was never acknowledged: it counts whole or not at all, and what was decided once stays so.
func TestJournalTornAtEveryByte(t *testing.T) {
	a, b, c := batchOf(1, 3, 100), batchOf(4, 1, 600), batchOf(5, 5, 130)
	before := newPlatter(t, minJournalSize)
	j, _ := before.mustOpen(t, 0)
	mustWrite(t, j, a)
	mustWrite(t, j, b)
	start := int(j.pos)
	after := before.clone()
	j, _ = after.mustOpen(t, 0)
	mustWrite(t, j, c)
	whole := after.files[0].synced[start:j.pos]
	used := batchHeaderSize + len(c)*recordSize(c[0].op) // the rest is padding
	for cut := range len(whole) + 1 {
		head, rest := before.clone(), before.clone()
		head.files[0].put(whole[:cut], start)
		rest.files[0].put(whole[cut:], start+cut)
		for part, p := range map[string]*platter{"head": head, "rest": rest} {
			want := [][]record{a, b}
			// Also where what was cut off happens to be what was there: the checksum begins with any byte.
			if bytes.Equal(p.files[0].synced[start:start+used], whole[:used]) {
				want = append(want, c)
			}
			j, got := p.mustOpen(t, 0)
			if diff := historyDiff(got, want...); diff != "" {
				t.Fatalf("%s at byte %d: %s", part, cut, diff)
			}
			// What is missing arrives after all, as if later writes held the same bytes in all sectors but the first.
			q := p.clone()
			q.files[0].put(whole[sectorSize:], start+sectorSize)
			_, got = q.mustOpen(t, 0)
			if diff := historyDiff(got, want...); diff != "" {
				t.Fatalf("%s at byte %d, completed after opening: %s", part, cut, diff)
			}
			// What is written now is shorter than what was torn, whose rest stays behind it.
			d := batchOf(20, 1, 20)
			mustWrite(t, j, d)
			p.powerLoss(none)
			_, got = p.mustOpen(t, 0)
			if diff := historyDiff(got, append(want, d)...); diff != "" {
				t.Fatalf("%s at byte %d, and written on: %s", part, cut, diff)
			}
		}
	}
}

// TestJournalSettlesTheEnd kills the process when a sync fails: what was written is in the cache, clean, and
// not on the disk. What is replayed from there must survive a power loss all the same.
func TestJournalSettlesTheEnd(t *testing.T) {
	short, full := batchOf(1, 1, 100), batchOf(1, 1, minJournalSize-journalHeaderSize-1000)
	a, b := batchOf(2, 4, 300), batchOf(6, 1, 50)
	for _, c := range []struct {
		name  string
		first []record
		syncs int
		want  [][]record
	}{
		{"batch not synced", short, 0, [][]record{short, a, b}},
		{"first batch of a turn not synced", full, 1, [][]record{full, a, b}},
		{"header of a turn not synced", full, 0, [][]record{full, b}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPlatter(t, minJournalSize)
			j, _ := p.mustOpen(t, 0)
			mustWrite(t, j, c.first)
			p.syncs = c.syncs
			if err := j.write(a); !errors.Is(err, errPower) {
				t.Fatalf("write: %v", err)
			}
			p.repair()
			j, got := p.mustOpen(t, 0)
			sameHistory(t, got, c.want[:len(c.want)-1]...)
			q := p.clone()
			q.powerLoss(none)
			_, again := q.mustOpen(t, 0)
			sameHistory(t, again, got)
			mustWrite(t, j, b)
			p.powerLoss(none)
			_, got = p.mustOpen(t, 0)
			sameHistory(t, got, c.want...)
		})
	}
}

// TestJournalSwitchesSafely stops a turn's start and its first batch at every byte, with the cache lost, kept,
// or kept in part.
func TestJournalSwitchesSafely(t *testing.T) {
	old, a, b := batchOf(1, 8, 950), batchOf(9, 8, 950), batchOf(17, 2, 200) // the first two fill a file each
	before := newPlatter(t, minJournalSize)
	j, _ := before.mustOpen(t, 0)
	mustWrite(t, j, old)
	mustWrite(t, j, a)
	if before.files[1].synced[0] == 0 {
		t.Fatal("the second file is not in use")
	}
	const applied = 8
	for stop := range 2*sectorSize + int(sectorUp(used(b))) + 1 {
		for subset := range 4 { // of the two copies, or of the batch's one sector
			p := before.clone()
			j, got := p.mustOpen(t, applied)
			sameHistory(t, got, a)
			p.bytes = stop
			if err := j.write(b); !errors.Is(err, errPower) {
				t.Fatalf("stopped at byte %d: %v", stop, err)
			}
			nth := 0
			p.powerLoss(func() bool { nth++; return subset>>(nth-1)&1 == 1 })
			j, got = p.mustOpen(t, applied)
			if historyDiff(got, a) != "" && historyDiff(got, a, b) != "" {
				t.Fatalf("stopped at byte %d, subset %d: %s", stop, subset, historyDiff(got, a))
			}
			c := batchOf(20, 1, 10)
			mustWrite(t, j, c)
			p.powerLoss(none)
			_, again := p.mustOpen(t, applied)
			if diff := historyDiff(again, got, c); diff != "" {
				t.Fatalf("stopped at byte %d, subset %d, and written on: %s", stop, subset, diff)
			}
		}
	}
}

// TestJournalIgnoresEarlierTurns writes a turn whose batches are as long as those that lie there from before.
func TestJournalIgnoresEarlierTurns(t *testing.T) {
	p := newPlatter(t, minJournalSize)
	j, _ := p.mustOpen(t, 0)
	var last [][]record
	for gid := uint64(1); gid < 100; gid++ {
		current := j.current
		j.applied(j.last)
		b := batchOf(gid, 1, 900)
		mustWrite(t, j, b)
		if j.current != current {
			last = nil
		}
		last = append(last, b)
		if _, got := p.clone().mustOpen(t, gid-uint64(len(last))); historyDiff(got, last...) != "" {
			t.Fatalf("after gid %d: %s", gid, historyDiff(got, last...))
		}
	}
	if j.turns[0].number < 3 || j.turns[1].number < 3 {
		t.Fatalf("only %d and %d turns", j.turns[0].number, j.turns[1].number)
	}
}

// TestJournalFindsDamage flips a bit in every byte, and loses a batch whose successor is on the disk. Batches
// are synced one by one, so what another one follows was acknowledged: this must be said.
func TestJournalFindsDamage(t *testing.T) {
	batches := [][]record{batchOf(1, 2, 100), batchOf(3, 1, 700), batchOf(4, 3, 30)}
	p := newPlatter(t, minJournalSize)
	j, _ := p.mustOpen(t, 0)
	starts := []int64{}
	for _, b := range batches {
		starts = append(starts, j.pos)
		mustWrite(t, j, b)
	}
	starts = append(starts, j.pos)
	for at := range p.files[0].cache {
		n := batchAt(starts, int64(at))
		if at%64 != 0 && (n < 0 || n == len(batches)) && p.files[0].cache[at] == 0 {
			continue // nothing is there: a few such bytes do
		}
		q := p.clone()
		q.files[0].cache[at] ^= 1 << (at % 8)
		_, got, err := q.open(0)
		switch {
		case n < 0, n == len(batches), int64(at) >= starts[n]+used(batches[n]): // a header's copy, nothing, padding
			if err != nil || historyDiff(got, batches...) != "" {
				t.Fatalf("byte %d does not matter: %v, %s", at, err, historyDiff(got, batches...))
			}
		case n == len(batches)-1: // like a torn write
			if err != nil || historyDiff(got, batches[:n]...) != "" {
				t.Fatalf("byte %d, in the last batch: %v, %s", at, err, historyDiff(got, batches[:n]...))
			}
		default:
			if !errors.Is(err, errJournalDamaged) || historyDiff(got, batches[:n]...) != "" {
				t.Fatalf("byte %d, in batch %d: %v, %s", at, n, err, historyDiff(got, batches[:n]...))
			}
		}
	}
	for n, start := range starts[:len(batches)-1] { // a batch that was never there
		q := p.clone()
		q.files[0].put(make([]byte, starts[n+1]-start), int(start))
		if _, _, err := q.open(0); !errors.Is(err, errJournalDamaged) {
			t.Fatalf("without batch %d: %v", n, err)
		}
	}
}

// used is how many bytes of a batch's sectors count.
func used(batch []record) int64 {
	n := batchHeaderSize
	for _, r := range batch {
		n += recordSize(r.op)
	}
	return int64(n)
}

// batchAt is the batch in which a byte is: -1 before the first, len(starts)-1 behind the last.
func batchAt(starts []int64, at int64) int {
	n, found := slices.BinarySearch(starts, at)
	if found {
		return n
	}
	return n - 1
}

// TestJournalFindsDamageInTheOlderFile flips bits in the older of two files that are both needed.
func TestJournalFindsDamageInTheOlderFile(t *testing.T) {
	old, b := batchOf(1, 8, 900), batchOf(9, 8, 900)
	p := newPlatter(t, minJournalSize)
	j, _ := p.mustOpen(t, 0)
	mustWrite(t, j, old)
	mustWrite(t, j, b)
	for at := int64(journalHeaderSize); at < journalHeaderSize+used(old); at += 7 {
		q := p.clone()
		q.files[0].cache[at] ^= 0x10
		if _, _, err := q.clone().open(0); !errors.Is(err, errJournalDamaged) {
			t.Fatalf("byte %d: %v", at, err)
		}
		_, got := q.mustOpen(t, 8) // not needed any more
		sameHistory(t, got, b)
	}
}

func TestJournalHeaderTorn(t *testing.T) {
	old, b := batchOf(1, 8, 900), batchOf(9, 8, 900)
	for name, c := range map[string]struct {
		spoil func(p *platter)
		after uint64
		says  error
	}{
		"first copy":            {func(p *platter) { p.files[1].cache[9] ^= 1 }, 0, nil},
		"second copy":           {func(p *platter) { p.files[1].cache[turnCopyOffset+20] ^= 1 }, 0, nil},
		"older file's both":     {func(p *platter) { p.files[0].cache[0] ^= 1; p.files[0].cache[turnCopyOffset+40] ^= 1 }, 0, errJournalDamaged},
		"older file's, applied": {func(p *platter) { p.files[0].cache[0] ^= 1; p.files[0].cache[turnCopyOffset+40] ^= 1 }, 8, nil},
		"all four": {func(p *platter) {
			p.files[0].cache[0] ^= 1
			p.files[0].cache[turnCopyOffset] ^= 1
			p.files[1].cache[0] ^= 1
			p.files[1].cache[turnCopyOffset] ^= 1
		}, 16, errJournalDamaged},
		"a version of the future": {func(p *platter) {
			p.files[0].cache[7]++
			p.files[0].cache[turnCopyOffset+7]++
			p.files[1].cache[7]++
			p.files[1].cache[turnCopyOffset+7]++
		}, 16, errJournalFormat},
		"another owner's": {func(p *platter) {
			stranger := newTurn(fileID{1}, 2, 8, minJournalSize)
			if err := writeTurn(p.files[1], stranger); err != nil {
				panic(err)
			}
		}, 8, errJournalLost},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlatter(t, minJournalSize)
			j, _ := p.mustOpen(t, 0)
			mustWrite(t, j, old)
			mustWrite(t, j, b)
			c.spoil(p)
			j, got, err := p.open(c.after)
			if c.says != nil {
				if !errors.Is(err, c.says) {
					t.Fatalf("open: %v, %v", got, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if want := [][]record{old, b}; c.after > 0 {
				sameHistory(t, got, want[1:]...)
			} else {
				sameHistory(t, got, want...)
			}
			j.applied(16)
			mustWrite(t, j, batchOf(17, 8, 900)) // the next turn begins all the same
			_, got = p.mustOpen(t, 16)
			sameHistory(t, got, batchOf(17, 8, 900))
		})
	}
}

// TestJournalReplayFails keeps a journal unwritten of which nobody has seen all.
func TestJournalReplayFails(t *testing.T) {
	p := newPlatter(t, minJournalSize)
	j, _ := p.mustOpen(t, 0)
	mustWrite(t, j, batchOf(1, 3, 10))
	j, err := newJournal([2]journalFile{p.files[0], p.files[1]}, fileID{})
	if err != nil {
		t.Fatal(err)
	}
	if err := j.replay(0, func(gid uint64, _ []byte) error {
		if gid == 2 {
			return errPower
		}
		return nil
	}); !errors.Is(err, errPower) {
		t.Fatalf("replay: %v", err)
	}
	if err := j.write(batchOf(4, 1, 1)); !errors.Is(err, errNotReplayed) {
		t.Fatalf("write: %v", err)
	}
	if err := j.close(true); err != nil {
		t.Fatal(err)
	}
	_, got := p.mustOpen(t, 0)
	sameHistory(t, got, batchOf(1, 3, 10))
}

var (
	journalLives = flag.Int("journal.lives", 1500, "how often the random test of the journal crashes it")
	journalSeed  = flag.Uint64("journal.seed", 0, "what it starts from; 0 is something new each time")
)

// TestJournalRandomLives writes and applies at random until the disk fails or the power goes, over and over.
// Everything acknowledged and not applied is there each time, in order; of what was not acknowledged at most
// the last batch, and what was seen once is there from then on.
func TestJournalRandomLives(t *testing.T) {
	seed := *journalSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	p := newPlatter(t, minJournalSize+8*sectorSize)
	var history []record // everything that is history for good; gid is the index plus 1
	var applied uint64
	var unknown []record // the batch whose outcome is open
	for life := range *journalLives {
		if rng.IntN(3) == 0 { // the next life must survive the opening, too
			p.bytes = rng.IntN(6 * sectorSize)
		}
		j, got, err := p.open(applied)
		if err != nil && !errors.Is(err, errPower) {
			t.Fatalf("seed %d, life %d: %v", seed, life, err)
		}
		if err == nil {
			history, err = extend(history, applied, got, unknown)
			if err != nil {
				t.Fatalf("seed %d, life %d: %v", seed, life, err)
			}
			unknown = nil
			history, applied, unknown = live(rng, p, j, history, applied)
		}
		switch rng.IntN(3) {
		case 0:
			p.repair()
		case 1:
			p.powerLoss(none)
		case 2:
			p.powerLoss(func() bool { return rng.IntN(2) == 0 })
		}
	}
}

// extend compares what was replayed with the history behind applied, and adds the unknown batch to it if
// that turns out to be there.
func extend(history []record, applied uint64, got, unknown []record) ([]record, error) {
	if historyDiff(got, history[applied:], unknown) == "" {
		return slices.Concat(history, unknown), nil
	}
	if diff := historyDiff(got, history[applied:]); diff != "" {
		return nil, fmt.Errorf("behind gid %d: %s", applied, diff)
	}
	return history, nil
}

// live uses the journal until something fails or it was enough.
func live(rng *rand.Rand, p *platter, j *journal, history []record, applied uint64) ([]record, uint64, []record) {
	switch rng.IntN(3) {
	case 0:
		p.bytes = rng.IntN(40 * sectorSize)
	case 1:
		p.syncs = rng.IntN(10)
	}
	for range rng.IntN(30) {
		if rng.IntN(3) == 0 {
			applied += rng.Uint64N(uint64(len(history)) - applied + 1)
			if rng.IntN(4) > 0 { // otherwise the database dies before it says so
				j.applied(applied)
			}
		}
		batch := make([]record, 1+rng.IntN(4))
		for i := range batch {
			op := make([]byte, rng.IntN(700))
			binary.LittleEndian.AppendUint64(op[:0:len(op)], rng.Uint64())
			batch[i] = record{uint64(len(history) + i + 1), op}
		}
		err := j.write(batch)
		switch {
		case err == nil:
			history = append(history, batch...)
		case !errors.Is(err, errNoRoom):
			return history, applied, batch
		}
	}
	if rng.IntN(4) == 0 {
		applied = uint64(len(history))
		j.applied(applied)
		j.close(true) // it may fail: the disk has plans
	}
	return history, applied, nil
}
