package service

import "sync/atomic"

// Budget bounds the bytes that everything that takes from it holds together. It is safe for concurrent use.
type Budget struct {
	limit int64
	used  atomic.Int64
}

// NewBudget makes a budget of limit bytes.
func NewBudget(limit int) *Budget { return &Budget{limit: int64(limit)} }

// Take takes n bytes, or reports false if they are not there.
func (b *Budget) Take(n int) bool { return b.take(n, func(used int64) bool { return used <= b.limit }) }

// takeMore takes n bytes for somebody who holds some already. Who holds all that is taken gets more than there is:
// otherwise a request that is larger than the budget would fail for ever.
func (b *Budget) takeMore(n, held int) bool {
	return b.take(n, func(used int64) bool { return used <= b.limit || used == int64(n+held) })
}

func (b *Budget) take(n int, fits func(used int64) bool) bool {
	for {
		used := b.used.Load()
		if n > 0 && !fits(used+int64(n)) {
			return false
		}
		if b.used.CompareAndSwap(used, used+int64(n)) {
			return true
		}
	}
}

// Give gives n bytes back.
func (b *Budget) Give(n int) { b.used.Add(int64(-n)) }

// Used returns how many bytes are taken now.
func (b *Budget) Used() int64 { return b.used.Load() }

// Begin makes the account of one reading request.
func (b *Budget) Begin() *Reading { return &Reading{budget: b} }

// Reading is what one reading request holds of a budget. A nil Reading has no bound.
type Reading struct {
	budget *Budget
	held   int
}

// Take asks for n bytes. It fails with Busy.
func (r *Reading) Take(n int) error {
	if r == nil {
		return nil
	}
	if !r.budget.takeMore(n, r.held) {
		return Errorf(Busy, "too much is being read at this moment: send it again later")
	}
	r.held += n
	return nil
}

// End gives everything back.
func (r *Reading) End() {
	if r != nil {
		r.budget.Give(r.held)
		r.held = 0
	}
}
