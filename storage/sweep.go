package storage

import (
	"cmp"
	"slices"
	"sync"
)

// sweep holds what is in the log but not yet in a table whose keys come in no order, and hands it out in the
// order of the keys. Written one by one, such keys make a B+tree rewrite a page each; in order and behind a
// bound they share pages.
//
// The hand goes in rounds. A round is what was pending at its start, sorted; it ends when all of it is written.
// The hand moves when one of two rules is broken, and together they bound what a crash makes us read again:
//
//   - no more than bound items are pending,
//   - the round ends before its oldest item has been pending for span gids, and the hand goes towards that end in
//     even steps. So a key that hardly anybody writes to is not left behind by busy ones.
type sweep[K comparable, T item] struct {
	// Static.
	compare func(a, b K) int
	bound   int
	span    uint64
	ahead   bool // an item may be written before its op is in the log: it says where things are, not what changed

	// Guarded by recent.mu.
	slots  map[K]*slot[T]
	fresh  []K // the keys of slots that are not in the round: those of the next one
	items  int
	taken  int // of items: handed out and not dropped yet
	births births

	// Owned by the applier.
	round []K
	next  int
	began uint64 // gid
	end   uint64 // gid at which the round has to be over
}

// item is something pending, made by the op with this gid.
type item interface{ gid() uint64 }

// slot is what is pending under one key, in the order of gids. Items are never changed in place: readers and
// the applier refer to them without the lock.
type slot[T item] struct {
	items []T
	born  uint64 // gid of the oldest op that is not swept
	gone  bool   // it is not in the map any more
}

// swept is what the hand has taken from one slot.
type swept[K comparable, T item] struct {
	key   K
	slot  *slot[T]
	items []T
}

// spanOf makes room for rounds that are as long as bound allows when all keys are equally busy: each then has
// half a round's items on average. The next round begins when the oldest item is a round old.
func spanOf(bound int) uint64 { return 4 * uint64(bound) }

func newSweep[K comparable, T item](compare func(a, b K) int, bound int, ahead bool) *sweep[K, T] {
	return &sweep[K, T]{compare: compare, bound: bound, span: spanOf(bound), ahead: ahead, slots: map[K]*slot[T]{}}
}

// slot is where items of a key go. hint may be where they went before.
func (s *sweep[K, T]) slot(k K, hint *slot[T], born uint64) *slot[T] {
	if hint != nil && !hint.gone {
		return hint
	}
	sl := s.slots[k]
	if sl == nil {
		sl = &slot[T]{born: born}
		s.slots[k] = sl
		s.fresh = append(s.fresh, k)
		s.births.add(born)
	}
	return sl
}

// add makes an item pending behind those of its key.
func (s *sweep[K, T]) add(k K, hint *slot[T], it T) *slot[T] {
	sl := s.slot(k, hint, it.gid())
	sl.items = append(sl.items, it)
	s.items++
	return sl
}

// replace makes an item pending in place of the one of its key.
func (s *sweep[K, T]) replace(k K, it T) {
	sl := s.slot(k, nil, it.gid())
	s.items += 1 - len(sl.items)
	sl.items = []T{it}
}

// insert makes an item pending among those of its key, in the order of gids. Only opening may: nobody refers to the
// items yet.
func (s *sweep[K, T]) insert(k K, it T) {
	sl := s.slot(k, nil, it.gid())
	at, _ := slices.BinarySearchFunc(sl.items, it.gid(), func(other T, gid uint64) int { return cmp.Compare(other.gid(), gid) })
	sl.items = slices.Insert(sl.items, at, it)
	s.items++
	if it.gid() < sl.born {
		s.births.remove(sl.born)
		sl.born = it.gid()
		s.births.add(sl.born)
	}
}

// load makes many items pending at once, items[i] under keys[i]. It takes a third of the time of adding them,
// as each key's are laid out in one piece.
func (s *sweep[K, T]) load(keys []K, items []T) {
	number := make(map[K]int32)
	numbers, counts := make([]int32, len(keys)), []int{}
	for i, k := range keys {
		n, ok := number[k]
		if !ok {
			n = int32(len(counts))
			number[k], counts = n, append(counts, 0)
		}
		numbers[i] = n
		counts[n]++
	}
	all, pieces := make([]T, len(items)), make([][]T, len(counts))
	for n, count := range counts {
		pieces[n], all = all[:0:count], all[count:]
	}
	for i, n := range numbers {
		pieces[n] = append(pieces[n], items[i])
	}
	for k, n := range number {
		s.slot(k, nil, pieces[n][0].gid()).items = pieces[n]
	}
	s.items += len(items)
}

// pending gives the items of a key. The slice stays as it is.
func (s *sweep[K, T]) pending(k K) []T {
	if sl := s.slots[k]; sl != nil {
		return sl.items[:len(sl.items):len(sl.items)]
	}
	return nil
}

// lockedSteps is how far the hand moves before others get the lock.
const lockedSteps = 512

// take moves the hand on when everything up to gid high is about to be in the log, by up to most keys: with no
// fewer than there are new ops, what is pending does not grow, and no apply is held up by much more than another.
// hurry moves it although no rule is broken. Readers find what it took here until drop.
func (s *sweep[K, T]) take(mu *sync.RWMutex, high uint64, most int, hurry bool) (taken []swept[K, T]) {
	for turns := 0; most > 0; {
		if s.next == len(s.round) {
			if turns++; turns > 2 || !s.turn(mu, high) {
				break
			}
		}
		steps := min(most, lockedSteps, len(s.round)-s.next)
		mu.Lock()
		for range steps {
			if !hurry && !s.due(high) {
				mu.Unlock()
				return taken
			}
			taken = s.step(taken, high)
		}
		mu.Unlock()
		most -= steps
	}
	return taken
}

// turn begins a round of everything that is pending; false if nothing is.
func (s *sweep[K, T]) turn(mu *sync.RWMutex, high uint64) bool {
	mu.Lock()
	s.round, s.fresh = s.fresh, s.round[:0]
	s.next, s.began, s.end = 0, high, s.oldest(high)+s.span
	mu.Unlock()
	slices.SortFunc(s.round, s.compare)
	return len(s.round) > 0
}

// due reports whether the hand has to move.
func (s *sweep[K, T]) due(high uint64) bool {
	if s.items-s.taken > s.bound || high >= s.end {
		return true
	}
	return uint64(s.next)*(s.end-s.began) < uint64(len(s.round))*(high-s.began)
}

// step takes what is under the next key, as far as it may be written.
func (s *sweep[K, T]) step(taken []swept[K, T], high uint64) []swept[K, T] {
	key := s.round[s.next]
	s.next++
	sl := s.slots[key]
	n := len(sl.items)
	for !s.ahead && n > 0 && sl.items[n-1].gid() > high {
		n--
	}
	if n == 0 {
		s.fresh = append(s.fresh, key)
		return taken
	}
	s.taken += n
	s.births.remove(sl.born)
	return append(taken, swept[K, T]{key, sl, sl.items[:n:n]})
}

// drop forgets what was taken, once it is durably in the table.
func (s *sweep[K, T]) drop(taken []swept[K, T]) {
	for i := range taken {
		sl, n := taken[i].slot, len(taken[i].items)
		last := taken[i].items[n-1].gid()
		rest := sl.items
		for len(rest) > 0 && rest[0].gid() <= last {
			rest = rest[1:]
		}
		s.taken -= n
		s.items -= len(sl.items) - len(rest)
		if len(rest) == 0 {
			sl.items, sl.gone = nil, true
			delete(s.slots, taken[i].key)
			continue
		}
		sl.items, sl.born = slices.Clone(rest), rest[0].gid()
		s.births.add(sl.born)
		s.fresh = append(s.fresh, taken[i].key)
	}
}

// oldest is the gid from which on the log has what is not in the table, when everything that was taken is
// and nothing after high counts.
func (s *sweep[K, T]) oldest(high uint64) uint64 {
	if born, ok := s.births.oldest(); ok {
		return min(born, high+1)
	}
	return high + 1
}
