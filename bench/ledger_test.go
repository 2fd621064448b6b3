package bench_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/msgserver/msgserver/bench"
)

// TestSpans holds a set of spans against a plain one.
func TestSpans(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s, other bench.Spans
		plain, plainOther := map[int64]bool{}, map[int64]bool{}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				lo := rapid.Int64Range(0, 40).Draw(t, "lo")
				hi := lo
				for hi < lo+rapid.Int64Range(1, 5).Draw(t, "n") && !plain[hi] {
					plain[hi] = true
					hi++
				}
				if hi > lo && !s.Add(lo, hi) {
					t.Fatal("it is full")
				}
			},
			"remove": func(t *rapid.T) {
				n := rapid.Int64Range(0, 45).Draw(t, "n")
				if s.Remove(n) != plain[n] {
					t.Fatalf("remove %d of %v", n, s)
				}
				delete(plain, n)
			},
			"add to the other": func(t *rapid.T) {
				if n := rapid.Int64Range(0, 45).Draw(t, "n"); !plainOther[n] {
					other.Add(n, n+1)
					plainOther[n] = true
				}
			},
			"": func(t *rapid.T) {
				both := int64(0)
				for n := range int64(50) {
					if s.Has(n) != plain[n] {
						t.Fatalf("%v has %d: %v", s, n, s.Has(n))
					}
					if plain[n] && plainOther[n] {
						both++
					}
				}
				if s.Count() != int64(len(plain)) || s.Overlap(other) != both || other.Overlap(s) != both {
					t.Fatalf("%v and %v: count %d, overlap %d", s, other, s.Count(), s.Overlap(other))
				}
			},
		})
	})
}

// TestReading: whatever order messages come in, however often, what is lost, repeated and late is what a plain
// count of them says.
func TestReading(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const sent = 20
		came := rapid.SliceOfN(rapid.Int64Range(0, sent-1), 0, 60).Draw(t, "came")
		var r bench.Reading
		seen, highest := map[int64]bool{}, int64(-1)
		var duplicated, reordered int64
		for _, n := range came {
			if first := r.Take(n); first == seen[n] {
				t.Fatalf("message %d is new: %v", n, first)
			}
			switch {
			case seen[n]:
				duplicated++
			case n < highest:
				reordered++
			}
			seen[n], highest = true, max(highest, n)
		}
		lost, twice, late := r.Verdict(sent)
		if lost != sent-int64(len(seen)) || twice != duplicated || late != reordered {
			t.Fatalf("%v: lost %d, repeated %d, late %d", came, lost, twice, late)
		}
	})
}

func TestMsgID(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		flow, n := rapid.IntRange(0, 1<<30).Draw(t, "flow"), rapid.Int64Range(0, 1<<50).Draw(t, "n")
		gotFlow, gotN, ok := bench.ParseMsgID("ABC", bench.MsgID("ABC", flow, n))
		if !ok || gotFlow != flow || gotN != n {
			t.Fatalf("%d and %d became %d and %d, %v", flow, n, gotFlow, gotN, ok)
		}
	})
	for _, id := range []string{"", "ABC", "ABC-", "ABC-1", "ABC-1-", "ABC--1", "ABD-1-1", "ABC-1-1-1", "ABC-1-A", "ABC-1-1 ", "ABC-1-zzzzzzzzzzzz", "ABCx1-1"} {
		if flow, n, ok := bench.ParseMsgID("ABC", id); ok {
			t.Errorf("%q is message %d of flow %d", id, n, flow)
		}
	}
}

// TestClimb finds a rate that it does not know.
func TestClimb(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.Float64Range(2, 1e6).Draw(t, "limit")
		c := bench.Climb{First: rapid.Float64Range(1, 1e6).Draw(t, "first"), Precision: 0.05}
		for range 100 {
			rate, done := c.Next()
			if done {
				if rate > limit || rate < limit*0.94 {
					t.Fatalf("%v, and the limit is %v", rate, limit)
				}
				return
			}
			c.Tell(rate, rate <= limit)
		}
		t.Fatal("no end")
	})
	c := bench.Climb{First: 100, Precision: 0.05}
	for range 20 {
		rate, done := c.Next()
		if done && rate == 0 {
			return
		}
		c.Tell(rate, false)
	}
	t.Error("a server that meets nothing has a capacity")
}
