package bench

import "slices"

// maxSpans bounds a set: a run in which more holes than these are open at once has failed anyway.
const maxSpans = 1 << 16

// span is the numbers from lo to below hi.
type span struct{ lo, hi int64 }

// spans is a set of numbers, small when they lie together: ascending, neither touching nor overlapping.
type spans []span

// find gives the first span that ends behind n.
func (s spans) find(n int64) int {
	i, _ := slices.BinarySearchFunc(s, n, func(e span, n int64) int {
		if e.hi <= n {
			return -1
		}
		return 1
	})
	return i
}

func (s spans) has(n int64) bool {
	i := s.find(n)
	return i < len(s) && s[i].lo <= n
}

// add puts lo to below hi, none of which is in the set, into it; false if the set is full.
func (s *spans) add(lo, hi int64) bool {
	i := s.find(lo)
	left := i > 0 && (*s)[i-1].hi == lo
	right := i < len(*s) && (*s)[i].lo == hi
	switch {
	case left && right:
		(*s)[i-1].hi = (*s)[i].hi
		*s = slices.Delete(*s, i, i+1)
	case left:
		(*s)[i-1].hi = hi
	case right:
		(*s)[i].lo = lo
	case len(*s) >= maxSpans:
		return false
	default:
		*s = slices.Insert(*s, i, span{lo, hi})
	}
	return true
}

// remove takes n out; false if it is not in the set.
func (s *spans) remove(n int64) bool {
	if !s.has(n) {
		return false
	}
	i := s.find(n)
	e := (*s)[i]
	switch {
	case e.lo+1 == e.hi:
		*s = slices.Delete(*s, i, i+1)
	case e.lo == n:
		(*s)[i].lo++
	case e.hi == n+1:
		(*s)[i].hi--
	default:
		(*s)[i].hi = n
		*s = slices.Insert(*s, i+1, span{n + 1, e.hi})
	}
	return true
}

// count is how many numbers are in the set.
func (s spans) count() (n int64) {
	for _, e := range s {
		n += e.hi - e.lo
	}
	return n
}

// overlap is how many numbers both sets have.
func (s spans) overlap(other spans) (n int64) {
	for i, j := 0, 0; i < len(s) && j < len(other); {
		n += max(0, min(s[i].hi, other[j].hi)-max(s[i].lo, other[j].lo))
		if s[i].hi < other[j].hi {
			i++
		} else {
			j++
		}
	}
	return n
}
