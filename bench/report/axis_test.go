package report_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msgserver/msgserver/bench/report"
)

func TestTicks(t *testing.T) {
	for _, tt := range []struct {
		name, kind, unit string
		lo, hi           float64
		want             []string
	}{
		{"rates", "linear", "rate", 0, 5100, []string{"0", "2,000", "4,000", "6,000"}},
		{"small rates", "linear", "rate", 0, 0.9, []string{"0", "0.2", "0.4", "0.6", "0.8", "1"}},
		{"nothing", "linear", "rate", 0, 0, []string{"0", "0.2", "0.4", "0.6", "0.8", "1"}},
		{"bytes", "linear", "bytes", 0, 64 << 20, []string{"0", "20 MiB", "40 MiB", "60 MiB", "80 MiB"}},
		{"latencies of two decades", "log", "ms", 0.3, 19, []string{"0.2 ms", "0.5 ms", "1 ms", "2 ms", "5 ms", "10 ms", "20 ms"}},
		{"latencies of five decades", "log", "ms", 0.011, 900, []string{"0.01 ms", "0.1 ms", "1 ms", "10 ms", "100 ms", "1,000 ms"}},
		{"one latency", "log", "ms", 1, 1, []string{"1 ms", "2 ms"}},
		{"half a minute", "time", "time", -5, 30, []string{"0", "10 s", "20 s", "30 s"}},
		{"an hour", "time", "time", 0, 3600, []string{"0", "10 min", "20 min", "30 min", "40 min", "50 min", "60 min"}},
		{"ten thousand latencies", "percent", "decades", 0, 10000, []string{"0%", "50%", "90%", "99%", "99.9%", "99.99%"}},
		{"one of them", "percent", "decades", 0, 1, []string{"0%", "50%", "90%"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, report.Ticks(tt.kind, tt.unit, tt.lo, tt.hi)); diff != "" {
				t.Errorf("ticks (-want +got):\n%s", diff)
			}
		})
	}
}
