package report

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/msgserver/msgserver/bench/result"
)

// Capacity is a search for the highest rate, with every rate that was tried.
type Capacity struct {
	Spec          result.Spec
	Rate          float64 // the highest that passed; 0: none did
	Objectives    string
	ClientLimited bool
	Attempts      []Attempt // in the order in which they were made
}

// Attempt is one of them.
type Attempt struct {
	Rate  float64
	Why   []string // what it did not pass by; nothing if it passed
	Trial result.Trial
}

// CapacityHTML writes the report of a search.
func CapacityHTML(w io.Writer, c Capacity) error {
	if err := page.ExecuteTemplate(w, "capacity.html", search{c, c.panels(), c.table()}); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// search is what capacity.html shows.
type search struct {
	Capacity
	Panels []panel
	Table  table
}

// Found is the answer in words.
func (s search) Found() string {
	if s.Rate == 0 {
		return "no rate"
	}
	return result.Number(s.Rate) + "/s"
}

// panels draw by rate how long things took and what was done, a point for each attempt.
func (c Capacity) panels() []panel {
	tried := slices.SortedStableFunc(slices.Values(c.Attempts), func(a, b Attempt) int { return cmp.Compare(a.Rate, b.Rate) })
	if len(tried) == 0 {
		return nil
	}
	var lines []line
	lo, hi, most := math.Inf(1), 0.0, 0.0
	for _, k := range result.Kinds {
		l := line{name: string(k) + " p99", label: string(k), class: "k-" + string(k)}
		for _, a := range tried {
			if h := a.Trial.Latency[k]; h != nil && h.Count() > 0 {
				v := result.Millis(h.Quantile(99))
				l.x, l.y = append(l.x, a.Rate), append(l.y, v)
				lo, hi = min(lo, v), max(hi, v)
			}
		}
		if len(l.x) > 0 {
			lines = append(lines, l)
		}
	}
	done := line{name: "done a second", label: "done", class: "k-ack"}
	for _, a := range tried {
		n := a.Trial.PerSecond(max(a.Trial.Counts.Acked+a.Trial.Counts.Synced, a.Trial.Counts.Connects))
		done.x, done.y = append(done.x, a.Rate), append(done.y, n)
		most = max(most, n)
	}
	x := linear(rate, tried[len(tried)-1].Rate)
	all := []panel{newPanel("done a second", flat+40, x, linear(rate, most), []line{done})}
	if hi > 0 {
		all = append([]panel{newPanel("p99", flat+40, x, logarithmic(millis, lo, hi), lines)}, all...)
	}
	return all
}

func (c Capacity) table() table {
	t := table{Title: "Attempts", Note: "In their order.", Head: []string{"rate", "", "done", "connect p99", "ack p99", "deliver p99", "sync p99", "by"}}
	for _, a := range c.Attempts {
		w := row{Cells: []string{result.Number(a.Rate) + "/s", "passed", result.Percent(a.Trial.Counts.Success())}, Class: "good"}
		if len(a.Why) > 0 {
			w.Cells[1], w.Class = "failed", "bad"
		}
		for _, k := range result.Kinds {
			cell := "–"
			if h := a.Trial.Latency[k]; h != nil && h.Count() > 0 {
				cell = latency(result.Millis(h.Quantile(99)))
			}
			w.Cells = append(w.Cells, cell)
		}
		why := strings.Join(a.Why, "; ")
		if len(a.Trial.Generator.Limited) > 0 {
			why = strings.TrimPrefix(why+"; client-limited", "; ")
		}
		w.Cells = append(w.Cells, why)
		t.Rows = append(t.Rows, w)
	}
	return t
}
