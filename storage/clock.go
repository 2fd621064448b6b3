package storage

// clock is a cache under a budget that forgets, when it has to, what was not asked for since its hand came by
// last. It is not safe for concurrent use.
type clock[K comparable, V any] struct {
	byKey  map[K]*clocked[K, V]
	ring   []*clocked[K, V]
	hand   int
	bytes  int
	budget int
}

type clocked[K comparable, V any] struct {
	key    K
	value  V
	weight int // bytes
	used   bool
	at     int // in the ring
}

func newClock[K comparable, V any](budget int) *clock[K, V] {
	return &clock[K, V]{byKey: map[K]*clocked[K, V]{}, budget: budget}
}

// get gives what is kept under a key, nil if nothing is. It stays where it is until it is forgotten.
func (c *clock[K, V]) get(k K) *V {
	if e := c.byKey[k]; e != nil {
		e.used = true
		return &e.value
	}
	return nil
}

func (c *clock[K, V]) put(k K, v V, weight int) *V {
	e := c.byKey[k]
	if e == nil {
		e = &clocked[K, V]{key: k, at: len(c.ring)}
		c.byKey[k] = e
		c.ring = append(c.ring, e)
	}
	c.bytes += weight - e.weight
	e.value, e.weight, e.used = v, weight, true
	return &e.value
}

func (c *clock[K, V]) remove(k K) {
	if e := c.byKey[k]; e != nil {
		c.forget(e)
	}
}

func (c *clock[K, V]) forget(e *clocked[K, V]) {
	delete(c.byKey, e.key)
	last := len(c.ring) - 1
	c.ring[e.at] = c.ring[last]
	c.ring[e.at].at = e.at
	c.ring[last] = nil
	c.ring = c.ring[:last]
	c.bytes -= e.weight
}

// evict makes room. What is pinned stays, even over the budget.
func (c *clock[K, V]) evict(pinned func(*V) bool) {
	for range 2 * len(c.ring) {
		if c.bytes <= c.budget {
			return
		}
		if c.hand >= len(c.ring) {
			c.hand = 0
		}
		switch e := c.ring[c.hand]; {
		case e.used:
			e.used = false
			c.hand++
		case pinned != nil && pinned(&e.value):
			c.hand++
		default:
			c.forget(e)
		}
	}
}
