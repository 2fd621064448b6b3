package bench_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/msgserver/msgserver/bench"
	"github.com/msgserver/msgserver/bench/result"
	"github.com/msgserver/msgserver/server"
)

// TestLiesAreCaught: each lie fails the run, under its own name.
func TestLiesAreCaught(t *testing.T) {
	direct := result.Spec{Scenario: "direct", Users: 4, Rate: 500}
	broken := func(c result.Check) bool { return c.Broken > 0 && c.Lost+c.Unanswered == 0 }
	for _, tt := range []struct {
		name   string
		lies   lies
		spec   result.Spec
		caught func(result.Check) bool
		words  string // of a violation
	}{
		{"an honest server passes", lies{}, direct, func(c result.Check) bool { return c.OK() && c.Delivered == c.Sent }, ""},
		{"a lost delivery", lies{lose: 20}, direct, func(c result.Check) bool {
			return c.Lost > 0 && c.Lost == c.Expected-c.Delivered && c.Duplicated+c.Reordered == 0
		}, "did not come"},
		{"a repeated delivery", lies{repeat: 20}, direct, func(c result.Check) bool { return c.Duplicated > 0 && c.Lost+c.Reordered == 0 }, ""},
		{"two deliveries swapped", lies{swap: 19}, direct, func(c result.Check) bool { return c.Reordered > 0 && c.Lost+c.Duplicated == 0 }, ""},
		{"other content", lies{tamper: 20}, direct, func(c result.Check) bool { return c.Broken > 0 && c.Lost == c.Broken }, "other content"},
		{"a message for someone else", lies{misdeliver: 20}, direct, func(c result.Check) bool { return c.Broken > 0 && c.Lost == 0 }, "was not for it"},
		{"refused and delivered", lies{refuse: 20, deliverRefused: true}, direct, func(c result.Check) bool { return c.Broken > 0 }, "refused came"},
		{"refused and not delivered is no lie", lies{refuse: 20}, direct, func(c result.Check) bool { return c.OK() && c.Acked < c.Sent && c.Delivered == c.Acked }, ""},
		{"every third message is never answered", lies{silent: 3}, direct, func(c result.Check) bool {
			return c.Unanswered == c.Sent/3 && c.Lost+c.Broken == 0 && c.Delivered == c.Sent
		}, "were never answered"},
		{"every third bind is never answered", lies{mute: 3}, result.Spec{Scenario: "connect-storm", Users: 30, Rate: 100},
			func(c result.Check) bool { return c.Unanswered > 10 && c.Lost+c.Broken == 0 }, "a connect of user"},
		{"every push with seq 7", lies{sameSeq: 1}, direct, broken, "elsewhere"},
		{"a push with a seq beyond", lies{skipSeq: 20}, direct, broken, "elsewhere"},
		{"a push of user 424242", lies{strangeSender: 20}, direct, broken, "says that it is of user 424242"},
		{"a push of another type", lies{strangeType: 20}, direct, broken, "is of type 9"},
		{"a push with another state", lies{strangeState: 20}, direct, broken, "has state 2"},
		{"a push of another conversation", lies{strangeRoom: 20}, direct, broken, `group "a group"`},
		{"a seq that no message has", lies{skip: 20}, direct, broken, "belong to no message"},
		{"an answer to another message", lies{foreignAck: 20}, direct, broken, `is about "another"`},
		{"a receipt with another state", lies{receiptState: 20}, result.Spec{Scenario: "receipts", Users: 4, Rate: 500}, broken, "says state 3"},
		{"a receipt with another seq", lies{receiptSeq: 20}, result.Spec{Scenario: "receipts", Users: 4, Rate: 500}, broken, "elsewhere"},
		{"a receipt by user 424242", lies{receiptUser: 20}, result.Spec{Scenario: "receipts", Users: 4, Rate: 500}, broken, "is by user 424242"},
		{"pushes that were dropped, as the server says", lies{miss: 20}, direct, func(c result.Check) bool {
			return c.OK() && c.Missed > 0 && c.Notices == c.Missed && c.Delivered == c.Sent
		}, ""},
		{"missedNoti and not in the history", lies{miss: 20, losePage: 2}, direct, func(c result.Check) bool { return c.Lost > 0 }, "did not come"},
		{"seqs that go back", lies{swapSeqs: 40}, direct, func(c result.Check) bool { return c.Broken > 0 && c.Lost == 0 }, "was acknowledged with seq"},
		{"a connection that ends", lies{hangup: 50}, direct, func(c result.Check) bool { return c.Broken > 0 && c.Lost == 0 }, "ended by itself"},
		{"a lost receipt", lies{loseReceipt: 20}, result.Spec{Scenario: "receipts", Users: 4, Rate: 500}, func(c result.Check) bool { return c.Lost > 0 && c.Duplicated == 0 }, "as receipts"},
		{"receipts from an honest server", lies{}, result.Spec{Scenario: "receipts", Users: 4, Rate: 500}, func(c result.Check) bool { return c.OK() && c.Delivered == 2*c.Sent }, ""},
		{"a hole in the history", lies{losePage: 20}, result.Spec{Scenario: "history", Users: 4, Backlog: 100, Rate: 100}, func(c result.Check) bool { return c.Broken > 0 }, "asked for what follows"},
		{"a hole in what waits", lies{losePage: 50}, result.Spec{Scenario: "offline-drain", Users: 4, Backlog: 300, Rate: 50},
			func(c result.Check) bool { return c.Lost > 0 && c.Delivered < c.Expected }, "did not come"},
		{"what waits at an honest server", lies{}, result.Spec{Scenario: "offline-drain", Users: 4, Backlog: 300, Rate: 50}, func(c result.Check) bool { return c.OK() && c.Delivered == 600 }, ""},
		{"a hole in what was missed", lies{losePage: 2}, result.Spec{Scenario: "reconnect-storm", Users: 10, Rate: 2000}, func(c result.Check) bool { return c.Lost > 0 }, "did not come"},
		{"what was missed at an honest server", lies{}, result.Spec{Scenario: "reconnect-storm", Users: 10, Rate: 2000}, result.Check.OK, ""},
		{"history from an honest server", lies{}, result.Spec{Scenario: "history", Users: 4, Backlog: 100, Rate: 100}, result.Check.OK, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			spec := tt.spec
			spec.Addr, spec.Ramp, spec.Duration = startLiar(t, tt.lies), 10*time.Millisecond, 400*time.Millisecond
			trial, err := bench.Run(t.Context(), spec, bench.Options{})
			if err != nil {
				t.Fatal(err)
			}
			c := trial.Check
			if !tt.caught(c) {
				t.Errorf("check %+v", c)
			}
			if c.OK() == (trial.Outcome() == "failed") {
				t.Errorf("outcome %s of %+v", trial.Outcome(), c)
			}
			if tt.words != "" && !slices.ContainsFunc(c.Violations, func(v string) bool { return strings.Contains(v, tt.words) }) {
				t.Errorf("violations %q, want %q in one", c.Violations, tt.words)
			}
		})
	}
}

// TestStallShows: a server that stands still for half a second has that in its latencies, not only in those of the one
// message that met it: everything that was due meanwhile waited, too.
func TestStallShows(t *testing.T) {
	const stall = 500 * time.Millisecond
	spec := result.Spec{Scenario: "direct", Users: 4, Rate: 1000, Ramp: 10 * time.Millisecond, Duration: 3 * time.Second}
	spec.Addr = startLiar(t, lies{stallAt: 1000, stallFor: stall})
	trial, err := bench.Run(t.Context(), spec, bench.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []result.Kind{result.Ack, result.Deliver} {
		h := trial.Latency[kind]
		if got := h.Quantile(99.9); got < stall*9/10 {
			t.Errorf("%s p99.9 is %v, after a stall of %v", kind, got, stall)
		}
		if got := h.Quantile(90); got < stall/10 {
			t.Errorf("%s p90 is %v: a sixth of all messages were due during the stall", kind, got)
		}
		if got := h.Quantile(50); got > stall/5 {
			t.Errorf("%s p50 is %v: most messages did not meet the stall", kind, got)
		}
	}
	if lag := trial.Generator.Lag.Quantile(99); lag > stall/5 {
		t.Errorf("the generator was %v late: it must go on while the server stands still", lag)
	}
	if n := trial.Counts.Sent; n < 2500 || n > 3000 {
		t.Errorf("%d messages left in 3 s at 1,000/s", n)
	}
}

// TestUnansweredInPercentiles: what is never answered has waited until the run gave it up, in every percentile, and is
// neither a success nor what an objective overlooks.
func TestUnansweredInPercentiles(t *testing.T) {
	spec := result.Spec{Scenario: "direct", Users: 4, Rate: 300, Ramp: 10 * time.Millisecond, Warmup: 100 * time.Millisecond, Duration: 600 * time.Millisecond}
	spec.Addr = startLiar(t, lies{silent: 3})
	slo, err := result.ParseSLO("errors==0,unanswered==0,success>=99,loss==0")
	if err != nil {
		t.Fatal(err)
	}
	trial, err := bench.Run(t.Context(), spec, bench.Options{SLO: slo})
	if err != nil {
		t.Fatal(err)
	}
	h := trial.Latency[result.Ack]
	if n := h.Count(); n != 180 {
		t.Errorf("%d latencies of 180 messages", n)
	}
	if fast, slow := h.Quantile(60), h.Quantile(70); fast > time.Second || slow < 2*time.Second {
		t.Errorf("p60 %v, p70 %v: a third has waited for seconds", fast, slow)
	}
	for i, met := range []bool{false, false, false, true} {
		if v := trial.SLO[i]; v.OK != met {
			t.Errorf("%s %s", v.Objective, v)
		}
	}
	if c := trial.Counts; c.Unanswered != 70 || c.Succeeded != 140 || trial.Outcome() != "failed" {
		t.Errorf("%s: %+v", trial.Outcome(), c)
	}
	r := &result.Result{Spec: spec, Trials: []result.Trial{*trial}}
	if text := r.Text(); !strings.HasPrefix(text, "direct: failed, 66.67% of 210 requests done, 70 NEVER ANSWERED\n") {
		t.Error(text)
	}
}

// TestMuteServer: a server that answers no message at all ends the run, although more was due than may wait for answers.
func TestMuteServer(t *testing.T) {
	for name, spec := range map[string]result.Spec{"open loop": {Rate: 20_000}, "closed loop": {Window: 4}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec.Scenario, spec.Users, spec.Ramp, spec.Duration = "direct", 2, 10*time.Millisecond, 600*time.Millisecond
			spec.Addr = startLiar(t, lies{silent: 1})
			trial, err := bench.Run(t.Context(), spec, bench.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if trial.Outcome() != "failed" || trial.Counts.Succeeded != 0 || trial.Check.Unanswered == 0 {
				t.Errorf("%s: %+v", trial.Outcome(), trial.Counts)
			}
			if n := trial.Latency[result.Ack].Count(); spec.Rate > 0 && n != 12_000 {
				t.Errorf("%d latencies of 12,000 messages that were due", n)
			}
		})
	}
}

// TestNoSuccessFails: a run in which nothing came of anything has failed, whatever answers there.
func TestNoSuccessFails(t *testing.T) {
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	spec := result.Spec{Scenario: "connect-storm", Users: 10, Rate: 50, Warmup: 100 * time.Millisecond, Duration: 400 * time.Millisecond}
	spec.Addr = web.Listener.Addr().String()
	trial, err := bench.Run(t.Context(), spec, bench.Options{})
	if err == nil && trial.Outcome() != "failed" {
		t.Errorf("%s: %+v", trial.Outcome(), trial.Counts)
	}
}

// TestConnectLatency: only what was due while measuring counts, from when it was due.
func TestConnectLatency(t *testing.T) {
	addr, admin := node(t, server.Config{})
	spec := result.Spec{Scenario: "connect-storm", Addr: addr, Admin: admin, Users: 20, Rate: 200, Warmup: time.Second, Duration: time.Second}
	trial, err := bench.Run(t.Context(), spec, bench.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if n := trial.Latency[result.Connect].Count(); n != 200 {
		t.Errorf("%d connect latencies of the 200 that were due in the second that counts", n)
	}
	spec = shortDirect(addr)
	if trial, err = bench.Run(t.Context(), spec, bench.Options{}); err != nil {
		t.Fatal(err)
	}
	if h := trial.Latency[result.Connect]; h != nil && h.Count() > 0 {
		t.Errorf("%d connections of the ramp are in the latencies", h.Count())
	}
}

// TestWarmupSeconds: the seconds before the measurement are -2 and -1, and none is left out.
func TestWarmupSeconds(t *testing.T) {
	addr, _ := node(t, server.Config{})
	spec := shortDirect(addr)
	spec.Warmup, spec.Duration = 2*time.Second, 2*time.Second
	trial, err := bench.Run(t.Context(), spec, bench.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var seconds []int
	for _, p := range trial.Series {
		if p.Length > 0.05 {
			seconds = append(seconds, p.Second)
		}
	}
	if want := []int{-2, -1, 0, 1}; !slices.Equal(seconds, want) {
		t.Errorf("seconds %v, want %v", seconds, want)
	}
}

// TestRestartedServer: what a server that was restarted has used is unknown, and not negative.
func TestRestartedServer(t *testing.T) {
	var asked atomic.Int64
	stats := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		cpu := 100.0
		if asked.Add(1) > 3 {
			cpu = 0.5
		}
		fmt.Fprintf(w, `{"process":{"cpuSeconds":%v,"rssBytes":2000000}}`, cpu)
	}))
	defer stats.Close()
	spec := shortDirect(startLiar(t, lies{}))
	spec.Admin, spec.Duration = stats.Listener.Addr().String(), 3*time.Second
	trial, err := bench.Run(t.Context(), spec, bench.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if c := trial.Cost; !c.Restarted || c.CPUSeconds != 0 {
		t.Errorf("cost %+v", c)
	}
	for _, p := range trial.Series {
		if p.ServerCPU < 0 {
			t.Errorf("second %d has %v cores", p.Second, p.ServerCPU)
		}
	}
	r := &result.Result{Spec: spec, Trials: []result.Trial{*trial}}
	if text := r.Text(); !strings.Contains(text, "unknown: the server was restarted") {
		t.Error(text)
	}
}

// TestMissedInPercentiles: what had to be fetched was not delivered when its push was dropped.
func TestMissedInPercentiles(t *testing.T) {
	spec := result.Spec{Scenario: "direct", Users: 4, Rate: 200, Ramp: 10 * time.Millisecond, Duration: time.Second}
	spec.Addr = startLiar(t, lies{miss: 4})
	slo, err := result.ParseSLO("missed==0")
	if err != nil {
		t.Fatal(err)
	}
	trial, err := bench.Run(t.Context(), spec, bench.Options{SLO: slo})
	if err != nil {
		t.Fatal(err)
	}
	h := trial.Latency[result.Deliver]
	if h.Count() != 200 || h.Quantile(99) < 500*time.Millisecond || trial.Outcome() != "slo" {
		t.Errorf("%s: %d latencies, p99 %v", trial.Outcome(), h.Count(), h.Quantile(99))
	}
	r := &result.Result{Spec: spec, Trials: []result.Trial{*trial}}
	if text := r.Text(); !strings.Contains(text, "50 deliveries MISSED") || !strings.Contains(text, "missedNoti, 50 times") {
		t.Error(text)
	}
}

// TestBusyGroups: a server that has too many members to write yet is asked again.
func TestBusyGroups(t *testing.T) {
	spec := result.Spec{Scenario: "group", Users: 4, Members: 4, Rate: 0.1, Ramp: 10 * time.Millisecond, Duration: 50 * time.Millisecond}
	spec.Addr = startLiar(t, lies{busy: 3})
	if _, err := bench.Run(t.Context(), spec, bench.Options{}); err != nil {
		t.Error(err)
	}
}

// TestPeerWithoutWords: what accepts connections and says nothing is told within a few seconds from a server.
func TestPeerWithoutWords(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	began := time.Now()
	_, err = bench.Run(t.Context(), shortDirect(l.Addr().String()), bench.Options{})
	if took := time.Since(began); !errors.Is(err, bench.ErrProtocol) || took > 5*time.Second {
		t.Errorf("after %v: %v", took, err)
	}
}
