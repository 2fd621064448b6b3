package result_test

import (
	"flag"
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
	c, err := result.Compare(a, b, result.CompareOptions{NameA: "before", NameB: "after", MaxRegress: 0.05})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "compare.golden", c.Text()+"\n")
	if c.Err() == nil {
		t.Error("twice the latency is no regression")
	}
	back, err := result.Compare(b, a, result.CompareOptions{NameA: "after", NameB: "before", MaxRegress: 0.05})
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
	c, err := result.Compare(a, b, result.CompareOptions{NameA: "a", NameB: "b", MaxRegress: 0.05})
	if err != nil {
		t.Fatal(err)
	}
	if c.Err() == nil || len(c.Notes) != 1 || !strings.Contains(c.Notes[0], "0.10") {
		t.Errorf("completely apart: %v, notes %q", c.Err(), c.Notes)
	}
	b = trials(2500*time.Microsecond, 5*ms, 6*ms)
	if c, err = result.Compare(a, b, result.CompareOptions{MaxRegress: 0.05}); err != nil || c.Err() != nil {
		t.Errorf("not apart: %v, %v", err, c.Err())
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
	if err != nil || len(c.Notes) != 3 {
		t.Errorf("another server: %v, notes %q", err, c.Notes)
	}
}
