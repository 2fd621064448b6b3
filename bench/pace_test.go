package bench_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/msgserver/msgserver/bench"
)

func TestPacerDue(t *testing.T) {
	for _, tt := range []struct {
		name  string
		pacer bench.Pacer
		n     int64
		want  time.Duration
	}{
		{"the first is due at once", bench.Pacer{Rate: 1000}, 0, 0},
		{"a millisecond apart", bench.Pacer{Rate: 1000}, 7, 7 * time.Millisecond},
		{"slower than one a second", bench.Pacer{Rate: 0.5}, 3, 6 * time.Second},
		{"the share of the second of three", bench.Pacer{Rate: 1000, First: 1, Step: 3}, 2, 7 * time.Millisecond},
		{"a day later without drift", bench.Pacer{Rate: 3}, 3 * 86400, 24 * time.Hour},
		{"never at rate zero, but for the first", bench.Pacer{}, 1, math.MaxInt64},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.pacer.Due(tt.n); got != tt.want {
				t.Errorf("Due(%d) = %v, want %v", tt.n, got, tt.want)
			}
		})
	}
}

// TestPacerShares: the shares together are the schedule, each in order, and Before counts what Due says.
func TestPacerShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Float64Range(0.1, 1e6).Draw(t, "rate")
		step := rapid.Int64Range(1, 8).Draw(t, "step")
		whole := bench.Pacer{Rate: rate}
		n := rapid.Int64Range(0, 1e7).Draw(t, "n")
		share := bench.Pacer{Rate: rate, First: n % step, Step: step}
		if got, want := share.Due(n/step), whole.Due(n); got != want {
			t.Fatalf("share says %v, the whole %v", got, want)
		}
		if whole.Due(n+1) < whole.Due(n) {
			t.Fatalf("arrival %d is due before %d", n+1, n)
		}
		at := time.Duration(rapid.Int64Range(0, int64(10*time.Second)).Draw(t, "at"))
		count := share.Before(at)
		if count > 0 && share.Due(count-1) >= at {
			t.Fatalf("Before(%v) = %d, but the last of them is due at %v", at, count, share.Due(count-1))
		}
		if at > 0 && share.Due(count) < at {
			t.Fatalf("Before(%v) = %d, but another is due at %v", at, count, share.Due(count))
		}
	})
}
