package result

import (
	"cmp"
	"fmt"
	"strings"
	"text/tabwriter"
)

// Table is a line for each of several results, of their merged trials.
func Table(all []*Result) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "scenario\tload\tconnect p50 / p99\tack p50 / p99\tdeliver p50 / p99\tsync p50 / p99\tdone a second\tlost\tserver CPU\t")
	for _, r := range all {
		fmt.Fprintf(w, "%s\t%s\t", r.Spec.Scenario, r.Spec.Load())
		merged := r.Merged()
		for _, kind := range Kinds {
			h := merged[kind]
			if h == nil || h.Count() == 0 {
				fmt.Fprint(w, "-\t")
				continue
			}
			fmt.Fprintf(w, "%s / %s\t", Latency(h.Quantile(50)), Latency(h.Quantile(99)))
		}
		r.writeTotals(w)
	}
	w.Flush()
	return strings.TrimRight(b.String(), "\n")
}

// writeTotals writes what was done a second, what was lost and what it took.
func (r *Result) writeTotals(w *tabwriter.Writer) {
	all, mark, memory := Trial{}, "", ""
	var cpu float64
	restarted := false
	for _, t := range r.Trials {
		all.Seconds += t.Seconds
		all.Counts.Connects += t.Counts.Connects
		all.Counts.Acked += t.Counts.Acked
		all.Counts.Delivered += t.Counts.Delivered
		all.Counts.Synced += t.Counts.Synced
		all.Check.Lost += t.Check.Lost
		if t.Cost != nil {
			cpu += t.Cost.CPUSeconds
			restarted = restarted || t.Cost.Restarted
		}
		if t.Memory != nil && t.Memory.ServerPerConn > 0 {
			memory = Bytes(t.Memory.ServerPerConn) + " of the server's heap each"
		}
		if len(t.Generator.Limited) > 0 {
			mark = "client-limited"
		}
	}
	if c := r.Asked(); c.Failed() > 0 {
		mark = strings.TrimSpace(Percent(c.Success()) + " done " + mark)
	}
	if o := r.Outcome(); o != "ok" {
		mark = strings.TrimSpace(strings.ToUpper(o) + " " + mark)
	}
	cores := Number(cpu/max(all.Seconds, 0.001)) + " cores"
	if restarted {
		cores = "unknown"
	}
	fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", cmp.Or(all.rates(), memory, "-"), thousands(all.Check.Lost), cores, mark)
}

// Load is how much, in a word.
func (s Spec) Load() string {
	what := "idle"
	switch {
	case s.Closed():
		what = fmt.Sprintf("closed loop, window %d", s.Window)
	case s.Peak() > 0:
		what = s.rates()
	}
	if s.Members > 0 {
		what += fmt.Sprintf(", groups of %s", Number(float64(s.Members)))
	}
	return what
}
