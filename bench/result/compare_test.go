package result_test

import (
	"flag"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msgserver/msgserver/bench/result"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// golden compares a text with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update writes it anew):\n%s", name, diff)
	}
}

var spec = result.Spec{
	Scenario: "direct", Addr: "127.0.0.1:3005", Admin: "127.0.0.1:3007", Format: "json", Users: 100, Conns: 100, Rate: 1000,
	Ramp: time.Second, Warmup: 2 * time.Second, Duration: 3 * time.Second, Payload: 200, Seed: 1, Workers: 1,
}

var machine = result.Machine{OS: "linux", Kernel: "6.1", CPU: "a processor", Cores: 2, MemoryMB: 4096, Go: "go1.26"}

// trial is made up: latencies around ack.
func trial(ack time.Duration) result.Trial {
	t := result.Trial{
		Began: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Seconds: 3,
		Latency: map[result.Kind]*result.Histogram{
			result.Connect: result.NewHistogram(), result.Ack: result.NewHistogram(), result.Deliver: result.NewHistogram(),
		},
		Counts: result.Counts{Sent: 3000, Acked: 3000, Delivered: 3000, Succeeded: 5000},
		Check:  result.Check{Sent: 5000, Acked: 5000, Expected: 5000, Delivered: 5000},
		Generator: result.Generator{
			Version: "v1", Machine: machine, CPU: 0.25, RSSBytes: 20 << 20, Lag: result.NewHistogram(),
		},
		Server: &result.Server{Version: "v1", Machine: machine, FileSystem: "ext4", Durability: "synced"},
		Cost:   &result.Cost{CPUSeconds: 0.6, RSSBytes: 64 << 20, MaxRSSBytes: 65 << 20, WrittenBytes: 3 << 20, Commits: 1500, Messages: 3000},
	}
	for i := range 3000 {
		d := ack + time.Duration(i%100)*10*time.Microsecond
		t.Latency[result.Ack].Record(d)
		t.Latency[result.Deliver].Record(d + 100*time.Microsecond)
		t.Generator.Lag.Record(50 * time.Microsecond)
	}
	for i := range 100 {
		t.Latency[result.Connect].Record(time.Duration(300+i) * time.Microsecond)
	}
	for second := -2; second < 3; second++ {
		t.Series = append(t.Series, result.Point{
			Second: second, Length: 1, Conns: 100, Sent: 1000, Acked: 1000, Delivered: 1000, LagMs: 0.05, CPU: 0.25, ServerCPU: 0.2, ServerRSS: 64 << 20,
			Latency: map[result.Kind]result.Quantiles{result.Ack: {P50: 1, P99: 2, Max: 3}, result.Deliver: {P50: 1.1, P99: 2.1, Max: 3.1}},
		})
	}
	return t
}

// trials is a result with a trial for each ack.
func trials(acks ...time.Duration) *result.Result {
	r := &result.Result{Schema: result.Schema, Spec: spec}
	for _, ack := range acks {
		r.Trials = append(r.Trials, trial(ack))
	}
	return r
}

const ms = time.Millisecond

func TestCompare(t *testing.T) {
	a := trials(1*ms, 1100*time.Microsecond, 900*time.Microsecond, 1050*time.Microsecond, 950*time.Microsecond)
	b := trials(2*ms, 2100*time.Microsecond, 1900*time.Microsecond, 2050*time.Microsecond, 1950*time.Microsecond)
	c, err := result.Compare(a, b, result.CompareOptions{NameA: "before", NameB: "after", Gate: true, MaxRegress: 0.05})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "compare.golden", c.Text()+"\n")
	if c.Err() == nil {
		t.Error("twice the latency is no regression")
	}
	back, err := result.Compare(b, a, result.CompareOptions{NameA: "after", NameB: "before", Gate: true, MaxRegress: 0.05})
	if err != nil {
		t.Fatal(err)
	}
	if back.Err() != nil {
		t.Errorf("half the latency: %v", back.Err())
	}
	for _, r := range back.Rows {
		want := result.Noise
		if strings.HasPrefix(r.Metric, "ack p") || strings.HasPrefix(r.Metric, "deliver p") {
			want = result.Better
		}
		if r.Verdict != want {
			t.Errorf("%+v, want %s", r, want)
		}
	}
}

func TestCompareFewTrials(t *testing.T) {
	a, b := trials(1*ms, 2*ms, 3*ms), trials(4*ms, 5*ms, 6*ms)
	c, err := result.Compare(a, b, result.CompareOptions{NameA: "a", NameB: "b"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Rows[3].Verdict != result.Worse || len(c.Notes) != 2 || !strings.Contains(c.Notes[0], "0.10") {
		t.Errorf("completely apart: %v, notes %q", c.Err(), c.Notes)
	}
	b = trials(2500*time.Microsecond, 5*ms, 6*ms)
	if c, err = result.Compare(a, b, result.CompareOptions{}); err != nil || c.Rows[3].Verdict != result.Noise {
		t.Errorf("not apart: %v, %+v", err, c.Rows[3])
	}
}

func TestCompareRefuses(t *testing.T) {
	good := trials(ms, ms, ms)
	for _, tt := range []struct {
		name   string
		change func(*result.Result)
		want   string
	}{
		{"another scenario", func(r *result.Result) { r.Spec.Scenario = "group" }, "different scenarios"},
		{"another rate", func(r *result.Result) { r.Spec.Rate = 2000 }, "rate (1000 and 2000)"},
		{"a closed loop", func(r *result.Result) { r.Spec.Rate, r.Spec.Window = 0, 64 }, "window (0 and 64)"},
		{"two trials", func(r *result.Result) { r.Trials = r.Trials[:2] }, "--trials 5"},
		{"a loss", func(r *result.Result) { r.Trials[1].Check.Lost = 1 }, "trial 2 of B has failed"},
		{"an interrupted trial", func(r *result.Result) { r.Trials[0].Interrupted = true }, "interrupted"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bad := trials(ms, ms, ms)
			tt.change(bad)
			_, err := result.Compare(good, bad, result.CompareOptions{NameA: "A", NameB: "B"})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
	elsewhere := trials(ms, ms, ms)
	elsewhere.Spec.Addr, elsewhere.Spec.Seed = "192.0.2.1:3005", 7
	for i := range elsewhere.Trials {
		elsewhere.Trials[i].Server.FileSystem = "tmpfs"
		elsewhere.Trials[i].Generator.Limited = []string{"late"}
	}
	c, err := result.Compare(good, elsewhere, result.CompareOptions{NameA: "A", NameB: "B"})
	if err != nil || len(c.Notes) != 4 {
		t.Errorf("another server: %v, notes %q", err, c.Notes)
	}
}

// noisy is a result whose trials differ as those of one server do: each has a good or a bad moment that all its metrics share,
// and each metric noise of its own; now and then one is far off. worse makes the latencies so much longer.
func noisy(random *rand.Rand, n int, worse float64) *result.Result {
	r := &result.Result{Schema: result.Schema, Spec: spec}
	for range n {
		moment := 0.1 * random.NormFloat64()
		about := func(v float64) float64 {
			noise := 0.1 * random.NormFloat64()
			if random.IntN(20) == 0 {
				noise *= 5
			}
			return v * math.Exp(moment+noise)
		}
		t := result.Trial{
			Seconds: 3, Latency: map[result.Kind]*result.Histogram{},
			Counts: result.Counts{Sent: 3000, Acked: 3000, Delivered: int64(about(3000)), Succeeded: 3000},
			Check:  result.Check{Sent: 3000, Acked: 3000},
			Cost:   &result.Cost{CPUSeconds: about(0.6), RSSBytes: int64(about(64 << 20)), WrittenBytes: int64(about(3 << 20)), Messages: 3000},
		}
		for _, kind := range []result.Kind{result.Ack, result.Deliver} {
			h := result.NewHistogram()
			for _, part := range []struct {
				q     float64
				count int
			}{{1, 60}, {3, 39}, {9, 1}} { // in order: the same random numbers each time
				d := time.Duration(about(part.q*worse) * float64(ms))
				for range part.count {
					h.Record(d)
				}
			}
			t.Latency[kind] = h
		}
		r.Trials = append(r.Trials, t)
	}
	return r
}

// TestFalseAlarms: identical servers fail the gate in at most one of twenty comparisons, however many metrics and trials there are;
// one that is half as fast does fail it.
func TestFalseAlarms(t *testing.T) {
	rounds := 400
	if testing.Short() {
		rounds = 100
	}
	random := rand.New(rand.NewPCG(10, 2))
	for _, trials := range []int{4, 5, 10} {
		for _, limit := range []float64{0, 0.05} {
			alarms, found := 0, 0
			rounds := rounds
			if trials > 5 {
				rounds /= 4 // their deals are many
			}
			for i := range rounds {
				opts := result.CompareOptions{Gate: true, MaxRegress: limit}
				a := noisy(random, trials, 1)
				c, err := result.Compare(a, noisy(random, trials, 1), opts)
				if err != nil {
					t.Fatal(err)
				}
				if c.Err() != nil {
					alarms++
				}
				if i%10 != 0 {
					continue
				}
				if c, err = result.Compare(a, noisy(random, trials, 2), opts); err != nil {
					t.Fatal(err)
				}
				if c.Err() != nil {
					found++
				}
			}
			t.Logf("%d trials, limit %v: %.1f%% false alarms; a server half as fast is found in %d of %d", trials, limit, 100*float64(alarms)/float64(rounds), found, rounds/10)
			most := 0.05 * float64(rounds)
			if testing.Short() { // few rounds tell the share only to within two standard deviations
				most += 2 * math.Sqrt(0.05*0.95*float64(rounds))
			}
			if float64(alarms) > most+1e-9 {
				t.Errorf("%d trials, limit %v: %d of %d identical servers fail", trials, limit, alarms, rounds)
			}
			if trials >= 5 && found < rounds/10*8/10 {
				t.Errorf("%d trials, limit %v: half as fast is found in %d of %d", trials, limit, found, rounds/10)
			}
		}
	}
}

// TestGateNeedsBoth: what one side lacks cannot be told, and so fails; without a gate it is a note.
func TestGateNeedsBoth(t *testing.T) {
	a, b := trials(ms, ms, ms, ms), trials(ms, ms, ms, ms)
	b.Trials[1].Cost = nil
	delete(b.Trials[2].Latency, result.Ack)
	c, err := result.Compare(a, b, result.CompareOptions{Gate: true, MaxRegress: 0.5})
	if err != nil || c.Err() == nil || !strings.Contains(c.Err().Error(), "CPU a message (µs) cannot be compared: 4 of 4 trials of A have it and 3 of 4 of B") ||
		!strings.Contains(c.Err().Error(), "ack p99 (ms) cannot") {
		t.Errorf("%v, %v", err, c.Err())
	}
	if c, err = result.Compare(a, b, result.CompareOptions{}); err != nil || c.Err() != nil || !strings.Contains(strings.Join(c.Notes, "\n"), "ack p99 (ms) cannot") {
		t.Errorf("%v, %v, notes %q", err, c.Err(), c.Notes)
	}
}

// TestGateOfZero: a limit of 0% is a limit.
func TestGateOfZero(t *testing.T) {
	a := trials(1000*time.Microsecond, 1001*time.Microsecond, 1002*time.Microsecond, 1003*time.Microsecond, 1004*time.Microsecond)
	b := trials(2000*time.Microsecond, 2001*time.Microsecond, 2002*time.Microsecond, 2003*time.Microsecond, 2004*time.Microsecond)
	c, err := result.Compare(a, b, result.CompareOptions{Gate: true})
	if err != nil || c.Err() == nil {
		t.Errorf("twice the latency with a limit of 0%%: %v", err)
	}
	if _, err := result.Compare(trials(ms, ms, ms), trials(ms, ms, ms), result.CompareOptions{Gate: true}); err == nil || !strings.Contains(err.Error(), "four trials") {
		t.Errorf("three trials are gated: %v", err)
	}
}
