package result

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"text/tabwriter"
)

// CompareOptions says how results are compared.
type CompareOptions struct {
	NameA, NameB string
	Alpha        float64 // below which p a difference is no noise; default 0.05
	Gate         bool    // what got worse by more than MaxRegress, or cannot be told, is a regression
	MaxRegress   float64 // the share by which a metric may get worse, 0.05 for 5%
}

// Comparison is what B is like, beside A.
type Comparison struct {
	A           string   `json:"a"`
	B           string   `json:"b"`
	Scenario    string   `json:"scenario"`
	Loop        string   `json:"loop"`
	TrialsA     int      `json:"trialsA"`
	TrialsB     int      `json:"trialsB"`
	Alpha       float64  `json:"alpha"` // below which, or at the least reachable p, a difference is no noise
	Asked       float64  `json:"asked"` // the same, as it was asked for: the half of it bounds how often chance is called a regression
	Rows        []Row    `json:"rows"`
	Notes       []string `json:"notes,omitempty"`
	Regressions []string `json:"regressions,omitempty"` // metrics that are worse by more than is allowed
}

// Row is one metric.
type Row struct {
	Metric  string  `json:"metric"`
	A       float64 `json:"a"`       // median of the trials
	SpreadA float64 `json:"spreadA"` // largest distance of a trial from the median, as a share of it
	B       float64 `json:"b"`
	SpreadB float64 `json:"spreadB"`
	Delta   float64 `json:"delta"` // of the medians, as a share of A
	P       float64 `json:"p"`
	Verdict Change  `json:"verdict"`
}

// Change is what a difference means.
type Change string

// The verdicts.
const (
	Better Change = "better"
	Worse  Change = "worse"
	Noise  Change = "~"
)

// fewest is how many trials each side must have.
const fewest = 3

// Compare compares the trials of two results of the same scenario and load.
func Compare(a, b *Result, opts CompareOptions) (*Comparison, error) {
	if err := sameLoad(a, b); err != nil {
		return nil, err
	}
	if err := errors.Join(usable(opts.NameA, a), usable(opts.NameB, b)); err != nil {
		return nil, err
	}
	if opts.Alpha == 0 {
		opts.Alpha = 0.05
	}
	c := &Comparison{
		A: opts.NameA, B: opts.NameB, Scenario: a.Spec.Scenario, Loop: a.Spec.Loop(), TrialsA: len(a.Trials), TrialsB: len(b.Trials),
		Alpha: opts.Alpha, Asked: opts.Alpha,
	}
	c.note(a, b)
	var both []compared
	for _, m := range metrics() {
		va, vb := m.values(a), m.values(b)
		if va == nil || vb == nil {
			c.lack(m, a, b, opts.Gate)
			continue
		}
		both = append(both, compared{m, va, vb})
		c.Rows = append(c.Rows, compareRow(m, va, vb, c.Alpha))
	}
	c.Notes = append(c.Notes, fmt.Sprintf("each p is of its metric alone: of %d metrics of the same server %s differ by chance", len(c.Rows), Number(c.Alpha*float64(len(c.Rows)))))
	if opts.Gate {
		return c, c.gate(both, opts.MaxRegress)
	}
	return c, nil
}

// lack notes a metric that not all trials have, although some do.
func (c *Comparison) lack(m metric, a, b *Result, gate bool) {
	hasA, hasB := m.count(a), m.count(b)
	if hasA+hasB == 0 {
		return
	}
	missing := fmt.Sprintf("%s cannot be compared: %d of %d trials of A have it and %d of %d of B", m.name, hasA, c.TrialsA, hasB, c.TrialsB)
	if gate {
		c.Regressions = append(c.Regressions, missing)
		return
	}
	c.Notes = append(c.Notes, missing)
}

// sameLoad refuses what would compare different things.
func sameLoad(a, b *Result) error {
	if a.Spec.Scenario != b.Spec.Scenario {
		return fmt.Errorf("%s and %s are different scenarios", a.Spec.Scenario, b.Spec.Scenario)
	}
	var differ []string
	va, vb := reflect.ValueOf(a.Spec), reflect.ValueOf(b.Spec)
	for i := range va.NumField() {
		name := va.Type().Field(i).Name
		if slices.Contains([]string{"Addr", "Admin", "Ramp", "Warmup", "Sources", "Seed", "Workers"}, name) {
			continue
		}
		if fa, fb := va.Field(i).Interface(), vb.Field(i).Interface(); !reflect.DeepEqual(fa, fb) {
			differ = append(differ, fmt.Sprintf("%s (%v and %v)", strings.ToLower(name), fa, fb))
		}
	}
	if len(differ) > 0 {
		return fmt.Errorf("the loads are different in %s: run both with the same flags", strings.Join(differ, ", "))
	}
	return nil
}

// usable refuses results that say nothing.
func usable(name string, r *Result) error {
	if n := len(r.Trials); n < fewest {
		return fmt.Errorf("%s has %d trials, and fewer than %d cannot be told from noise: run it with --trials 5", name, n, fewest)
	}
	for i, t := range r.Trials {
		if !t.Check.OK() || t.Interrupted {
			return fmt.Errorf("trial %d of %s has %s: its speed says nothing", i+1, name, t.Outcome())
		}
	}
	return nil
}

// note says what to keep in mind, and makes do with few trials.
func (c *Comparison) note(a, b *Result) {
	if least := leastP(c.TrialsA, c.TrialsB); least >= c.Alpha {
		c.Notes = append(c.Notes, fmt.Sprintf("%d and %d trials cannot have a p below %.2f, so being completely apart counts as no noise: 5 and 5 would tell more",
			c.TrialsA, c.TrialsB, least))
		c.Alpha = math.Nextafter(least, 1)
	}
	c.noteLimited(c.A, a)
	c.noteLimited(c.B, b)
	sa, sb := a.Trials[0].Server, b.Trials[0].Server
	if sa == nil || sb == nil {
		return
	}
	for _, d := range []struct{ what, a, b string }{
		{"machine", sa.Machine.text(), sb.Machine.text()}, {"file system", sa.FileSystem, sb.FileSystem}, {"durability", sa.Durability, sb.Durability},
	} {
		if d.a != d.b {
			c.Notes = append(c.Notes, fmt.Sprintf("the servers' %s differs: %s; %s", d.what, d.a, d.b))
		}
	}
}

func (c *Comparison) noteLimited(name string, r *Result) {
	limited := 0
	for _, t := range r.Trials {
		if len(t.Generator.Limited) > 0 {
			limited++
		}
	}
	if limited > 0 {
		c.Notes = append(c.Notes, fmt.Sprintf("%d of %d trials of %s are client-limited", limited, len(r.Trials), name))
	}
}

func compareRow(m metric, a, b []float64, alpha float64) Row {
	r := Row{Metric: m.name, A: median(a), B: median(b), P: MannWhitney(a, b), Verdict: Noise}
	r.SpreadA, r.SpreadB = spread(a), spread(b)
	if r.A != 0 {
		r.Delta = r.B/r.A - 1
	}
	switch {
	case r.P >= alpha || r.A == r.B:
	case (r.B > r.A) == m.higher:
		r.Verdict = Better
	default:
		r.Verdict = Worse
	}
	return r
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}

// spread is the largest distance from the median, as a share of it.
func spread(v []float64) float64 {
	mid := median(v)
	if mid == 0 {
		return 0
	}
	return max(slices.Max(v)-mid, mid-slices.Min(v)) / mid
}

// Err says what got worse by more than is allowed; nil if nothing did.
func (c *Comparison) Err() error {
	if len(c.Regressions) == 0 {
		return nil
	}
	return errors.New(strings.Join(c.Regressions, "; "))
}

// Text is the comparison for people.
func (c *Comparison) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s\nA  %s, %d trials\nB  %s, %d trials\n\n", c.Scenario, c.Loop, c.A, c.TrialsA, c.B, c.TrialsB)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tA\t\tB\t\tdelta\tp\t\t")
	for _, r := range c.Rows {
		delta := "~"
		if r.Verdict != Noise {
			delta = fmt.Sprintf("%+.1f%%", 100*r.Delta)
		}
		fmt.Fprintf(w, "%s\t%s\t± %.0f%%\t%s\t± %.0f%%\t%s\t%.3f\t%s\t\n",
			r.Metric, Number(r.A), 100*r.SpreadA, Number(r.B), 100*r.SpreadB, delta, r.P, strings.TrimPrefix(string(r.Verdict), "~"))
	}
	w.Flush()
	for _, note := range c.Notes {
		fmt.Fprintf(&b, "note: %s\n", note)
	}
	for _, regression := range c.Regressions {
		fmt.Fprintf(&b, "REGRESSION: %s\n", regression)
	}
	return strings.TrimRight(b.String(), "\n")
}
