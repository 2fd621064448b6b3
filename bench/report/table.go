package report

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/msgserver/msgserver/bench/result"
)

// table has a head, and rows whose first cell is a name.
type table struct {
	Title string
	Note  string
	Head  []string
	Rows  []row
}

type row struct {
	Cells []string
	Class string // "bad" for what must not be
}

// named puts the letter of the result and the trial before a row, where there are several.
func (r run) named(trial int, name string) string {
	if l := r.label(trial); l != "" {
		return name + " (" + l + ")"
	}
	return name
}

// compareTable says how the second result differs from the first, if trials can tell.
func compareTable(runs []run) table {
	t := table{Title: "What is different", Head: []string{"", "A", "±", "B", "±", "delta", "p", ""}}
	if len(runs) != 2 {
		return t
	}
	c, err := result.Compare(runs[0].Result, runs[1].Result, result.CompareOptions{NameA: "A", NameB: "B"})
	if err != nil {
		t.Note = "Noise cannot be told from a difference here: " + err.Error() + "."
		t.Rows = []row{{Cells: []string{"–"}}}
		return t
	}
	t.Note = strings.Join(append([]string{"Medians of the trials; p is that of the Mann-Whitney test."}, c.Notes...), " ")
	for _, r := range c.Rows {
		w := row{Cells: []string{r.Metric, result.Number(r.A), share(r.SpreadA), result.Number(r.B), share(r.SpreadB), "noise", fmt.Sprintf("%.3f", r.P), ""}}
		if r.Verdict != result.Noise {
			w.Cells[5], w.Cells[7] = fmt.Sprintf("%+.1f%%", 100*r.Delta), string(r.Verdict)
		}
		switch r.Verdict {
		case result.Worse:
			w.Class = "bad"
		case result.Better:
			w.Class = "good"
		}
		t.Rows = append(t.Rows, w)
	}
	return t
}

func share(v float64) string { return fmt.Sprintf("%.0f%%", 100*v) }

func latencyTable(runs []run) table {
	t := table{Title: "Latencies", Head: []string{"", "count", "min", "mean", "p50", "p90", "p99", "p99.9", "max"}}
	add := func(name string, h *result.Histogram) {
		if h == nil || h.Count() == 0 {
			return
		}
		cells := []string{name, whole(h.Count()), latency(result.Millis(h.Min())), latency(result.Millis(h.Mean()))}
		for _, q := range []float64{50, 90, 99, 99.9, 100} {
			cells = append(cells, latency(result.Millis(h.Quantile(q))))
		}
		t.Rows = append(t.Rows, row{Cells: cells})
	}
	for _, k := range result.Kinds {
		for _, r := range runs {
			name := string(k)
			if r.Letter != "" {
				name += " (" + r.Letter + ")"
			}
			add(name, r.merged[k])
			for i := range r.Trials {
				if len(r.Trials) > 1 {
					add("· "+r.label(i), r.Trials[i].Latency[k])
				}
			}
		}
	}
	if slices.ContainsFunc(runs, func(r run) bool { return len(r.Trials) > 1 }) {
		t.Note = "Trials are merged, not averaged; each stands below."
	}
	return t
}

// eachTrial makes a row of every trial.
func (t *table) eachTrial(runs []run, name string, cells func(*result.Trial) (cells []string, bad bool)) {
	for _, r := range runs {
		for i := range r.Trials {
			c, bad := cells(&r.Trials[i])
			if c == nil {
				continue
			}
			w := row{Cells: append([]string{r.named(i, name)}, c...)}
			if bad {
				w.Class = "bad"
			}
			t.Rows = append(t.Rows, w)
		}
	}
}

func checkTable(runs []run) table {
	t := table{Title: "Check", Note: "Of every message, warm-up included: each must come to each receiver once, in order and unchanged.",
		Head: []string{"", "sent", "acknowledged", "deliveries due", "delivered", "lost", "repeated", "out of order", "unanswered", "missed", "other violations"}}
	t.eachTrial(runs, "messages", func(tr *result.Trial) ([]string, bool) {
		c := tr.Check
		var cells []string
		for _, n := range []int64{c.Sent, c.Acked, c.Expected, c.Delivered, c.Lost, c.Duplicated, c.Reordered, c.Unanswered, c.Missed, c.Broken} {
			cells = append(cells, whole(n))
		}
		return cells, !c.OK() || c.Missed > 0
	})
	return t
}

func objectiveTable(runs []run) table {
	t := table{Title: "Objectives", Head: []string{"", ""}}
	for _, r := range runs {
		for i, tr := range r.Trials {
			for _, v := range tr.SLO {
				w := row{Cells: []string{r.named(i, v.Objective), v.String()}}
				if !v.OK {
					w.Class = "bad"
				}
				t.Rows = append(t.Rows, w)
			}
		}
	}
	return t
}

func errorTable(runs []run) table {
	t := table{Title: "Errors", Note: "Requests that were refused or not answered.", Head: []string{"", "times"}}
	for _, r := range runs {
		for i, tr := range r.Trials {
			for _, name := range slices.Sorted(maps.Keys(tr.Counts.Errors)) {
				t.Rows = append(t.Rows, row{Cells: []string{r.named(i, name), whole(tr.Counts.Errors[name])}, Class: "bad"})
			}
		}
	}
	return t
}

func costTable(runs []run) table {
	t := table{Title: "What it cost", Head: []string{"", "processor", "a message", "memory", "at most", "written a message", "commits", "messages each"}}
	t.eachTrial(runs, "server", func(tr *result.Trial) ([]string, bool) {
		c := tr.Cost
		if c != nil && c.Restarted {
			return []string{"unknown: restarted", "–", result.Bytes(c.RSSBytes), result.Bytes(c.MaxRSSBytes), "–", "–", "–"}, true
		}
		if c == nil {
			return nil, false
		}
		each, written, batch := "–", "–", "–"
		if c.Messages > 0 {
			each = result.Number(float64(c.CPUPerMessage())/float64(time.Microsecond)) + " µs"
			written = result.Bytes(c.WrittenBytes / c.Messages)
		}
		if c.Commits > 0 {
			batch = result.Number(float64(c.Messages) / float64(c.Commits))
		}
		return []string{result.Number(c.CPUSeconds/max(tr.Seconds, 0.001)) + " cores", each, result.Bytes(c.RSSBytes), result.Bytes(c.MaxRSSBytes), written, whole(c.Commits), batch}, false
	})
	t.eachTrial(runs, "generator", func(tr *result.Trial) ([]string, bool) {
		return []string{result.Number(tr.Generator.CPU) + " cores", "–", result.Bytes(tr.Generator.RSSBytes), "–", "–", "–", "–"}, len(tr.Generator.Limited) > 0
	})
	t.eachTrial(runs, "an idle connection", func(tr *result.Trial) ([]string, bool) {
		m := tr.Memory
		if m == nil {
			return nil, false
		}
		return []string{"–", "–", fmt.Sprintf("server %s, kernel %s a socket, generator %s", result.Bytes(m.ServerPerConn), result.Bytes(m.KernelPerSocket), result.Bytes(m.ClientPerConn)), "–", "–", "–", "–"}, false
	})
	return t
}

func machineTable(runs []run) table {
	t := table{Title: "Where", Head: []string{"", "version", "cores", "processor", "memory", "system", "Go", "file system", "durability"}}
	add := func(name, version string, m result.Machine, fs, durability string) {
		memory := "–"
		if m.MemoryMB > 0 {
			memory = result.Bytes(m.MemoryMB << 20)
		}
		t.Rows = append(t.Rows, row{Cells: []string{name, version, whole(int64(m.Cores)), m.CPU, memory, strings.TrimSpace(m.OS + " " + m.Kernel), m.Go, fs, durability}})
	}
	for _, r := range runs {
		if len(r.Trials) == 0 {
			continue
		}
		first, suffix := r.Trials[0], ""
		if r.Letter != "" {
			suffix = " (" + r.Letter + ")"
		}
		if s := first.Server; s != nil {
			add("server"+suffix, s.Version, s.Machine, s.FileSystem, s.Durability)
		}
		add("generator"+suffix, first.Generator.Version, first.Generator.Machine, "", "")
	}
	return t
}

// specTable is every parameter, so that the run can be made again.
func specTable(runs []run) table {
	t := table{Title: "Parameters", Head: []string{""}}
	for _, r := range runs {
		t.Head = append(t.Head, r.Letter)
	}
	for i := range reflect.TypeFor[result.Spec]().NumField() {
		name, _, _ := strings.Cut(reflect.TypeFor[result.Spec]().Field(i).Tag.Get("json"), ",")
		cells, zero := []string{name}, true
		for _, r := range runs {
			field := reflect.ValueOf(r.Spec).Field(i)
			zero = zero && field.IsZero()
			cells = append(cells, fmt.Sprint(field.Interface()))
		}
		if !zero {
			t.Rows = append(t.Rows, row{Cells: cells})
		}
	}
	return t
}
