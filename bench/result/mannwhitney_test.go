package result_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/msgserver/msgserver/bench/result"
)

func TestMannWhitney(t *testing.T) {
	for _, tt := range []struct {
		name string
		a, b []float64
		want float64
	}{
		{"3 and 3 apart", []float64{1, 2, 3}, []float64{4, 5, 6}, 2.0 / 20},
		{"4 and 4 apart", []float64{1, 2, 3, 4}, []float64{5, 6, 7, 8}, 2.0 / 70},
		{"5 and 5 apart", []float64{10, 9, 8, 7, 6}, []float64{5, 4, 3, 2, 1}, 2.0 / 252},
		{"5 and 5 but for one pair", []float64{1, 2, 3, 4, 6}, []float64{5, 7, 8, 9, 10}, 4.0 / 252},
		{"all equal", []float64{1, 1, 1}, []float64{1, 1, 1}, 1},
		{"the same values", []float64{1, 2, 3}, []float64{1, 2, 3}, 1},
		{"3 and 5 apart", []float64{1, 2, 3}, []float64{4, 5, 6, 7, 8}, 2.0 / 56},
		{"nothing", nil, []float64{1}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := result.MannWhitney(tt.a, tt.b); math.Abs(got-tt.want) > 1e-9 {
				t.Errorf("p = %v, want %v", got, tt.want)
			}
		})
	}
}

// TestMannWhitneyCounts compares with counting every division of the values, by the U statistic's definition.
func TestMannWhitneyCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(0, 4), 2, 9).Draw(t, "values")
		for i := range values {
			values[i] = math.Floor(values[i]) // with ties
		}
		n := rapid.IntRange(1, len(values)-1).Draw(t, "n")
		a, b := values[:n], values[n:]
		got, want := result.MannWhitney(a, b), countedP(values, n)
		if math.Abs(got-want) > 1e-9 {
			t.Fatalf("p of %v and %v = %v, counted %v", a, b, got, want)
		}
		if back := result.MannWhitney(b, a); math.Abs(got-back) > 1e-9 {
			t.Fatalf("p = %v, the other way round %v", got, back)
		}
	})
}

func countedP(values []float64, n int) float64 {
	u := func(chosen uint) float64 {
		var u float64
		for i, v := range values {
			for j, w := range values {
				if chosen>>i&1 == 1 && chosen>>j&1 == 0 {
					switch {
					case v > w:
						u++
					case v == w:
						u += 0.5
					}
				}
			}
		}
		return math.Abs(u - float64(n*(len(values)-n))/2)
	}
	var all, extreme float64
	given := u(1<<n - 1)
	for chosen := range uint(1) << len(values) {
		if bits(chosen) != n {
			continue
		}
		all++
		if u(chosen) >= given-1e-9 {
			extreme++
		}
	}
	return extreme / all
}

func bits(n uint) (count int) {
	for ; n > 0; n &= n - 1 {
		count++
	}
	return count
}

// TestMannWhitneyMany: beyond what is counted the approximation takes over, and agrees where they meet.
func TestMannWhitneyMany(t *testing.T) {
	sample := func(n int, shift float64) []float64 {
		var all []float64
		for i := range n {
			all = append(all, math.Mod(float64(i)*0.61803398875, 1)+shift)
		}
		return all
	}
	for _, shift := range []float64{0, 0.05, 0.15, 0.3} {
		exact := result.MannWhitney(sample(30, 0), sample(30, shift))
		approximate := result.MannWhitney(sample(31, 0), sample(30, shift))
		if math.Abs(exact-approximate) > 0.05 {
			t.Errorf("shift %v: p = %v for 30 and 30, %v for 31 and 30", shift, exact, approximate)
		}
	}
	if p := result.MannWhitney(sample(100, 0), sample(100, 2)); p > 1e-9 {
		t.Errorf("p = %v for 100 and 100 apart", p)
	}
}
