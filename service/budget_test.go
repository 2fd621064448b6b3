package service_test

import (
	"testing"

	"github.com/msgserver/msgserver/service"
)

func TestBudget(t *testing.T) {
	b := service.NewBudget(100)
	one, two := b.Begin(), b.Begin()
	take := func(r *service.Reading, n int, want bool) {
		t.Helper()
		if err := r.Take(n); (err == nil) != want {
			t.Errorf("taking %d with %d taken: %v", n, b.Used(), err)
		}
	}
	take(one, 60, true)
	take(two, 60, false)
	take(two, 40, true)
	take(one, 1, false)
	two.End()
	take(one, 1000, true) // alone it may have all it needs
	take(two, 1, false)
	one.End()
	take(two, 100, true)
	two.End()
	two.End()
	if b.Used() != 0 {
		t.Errorf("%d bytes are still taken", b.Used())
	}
	var none *service.Reading
	take(none, 1<<40, true)
	none.End()
}
