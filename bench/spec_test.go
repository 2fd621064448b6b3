package bench_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/msgserver/msgserver/bench"
	"github.com/msgserver/msgserver/bench/result"
)

func TestCompleteDefaults(t *testing.T) {
	for _, d := range bench.Scenarios() {
		s, err := bench.Complete(result.Spec{Scenario: d.Name})
		if err != nil {
			t.Errorf("%s: %v", d.Name, err)
			continue
		}
		if s.Users < 2 || s.Conns < s.Users || s.Duration != 30*time.Second || s.Payload < 16 || s.Format != "json" || s.Workers != 1 {
			t.Errorf("%s: %+v", d.Name, s)
		}
		if again, err := bench.Complete(s); err != nil || again.Ramp != s.Ramp || again.Rate != s.Rate {
			t.Errorf("%s completed twice: %v, %+v", d.Name, err, again)
		}
	}
	s, err := bench.Complete(result.Spec{Scenario: "group", Members: 1000})
	if err != nil || s.Users != 1000 {
		t.Errorf("a group of 1000 has %d users, %v", s.Users, err)
	}
	s, err = bench.Complete(result.Spec{Scenario: "direct", Window: 8})
	if err != nil || s.Rate != 0 || !s.Closed() {
		t.Errorf("a window is a closed loop: %+v, %v", s, err)
	}
}

func TestCompleteRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		spec result.Spec
		want string
	}{
		{"no scenario", result.Spec{}, "they are connect-storm"},
		{"a format", result.Spec{Scenario: "direct", Format: "xml"}, "neither json nor msgpack"},
		{"a negative rate", result.Spec{Scenario: "direct", Rate: -1}, "at most 10000000"},
		{"a rate of 1e30", result.Spec{Scenario: "direct", Rate: 1e30}, "at most 10000000"},
		{"a rate that is no number", result.Spec{Scenario: "direct", Rate: math.NaN()}, "at most 10000000"},
		{"a negative window", result.Spec{Scenario: "direct", Window: -1}, "within 1 and 8000"},
		{"a year", result.Spec{Scenario: "direct", Duration: 9000 * time.Hour}, "over 168h"},
		{"a backlog without end", result.Spec{Scenario: "history", Backlog: 1 << 40}, "over 1000000"},
		{"a weight without end", result.Spec{Scenario: "mixed", Mix: []result.Share{{Action: "direct", Weight: math.Inf(1)}}}, "within 0 and"},
		{"rate and window", result.Spec{Scenario: "direct", Rate: 1, Window: 1}, "one of them"},
		{"a window beyond the server's", result.Spec{Scenario: "direct", Window: 9000}, "9000"},
		{"a payload that has no room for its stamp", result.Spec{Scenario: "direct", Payload: 8}, "8 bytes"},
		{"a rate where there is no load", result.Spec{Scenario: "idle", Rate: 5}, "idle has no load"},
		{"members without groups", result.Spec{Scenario: "direct", Members: 5}, "direct has no groups"},
		{"a backlog of nothing", result.Spec{Scenario: "direct", Backlog: 5}, "no backlog"},
		{"slow clients among fast ones", result.Spec{Scenario: "direct", Slow: 5}, "no slow clients"},
		{"a mix of one", result.Spec{Scenario: "direct", Mix: bench.DefaultMix}, "no mix"},
		{"one user", result.Spec{Scenario: "direct", Users: 1}, "too few"},
		{"more users than ids", result.Spec{Scenario: "idle", Users: 1 << 20}, "too many"},
		{"fewer connections than users", result.Spec{Scenario: "direct", Users: 10, Conns: 5}, "fewer"},
		{"connections that are not even", result.Spec{Scenario: "direct", Users: 10, Conns: 15}, "evenly"},
		{"too many devices", result.Spec{Scenario: "direct", Users: 10, Conns: 90}, "more than 8"},
		{"a group larger than all", result.Spec{Scenario: "group", Users: 10, Members: 20}, "group of 20"},
		{"a group for each of two workers", result.Spec{Scenario: "group", Users: 30, Members: 20, Workers: 2}, "group of 20"},
		{"devices where there is one each", result.Spec{Scenario: "history", Users: 10, Conns: 20}, "one device"},
		{"a source that is no address", result.Spec{Scenario: "direct", Sources: []string{"here"}}, `"here"`},
		{"mixed with one device", result.Spec{Scenario: "mixed", Users: 20, Conns: 20}, "two devices"},
		{"mixed with a group that is not whole", result.Spec{Scenario: "mixed", Users: 30, Members: 20}, "even multiple"},
		{"an unknown action", result.Spec{Scenario: "mixed", Mix: []result.Share{{Action: "fly", Weight: 1}}}, `"fly"`},
		{"weights of nothing", result.Spec{Scenario: "mixed", Mix: []result.Share{{Action: "direct"}}}, "no action"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := bench.Complete(tt.spec); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestReadMix(t *testing.T) {
	mix, err := bench.ReadMix(strings.NewReader(`{"group": 1, "direct": 3.5}`))
	if err != nil || len(mix) != 2 || mix[0] != (result.Share{Action: "direct", Weight: 3.5}) {
		t.Errorf("%+v, %v", mix, err)
	}
	for _, bad := range []string{"", "[]", `{"direct": "x"}`, `{"direct": -1}`, `{"fly": 1}`, `{}`} {
		if mix, err := bench.ReadMix(strings.NewReader(bad)); err == nil {
			t.Errorf("%q is %+v", bad, mix)
		}
	}
}
