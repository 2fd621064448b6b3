package bench_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/msgserver/msgserver/bench"
	"github.com/msgserver/msgserver/bench/result"
)

// BenchmarkGenerator is what the generator is capable of, against a server in another process that does nothing but
// acknowledge; both share the machine's cores.
//
//	go test ./bench -run '^$' -bench Generator -benchtime 1x
func BenchmarkGenerator(b *testing.B) {
	for _, format := range []string{"json", "msgpack"} {
		b.Run("direct/window=64/"+format, func(b *testing.B) {
			for b.Loop() {
				t := generate(b, result.Spec{Scenario: "direct", Users: 100, Window: 64, Format: format, Warmup: time.Second, Duration: 5 * time.Second})
				b.ReportMetric(t.PerSecond(t.Counts.Acked), "msgs/s")
				b.ReportMetric(t.Generator.CPU, "cores")
			}
		})
	}
	for _, rate := range []float64{10_000, 50_000, 100_000} {
		b.Run(fmt.Sprintf("direct/rate=%.0f", rate), func(b *testing.B) {
			for b.Loop() {
				t := generate(b, result.Spec{Scenario: "direct", Users: 100, Rate: rate, Warmup: time.Second, Duration: 5 * time.Second})
				b.ReportMetric(t.PerSecond(t.Counts.Acked), "msgs/s")
				b.ReportMetric(result.Millis(t.Latency[result.Ack].Quantile(99)), "ack-p99-ms")
				b.ReportMetric(result.Millis(t.Generator.Lag.Quantile(99)), "lag-p99-ms")
			}
		})
	}
	b.Run("idle/15000", func(b *testing.B) {
		for b.Loop() {
			t := generate(b, result.Spec{Scenario: "idle", Users: 15_000, Duration: 2 * time.Second})
			b.ReportMetric(float64(t.Memory.ClientPerConn), "B/conn")
		}
	})
}

// generate runs a spec against a stub; that nothing is delivered is not the generator's fault.
func generate(t testing.TB, spec result.Spec) *result.Trial {
	t.Helper()
	spec.Addr = startStub(t)
	trial, err := bench.Run(t.Context(), spec, bench.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(trial.Counts.Errors) > 0 || trial.Check.Acked != trial.Check.Sent || trial.Check.Broken > 0 {
		t.Fatalf("errors %v, check %+v", trial.Counts.Errors, trial.Check)
	}
	return trial
}

// TestGenerator is BenchmarkGenerator with far smaller numbers, which every machine reaches.
func TestGenerator(t *testing.T) {
	trial := generate(t, result.Spec{Scenario: "direct", Users: 20, Window: 64, Warmup: 100 * time.Millisecond, Duration: 500 * time.Millisecond})
	if rate := trial.PerSecond(trial.Counts.Acked); rate < 20_000 {
		t.Errorf("%.0f messages/s against a server that only acknowledges", rate)
	}
	if trial.Check.Lost != trial.Check.Sent || trial.Outcome() != "failed" {
		t.Errorf("a server that delivers nothing: %+v", trial.Check)
	}
	if testing.Short() {
		return // the race detector runs these, and takes memory of its own
	}
	trial = generate(t, result.Spec{Scenario: "idle", Users: 2000, Ramp: 200 * time.Millisecond, Duration: 100 * time.Millisecond})
	if m := trial.Memory; m.ClientPerConn > 15<<10 || m.ClientPerConn < 1<<10 {
		t.Errorf("an idle connection takes %d bytes", m.ClientPerConn)
	}
}
