package bench_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/msgserver/msgserver/bench"
	"github.com/msgserver/msgserver/bench/result"
	"github.com/msgserver/msgserver/server"
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

// TestPacerStages: the rate goes evenly to that of each stage, as that of k6 does.
func TestPacerStages(t *testing.T) {
	p := bench.Pacer{Rate: 100, Warmup: 2 * time.Second, Stages: []result.Stage{{Duration: 10 * time.Second, Rate: 300}, {Duration: 5 * time.Second, Rate: 300}, {Duration: 10 * time.Second}}}
	for _, tt := range []struct {
		name string
		n    int64
		want time.Duration
	}{
		{"warm-up is at the first rate", 100, time.Second},
		{"the first stage begins behind it", 200, 2 * time.Second},
		{"half of its time, at 200 a second", 200 + 750, 7 * time.Second},
		{"its end", 200 + 2000, 12 * time.Second},
		{"a stage that stays", 200 + 2000 + 300, 13 * time.Second},
		{"down to nothing: three quarters come in the first half", 200 + 2000 + 1500 + 1125, 22 * time.Second},
		{"and then never", 200 + 2000 + 1500 + 1500, math.MaxInt64},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := p.Due(tt.n); (got - tt.want).Abs() > time.Microsecond {
				t.Errorf("Due(%d) = %v, want %v", tt.n, got, tt.want)
			}
		})
	}
	rapid.Check(t, func(t *rapid.T) {
		p := bench.Pacer{Rate: rapid.Float64Range(0, 1e4).Draw(t, "rate"), Warmup: time.Second}
		for range rapid.IntRange(1, 5).Draw(t, "stages") {
			p.Stages = append(p.Stages, result.Stage{Duration: time.Duration(rapid.Int64Range(1, 1e10).Draw(t, "d")), Rate: rapid.Float64Range(0, 1e4).Draw(t, "r")})
		}
		for n, last := int64(0), time.Duration(0); n < 1000; n++ {
			due := p.Due(n)
			if due < last-time.Microsecond {
				t.Fatalf("arrival %d is due at %v, the one before at %v", n, due, last)
			}
			last = due
		}
	})
}

// TestPoisson: arrivals by chance are as many, and their distances those of chance: mean and deviation are the same.
func TestPoisson(t *testing.T) {
	for _, step := range []int64{1, 4} {
		const n = 100_000
		last, sum, squares := 0.0, 0.0, 0.0
		for _, due := range bench.PoissonTimes(bench.Pacer{Rate: 1000, Step: step}, 7, n) {
			d := due.Seconds() - last
			if d < 0 {
				t.Fatal("an arrival before the last one")
			}
			last, sum, squares = due.Seconds(), sum+d, squares+d*d
		}
		mean := sum / n
		deviation := math.Sqrt(squares/n - mean*mean)
		if want := float64(step) / 1000; math.Abs(mean/want-1) > 0.02 || math.Abs(deviation/want-1) > 0.03 {
			t.Errorf("step %d: mean %v, deviation %v, want %v", step, mean, deviation, want)
		}
	}
}

// TestSchedulesRun: a run follows them.
func TestSchedulesRun(t *testing.T) {
	addr, _ := node(t, server.Config{})
	spec := shortDirect(addr)
	spec.Rate, spec.Stages = 0, []result.Stage{{Duration: 500 * time.Millisecond, Rate: 400}, {Duration: 500 * time.Millisecond, Rate: 400}}
	trial, err := bench.Run(t.Context(), spec, bench.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if trial.Check.Sent != 300 || trial.Outcome() != "ok" || trial.Latency[result.Ack].Count() != 300 {
		t.Errorf("%s: %+v", trial.Outcome(), trial.Check)
	}
	spec = shortDirect(addr)
	spec.Arrivals = result.Poisson
	if trial, err = bench.Run(t.Context(), spec, bench.Options{}); err != nil {
		t.Fatal(err)
	}
	if n := trial.Check.Sent; n < 330 || n > 550 || n == 440 || trial.Outcome() != "ok" {
		t.Errorf("%s: %d messages in 1.1 s at 400/s", trial.Outcome(), n)
	}
	if s, err := bench.Complete(spec); err != nil || s.Loop() != "open loop, 400/s, Poisson arrivals: latency from the scheduled time" {
		t.Errorf("%q, %v", s.Loop(), err)
	}
}
