package bench_test

import (
	"strings"
	"testing"
	"time"

	"github.com/msgserver/msgserver/bench"
	"github.com/msgserver/msgserver/bench/result"
)

// TestLiesAreCaught: each lie fails the run, under its own name.
func TestLiesAreCaught(t *testing.T) {
	direct := result.Spec{Scenario: "direct", Users: 4, Rate: 500}
	for _, tt := range []struct {
		name   string
		lies   lies
		spec   result.Spec
		caught func(result.Check) bool
		words  string // of the first violation
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
			if tt.words != "" && (len(c.Violations) == 0 || !strings.Contains(c.Violations[0], tt.words)) {
				t.Errorf("violations %q, want %q in the first", c.Violations, tt.words)
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
