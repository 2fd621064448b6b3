package report

import (
	"fmt"
	"io"

	"github.com/msgserver/msgserver/bench/result"
)

// Link is a result with a report of its own.
type Link struct {
	To string // the report, relative to the index
	Named
}

// Index writes a page that leads to the reports of several results, with the main numbers of each.
func Index(w io.Writer, links []Link) error {
	var all []Named
	for _, l := range links {
		if l.Result == nil {
			return fmt.Errorf("report: %q has no result", l.Name)
		}
		all = append(all, l.Named)
	}
	v := index{Runs: newRuns(all)}
	for i, r := range v.Runs {
		v.Rows = append(v.Rows, entry{To: links[i].To, Run: r, Latencies: latencies(r)})
	}
	if err := page.ExecuteTemplate(w, "index.html", v); err != nil {
		return fmt.Errorf("write index: %w", err)
	}
	return nil
}

// index is what index.html shows.
type index struct {
	Runs []run
	Rows []entry
}

// entry is a line of it.
type entry struct {
	To        string
	Run       run
	Latencies []string // p50 and p99 of each kind
}

// Kinds are the heads of the latencies.
func (index) Kinds() []result.Kind { return result.Kinds }

func latencies(r run) []string {
	var all []string
	for _, k := range result.Kinds {
		h := r.merged[k]
		if h.Count() == 0 {
			all = append(all, "–")
			continue
		}
		all = append(all, latency(result.Millis(h.Quantile(50)))+" / "+latency(result.Millis(h.Quantile(99))))
	}
	return all
}

// Success is how much was done of what was asked for.
func (r run) Success() string {
	if all := r.Asked(); all.Succeeded+all.Failed() > 0 {
		return result.Percent(all.Success())
	}
	return "–"
}
