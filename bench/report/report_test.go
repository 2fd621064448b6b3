package report_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msgserver/msgserver/bench/report"
	"github.com/msgserver/msgserver/bench/result"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// made is a result with as many trials as there are latencies; everything in it is made up.
func made(acks ...time.Duration) *result.Result {
	machine := result.Machine{OS: "linux", Kernel: "6.1", CPU: "a processor", Cores: 2, MemoryMB: 4096, Go: "go1.26"}
	r := &result.Result{Schema: result.Schema, Spec: result.Spec{
		Scenario: "direct", Addr: "127.0.0.1:3005", Format: "json", Users: 100, Conns: 100, Rate: 1000, Ramp: time.Second,
		Warmup: 2 * time.Second, Duration: 5 * time.Second, Payload: 200, Seed: 1, Workers: 1,
	}}
	for _, ack := range acks {
		t := result.Trial{
			Began: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Seconds: 5,
			Latency:   map[result.Kind]*result.Histogram{result.Ack: result.NewHistogram(), result.Deliver: result.NewHistogram()},
			Counts:    result.Counts{Sent: 5000, Acked: 5000, Delivered: 5000, Succeeded: 7000},
			Check:     result.Check{Sent: 7000, Acked: 7000, Expected: 7000, Delivered: 7000},
			Generator: result.Generator{Version: "v1", Machine: machine, CPU: 0.25, RSSBytes: 20 << 20, Lag: result.NewHistogram()},
			Server:    &result.Server{Version: "v1", Machine: machine, FileSystem: "ext4", Durability: "synced"},
			Cost:      &result.Cost{CPUSeconds: 1, RSSBytes: 64 << 20, MaxRSSBytes: 65 << 20, WrittenBytes: 5 << 20, Commits: 2500, Messages: 5000},
		}
		for i := range 5000 {
			d := ack + time.Duration(i*i)*time.Nanosecond
			t.Latency[result.Ack].Record(d)
			t.Latency[result.Deliver].Record(d + 100*time.Microsecond)
		}
		for second := -2; second < 5; second++ {
			v := result.Millis(ack) + float64(second+2)/10
			p := result.Point{Second: second, Length: 1, Conns: 100, Sent: 1000, Acked: 1000, Delivered: 990, CPU: 0.25, ServerCPU: 0.2, ServerRSS: 64 << 20}
			if second >= 0 {
				p.LagMs = 0.05
				p.Latency = map[result.Kind]result.Quantiles{result.Ack: {P50: v, P99: 2 * v, Max: 3 * v}, result.Deliver: {P50: v, P99: 2 * v, Max: 4 * v}}
			}
			t.Series = append(t.Series, p)
		}
		r.Trials = append(r.Trials, t)
	}
	return r
}

func render(t *testing.T, results ...report.Named) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.HTML(&b, results...); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestGolden holds the pages; style and script, which have files of their own, are left out.
func TestGolden(t *testing.T) {
	slower := made(2*time.Millisecond, 2100*time.Microsecond, 2200*time.Microsecond)
	for name, page := range map[string]string{
		"one":     render(t, report.Named{Name: "one", Result: made(time.Millisecond)}),
		"compare": render(t, report.Named{Name: "before", Result: made(time.Millisecond, 1100*time.Microsecond, 1200*time.Microsecond)}, report.Named{Name: "after", Result: slower}),
	} {
		page = regexp.MustCompile(`(?s)<(style|script)>.*?</`).ReplaceAllString(page, "<$1></")
		file := filepath.Join("testdata", name+".golden.html")
		if *update {
			if err := os.WriteFile(file, []byte(page), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), page); diff != "" {
			t.Errorf("%s (-want +got; -update writes it anew):\n%s", name, diff)
		}
	}
}

// TestSelfContained: the page fetches nothing.
func TestSelfContained(t *testing.T) {
	page := render(t, report.Named{Name: "a", Result: made(time.Millisecond)}, report.Named{Name: "b", Result: made(time.Millisecond)})
	for _, outside := range []string{"http:", "https:", "src=", "href=", "@import", "url(", "ZgotmplZ"} {
		if strings.Contains(page, outside) {
			t.Errorf("the page has %q", outside)
		}
	}
}

// TestHostile: what a server or a directory is called does not become part of the page.
func TestHostile(t *testing.T) {
	const evil = `"><script>alert(1)</script>`
	r := made(time.Millisecond)
	r.Spec.Scenario, r.Spec.Addr = evil, evil
	tr := &r.Trials[0]
	tr.Server.Version, tr.Generator.Limited, tr.Check.Violations, tr.Check.Broken = evil, []string{evil}, []string{evil}, 1
	tr.Counts.Errors = map[string]int64{evil: 1}
	tr.SLO = []result.Verdict{{Objective: evil}}
	page := render(t, report.Named{Name: evil, Result: r}, report.Named{Name: evil, Result: r})
	if strings.Contains(page, "<script>alert") {
		t.Error("a name became a script")
	}
	for _, want := range []string{"client-limited", "The check failed", "not met: nothing was measured", "&lt;script&gt;"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

// TestLittle: results that have hardly anything in them are pages, too.
func TestLittle(t *testing.T) {
	if err := report.HTML(&bytes.Buffer{}); err == nil {
		t.Error("a report of nothing")
	}
	if err := report.HTML(&bytes.Buffer{}, report.Named{Name: "nil"}); err == nil {
		t.Error("a report of no result")
	}
	bare := made(time.Millisecond)
	bare.Trials[0] = result.Trial{Generator: result.Generator{Lag: result.NewHistogram()}, Latency: map[result.Kind]*result.Histogram{result.Ack: result.NewHistogram()},
		Series: []result.Point{{Length: 1}}}
	memory := made(time.Millisecond)
	memory.Trials[0].Memory = &result.Memory{Conns: 1000, ServerPerConn: 700, KernelPerSocket: 5000, ClientPerConn: 9000}
	closed := made(time.Millisecond)
	closed.Spec.Rate, closed.Spec.Window = 0, 64
	for name, tt := range map[string]struct {
		r    *result.Result
		want string
	}{
		"no trial":       {&result.Result{Spec: result.Spec{Scenario: "idle"}}, "there is no trial in it"},
		"an empty trial": {bare, "direct"},
		"memory":         {memory, "kernel 4.88 KiB a socket"},
		"a closed loop":  {closed, "closed loop, window 64"},
		"many trials":    {made(1, 2, 3, 4, 5, 6, 7, 8), "8 trials"},
	} {
		if page := render(t, report.Named{Name: name, Result: tt.r}); !strings.Contains(page, tt.want) || strings.Contains(page, "NaN") {
			t.Errorf("%s: no %q on the page, or a NaN", name, tt.want)
		}
		both := render(t, report.Named{Name: name, Result: tt.r}, report.Named{Name: "other", Result: made(time.Millisecond)})
		if !strings.Contains(both, "compared") {
			t.Errorf("%s: not compared", name)
		}
	}
}

// TestIndex: one page leads to all reports, and nothing of a result becomes part of it.
func TestIndex(t *testing.T) {
	const evil = `"><script>alert(1)</script>`
	bad := made(time.Millisecond)
	bad.Spec.Scenario, bad.Trials[0].Check.Lost = evil, 1
	var b bytes.Buffer
	if err := report.Index(&b, []report.Link{{To: "01-direct/report.html", Named: report.Named{Name: "direct", Result: made(time.Millisecond)}}, {To: "javascript:alert(1)", Named: report.Named{Name: evil, Result: bad}}}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`<a href="01-direct/report.html">direct</a>`, "outcome failed", "100%"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in it", want)
		}
	}
	if s := b.String(); strings.Contains(s, "<script>alert") || strings.Contains(s, `href="javascript`) {
		t.Error("a name became a script")
	}
}

// TestCapacityDraws: the attempts are drawn by their rates, and listed with what they did not pass by.
func TestCapacityDraws(t *testing.T) {
	c := report.Capacity{Spec: result.Spec{Scenario: "direct"}, Rate: 2000, Objectives: "ack.p99<50ms"}
	for i, rate := range []float64{1000, 2000, 4000} {
		a := report.Attempt{Rate: rate, Trial: made(time.Duration(i+1) * time.Millisecond).Trials[0]}
		if rate > 2000 {
			a.Why = []string{"ack.p99<50ms NOT MET <b>"}
		}
		c.Attempts = append(c.Attempts, a)
	}
	for name, c := range map[string]report.Capacity{"three": c, "none": {Spec: c.Spec}} {
		var b bytes.Buffer
		if err := report.CapacityHTML(&b, c); err != nil {
			t.Fatal(err)
		}
		s := b.String()
		if name == "none" {
			continue
		}
		for _, want := range []string{"2,000/s", "<svg", "ack p99", "NOT MET &lt;b&gt;", "passed"} {
			if !strings.Contains(s, want) {
				t.Errorf("no %q in it", want)
			}
		}
		for _, outside := range []string{"http:", "https:", "src=", "NaN", "ZgotmplZ"} {
			if strings.Contains(s, outside) {
				t.Errorf("the page has %q", outside)
			}
		}
	}
}
