package report

import (
	"fmt"
	"math"

	"github.com/msgserver/msgserver/bench/result"
)

// Heights of panels in pixels.
const (
	tall = 300
	flat = 170
)

// maxPanels is how many trials a chart over time shows at most; of several results it is the first trial of each.
const maxPanels = 6

// byPercentile draws the distributions: of one result a line for each latency, of several a panel for each
// latency with a line for each result.
func byPercentile(runs []run) []panel {
	if len(runs) == 1 {
		var lines []line
		for _, k := range measured(runs) {
			lines = append(lines, distribution(runs[0], k, string(k), "k-"+string(k)))
		}
		return distributions("", tall, runs, measured(runs), lines)
	}
	var all []panel
	for _, k := range measured(runs) {
		var lines []line
		for _, r := range runs {
			lines = append(lines, distribution(r, k, r.Letter, r.Class))
		}
		all = append(all, distributions(string(k), flat+60, runs, []result.Kind{k}, lines)...)
	}
	return all
}

// measured are the latencies that some result has.
func measured(runs []run) []result.Kind {
	var kinds []result.Kind
	for _, k := range result.Kinds {
		for _, r := range runs {
			if r.merged[k].Count() > 0 {
				kinds = append(kinds, k)
				break
			}
		}
	}
	return kinds
}

func distribution(r run, k result.Kind, label, class string) line {
	h := r.merged[k]
	l := line{name: label, label: label, class: class}
	for _, s := range h.Steps() {
		l.x = append(l.x, depth(s.Percent, h.Count()))
		l.y = append(l.y, result.Millis(s.Latency))
	}
	return l
}

// distributions is a panel by percentile, if there is anything to show.
func distributions(title string, height int, runs []run, kinds []result.Kind, lines []line) []panel {
	var most int64
	lo, hi := math.Inf(1), 0.0
	for _, r := range runs {
		for _, k := range kinds {
			if h := r.merged[k]; h.Count() > 0 {
				most, lo, hi = max(most, h.Count()), min(lo, result.Millis(h.Min())), max(hi, result.Millis(h.Max()))
			}
		}
	}
	if most == 0 {
		return nil
	}
	return []panel{newPanel(title, height, percentiles(most), logarithmic(millis, lo, hi), lines)}
}

// shown is a trial that a chart over time has a panel of.
type shown struct {
	title string
	*result.Trial
}

// trialsShown are the trials that have a panel of their own.
func trialsShown(runs []run) []shown {
	each := 1
	if len(runs) == 1 {
		each = maxPanels
	}
	var all []shown
	for _, r := range runs {
		for i := range r.Trials {
			if t := &r.Trials[i]; i < each && len(t.Series) > 0 {
				all = append(all, shown{r.label(i), t})
			}
		}
	}
	return all
}

// curve is one number of every second.
type curve struct {
	name, class string
	of          func(result.Point) (v float64, ok bool)
}

// overTime draws curves of every trial that is shown, all panels with the same axes. Curves without a value that is
// not zero are left out.
func overTime(runs []run, u unit, log bool, height int, curves []curve) []panel {
	trials := trialsShown(runs)
	first, last := math.Inf(1), math.Inf(-1)
	lo, hi := math.Inf(1), 0.0
	for _, t := range trials {
		for _, p := range t.Series {
			first, last = min(first, float64(p.Second)), max(last, float64(p.Second)+max(p.Length, 0))
			for _, c := range curves {
				if v, ok := c.of(p); ok && v > 0 {
					lo, hi = min(lo, v), max(hi, v)
				}
			}
		}
	}
	if hi == 0 {
		return nil
	}
	y := linear(u, hi)
	if log {
		y = logarithmic(u, lo, hi)
	}
	var all []panel
	for _, t := range trials {
		var lines []line
		for _, c := range curves {
			if l, ok := c.line(t.Series); ok {
				lines = append(lines, l)
			}
		}
		all = append(all, newPanel(t.title, height, timeline(first, last), y, lines))
	}
	return all
}

// line is the curve of a series; ok is false if it is zero all the time. A point stands in the middle of its second.
func (c curve) line(series []result.Point) (l line, ok bool) {
	l = line{name: c.name, label: c.name, class: c.class}
	for _, p := range series {
		v, has := c.of(p)
		if !has {
			v = math.NaN()
		}
		ok = ok || has && v > 0
		l.x, l.y = append(l.x, float64(p.Second)+p.Length/2), append(l.y, v)
	}
	return l, ok
}

// ratesOverTime are the events a second.
func ratesOverTime(runs []run) []panel {
	per := func(of func(result.Point) int64) func(result.Point) (float64, bool) {
		return func(p result.Point) (float64, bool) {
			if p.Length < 0.2 { // too short to be a rate
				return 0, false
			}
			return float64(of(p)) / p.Length, true
		}
	}
	return overTime(runs, rate, false, flat+40, []curve{
		{"delivered", "k-deliver", per(func(p result.Point) int64 { return p.Delivered })},
		{"sent", "sent", per(func(p result.Point) int64 { return p.Sent })},
		{"acked", "k-ack", per(func(p result.Point) int64 { return p.Acked })},
		{"synced", "k-sync", per(func(p result.Point) int64 { return p.Synced })},
		{"connects", "k-connect", per(func(p result.Point) int64 { return p.Connects })},
		{"errors", "bad", per(func(p result.Point) int64 { return p.Errors })},
	})
}

// latencyOverTime is a chart for each latency.
func latencyOverTime(runs []run) []chart {
	var all []chart
	for _, k := range measured(runs) {
		of := func(pick func(result.Quantiles) float64) func(result.Point) (float64, bool) {
			return func(p result.Point) (float64, bool) {
				q, ok := p.Latency[k]
				return pick(q), ok
			}
		}
		panels := overTime(runs, millis, true, flat, []curve{
			{"max", "q-max", of(func(q result.Quantiles) float64 { return q.Max })},
			{"p99", "q-99 k-" + string(k), of(func(q result.Quantiles) float64 { return q.P99 })},
			{"p50", "q-50 k-" + string(k), of(func(q result.Quantiles) float64 { return q.P50 })},
		})
		if len(panels) > 0 {
			all = append(all, chart{Title: fmt.Sprintf("%s latency", k), Panels: panels})
		}
	}
	return all
}

// resources are what generator and server took, second by second.
func resources(runs []run) []chart {
	has := func(of func(result.Point) float64) func(result.Point) (float64, bool) {
		return func(p result.Point) (float64, bool) { return of(p), p.Length > 0.2 }
	}
	charts := []chart{
		{"Processor, in cores", "", overTime(runs, cores, false, flat, []curve{
			{"server", "k-ack", has(func(p result.Point) float64 { return p.ServerCPU })},
			{"generator", "sent", has(func(p result.Point) float64 { return p.CPU })},
		})},
		{"Memory of the server", "", overTime(runs, size, false, flat, []curve{
			{"RSS", "k-ack", has(func(p result.Point) float64 { return float64(p.ServerRSS) })},
		})},
		{"How late requests left, at most", "through the generator's own fault", overTime(runs, millis, true, flat, []curve{
			{"lag", "bad", func(p result.Point) (float64, bool) { return p.LagMs, p.LagMs > 0 }},
		})},
		{"Connections", "", overTime(runs, rate, false, flat, []curve{
			{"open", "k-connect", func(p result.Point) (float64, bool) { return float64(p.Conns), true }},
		})},
	}
	var some []chart
	for _, c := range charts {
		if len(c.Panels) > 0 {
			some = append(some, c)
		}
	}
	return some
}
