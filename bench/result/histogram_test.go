package result_test

import (
	"encoding/json"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/msgserver/msgserver/bench/result"
)

// TestHistogram holds the statistics against the sorted latencies, within three digits, and merging and writing
// against recording everything into one.
func TestHistogram(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(rapid.Int64Range(1, 100_000_000), 1, 200).Draw(t, "µs")
		split := rapid.IntRange(0, len(all)).Draw(t, "split")
		one, a, b := result.NewHistogram(), result.NewHistogram(), result.NewHistogram()
		for i, us := range all {
			d := time.Duration(us) * time.Microsecond
			one.Record(d)
			if i < split {
				a.Record(d)
			} else {
				b.Record(d)
			}
		}
		a.Merge(b)
		text, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		var read result.Histogram
		if err := json.Unmarshal(text, &read); err != nil {
			t.Fatal(err)
		}
		slices.Sort(all)
		for _, q := range []float64{1, 50, 90, 99, 99.9, 100} {
			want := all[max(int(q/100*float64(len(all))+0.5), 1)-1] // the nearest rank, as HdrHistogram has it
			for name, h := range map[string]*result.Histogram{"recorded": one, "merged": a, "read": &read} {
				if got := h.Quantile(q).Microseconds(); math.Abs(float64(got-want)) > 1+float64(want)/500 {
					t.Fatalf("%s: p%v is %d µs, not %d", name, q, got, want)
				}
			}
		}
		if n := int64(len(all)); one.Count() != n || a.Count() != n || read.Count() != n {
			t.Fatalf("counts %d, %d, %d of %d", one.Count(), a.Count(), read.Count(), n)
		}
		if read.Mean() != a.Mean() || read.Min() != a.Min() || read.Max() != a.Max() {
			t.Fatalf("read %v %v %v, written %v %v %v", read.Min(), read.Mean(), read.Max(), a.Min(), a.Mean(), a.Max())
		}
	})
}

func TestHistogramEdges(t *testing.T) {
	h := result.NewHistogram()
	if h.Quantile(99) != 0 || h.Min() != 0 || h.Max() != 0 || h.Mean() != 0 || h.Steps() != nil {
		t.Error("an empty histogram has latencies")
	}
	h.Record(-time.Second)
	h.Record(time.Hour)
	if h.Count() != 2 || h.Over() != 1 || h.Max() < 119*time.Second || h.Max() > 121*time.Second {
		t.Errorf("count %d, over %d, max %v", h.Count(), h.Over(), h.Max())
	}
	steps := h.Steps()
	if last := steps[len(steps)-1]; last.Percent != 100 || last.Latency != h.Max() {
		t.Errorf("the last step is %+v", last)
	}
	text, _ := json.Marshal(h)
	var read result.Histogram
	if err := json.Unmarshal(text, &read); err != nil || read.Over() != 1 {
		t.Errorf("over %d, %v", read.Over(), err)
	}
	h.Reset()
	if h.Count() != 0 || h.Over() != 0 {
		t.Error("it is not empty after Reset")
	}
}
