package report

import (
	"encoding/json"
	"html/template"
	"strings"

	"github.com/msgserver/msgserver/bench/result"
)

// view is what page.html shows.
type view struct {
	Title      string
	Runs       []run
	Figures    []figure
	Difference table
	Percentile []panel
	Rates      []panel
	Latencies  []chart
	Resources  []chart
	Tables     []table
}

// figure is a number that is worth large digits, for each result.
type figure struct {
	Name   string
	Values []figureValue
}

type figureValue struct{ Letter, Class, Value string }

// chart is panels that belong together.
type chart struct {
	Title  string
	Note   string
	Panels []panel
}

var functions = template.FuncMap{
	"json": func(v any) (string, error) {
		b, err := json.Marshal(v)
		return string(b), err
	},
	"join": strings.Join,
}

func newReport(runs []run) view {
	v := view{
		Title: "msgserver bench: " + runs[0].Spec.Scenario, Runs: runs, Figures: figures(runs), Difference: compareTable(runs), Percentile: byPercentile(runs),
		Rates: ratesOverTime(runs), Latencies: latencyOverTime(runs), Resources: resources(runs),
	}
	for _, t := range []table{latencyTable(runs), checkTable(runs), objectiveTable(runs), errorTable(runs), costTable(runs), machineTable(runs), specTable(runs)} {
		if len(t.Rows) > 0 {
			v.Tables = append(v.Tables, t)
		}
	}
	return v
}

// Compared reports whether there are several results.
func (v view) Compared() bool { return len(v.Runs) > 1 }

// figures are the numbers to see first; those that a run has not are left out.
func figures(runs []run) []figure {
	var all []figure
	add := func(name string, of func(run) string) {
		f := figure{Name: name}
		some := false
		for _, r := range runs {
			value := of(r)
			some = some || value != ""
			f.Values = append(f.Values, figureValue{r.Letter, r.Class, value})
		}
		if some {
			all = append(all, f)
		}
	}
	add("done of what was asked", func(r run) string {
		all := r.Asked()
		if all.Succeeded+all.Failed() == 0 {
			return ""
		}
		return result.Percent(all.Success())
	})
	perSecond := func(name string, of func(result.Counts) int64) {
		add(name, func(r run) string { return r.perSecond(of) })
	}
	perSecond("connects a second", func(c result.Counts) int64 { return c.Connects })
	perSecond("acked a second", func(c result.Counts) int64 { return c.Acked })
	perSecond("delivered a second", func(c result.Counts) int64 { return c.Delivered })
	perSecond("synced a second", func(c result.Counts) int64 { return c.Synced })
	for _, k := range result.Kinds {
		add(string(k)+" p99", func(r run) string {
			if r.merged[k].Count() == 0 {
				return ""
			}
			return latency(result.Millis(r.merged[k].Quantile(99)))
		})
	}
	add("lost", func(r run) string {
		var sent, lost int64
		for _, t := range r.Trials {
			sent, lost = sent+t.Check.Sent, lost+t.Check.Lost
		}
		if sent == 0 {
			return ""
		}
		return whole(lost)
	})
	return all
}

// perSecond is a count of all trials over the time of all trials; "" of nothing.
func (r run) perSecond(of func(result.Counts) int64) string {
	var n int64
	var seconds float64
	for _, t := range r.Trials {
		n, seconds = n+of(t.Counts), seconds+t.Seconds
	}
	if n == 0 || seconds == 0 {
		return ""
	}
	return result.Number(float64(n) / seconds)
}
