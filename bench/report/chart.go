package report

import (
	"fmt"
	"math"
	"strings"

	"github.com/msgserver/msgserver/bench/result"
)

// chart is a section of the page: panels that are read together, with one legend.
type chart struct {
	Title   string
	Note    string
	Legend  []entry
	Columns int
	Panels  []panel
}

// entry is a line of a legend; pressing it hides and shows what it names.
type entry struct{ Class, Series, Label string }

const (
	high = 280
	low  = 190
)

// charts are those that have anything to show.
func charts(runs []run) []chart {
	var all []chart
	for _, c := range []chart{distribution(runs), throughput(runs), delay(runs), usage(runs)} {
		if len(c.Panels) > 0 {
			all = append(all, c)
		}
	}
	return all
}

// distribution is latency by percentile: a line for each kind, or a panel for each kind with a line for each result.
func distribution(runs []run) chart {
	c := chart{Title: "Latency by percentile", Note: "The further right, the rarer. Trials are merged" + faintly(runs) + "."}
	var shared []line
	var longest int64
	for _, k := range result.Kinds {
		var lines []line
		var count int64
		for _, r := range runs {
			if n := r.merged[k].Count(); n > 0 {
				lines = append(lines, quantiles(r, k, len(runs) > 1)...)
				count = max(count, n)
			}
		}
		switch {
		case len(lines) == 0:
		case len(runs) > 1:
			c.Panels = append(c.Panels, newPanel(string(k), high-40, percentiles(count), fit(lines), lines))
		default:
			shared, longest = append(shared, lines...), max(longest, count)
			c.Legend = append(c.Legend, entry{"k-" + string(k), string(k), string(k)})
		}
	}
	if len(shared) > 0 {
		c.Panels = []panel{newPanel("", high+40, percentiles(longest), fit(shared), shared)}
	}
	c.Columns = min(len(c.Panels), 2)
	return c
}

// faintly says what the thin lines are, if there are any.
func faintly(runs []run) string {
	for _, r := range runs {
		if len(r.Trials) > 1 {
			return "; the thin lines are the single trials"
		}
	}
	return ""
}

// quantiles are the line of a kind and, thin behind it, those of its trials.
func quantiles(r run, k result.Kind, compared bool) []line {
	l := line{name: string(k), label: string(k), class: "k-" + string(k), series: string(k)}
	if compared {
		l.name, l.label, l.class, l.series = r.Letter, r.Letter, r.Class, r.Class
	}
	var lines []line
	if len(r.Trials) > 1 {
		for _, t := range r.Trials {
			if h := t.Latency[k]; h != nil && h.Count() > 0 {
				thin := line{class: l.class + " thin", series: l.series, faint: true}
				thin.x, thin.y = curve(h)
				lines = append(lines, thin)
			}
		}
	}
	l.x, l.y = curve(r.merged[k])
	return append(lines, l)
}

func curve(h *result.Histogram) (x, y []float64) {
	for _, s := range h.Steps() {
		// Several steps end at the longest of few latencies: one is enough.
		if d := depth(s.Percent, h.Count()); len(x) == 0 || d > x[len(x)-1] {
			x, y = append(x, d), append(y, max(result.Millis(s.Latency), 1e-3))
		}
	}
	return x, y
}

// fit is the axis of latencies on which all lines are.
func fit(lines []line) axis {
	lo, hi := math.Inf(1), 0.0
	for _, l := range lines {
		for _, v := range l.y {
			lo, hi = min(lo, v), max(hi, v)
		}
	}
	return logarithmic(millis, lo, hi)
}

// throughput is what happened each second.
func throughput(runs []run) chart {
	c := chart{Title: "Rates over time", Note: "Events a second." + points(runs, "mean")}
	shown := visible(rates, runs)
	if len(runs) > 1 {
		for _, t := range shown {
			c.Panels = append(c.Panels, overlay(t, runs))
		}
		c.Columns = min(len(c.Panels), 2)
		return c
	}
	for _, t := range shown {
		c.Legend = append(c.Legend, entry{t.class, t.name, t.name})
	}
	return c.byTrial(shown, runs[0], "", high)
}

// delay is latency each second: p50, p99 and the longest.
func delay(runs []run) chart {
	c := chart{Title: "Latency over time", Note: "Of what finished in each second, on a logarithmic scale." + points(runs, "worst")}
	for _, k := range result.Kinds {
		shown := visible(delays(k), runs)
		if len(runs) == 1 {
			c = c.byTrial(shown, runs[0], string(k), low)
			continue
		}
		for _, t := range shown {
			c.Panels = append(c.Panels, overlay(t, runs))
			c.Columns = 3
		}
	}
	switch {
	case len(c.Panels) == 0 || len(runs) > 1:
	case len(runs[0].Trials) == 1:
		c.Columns = min(len(c.Panels), 2)
		fallthrough
	default:
		for _, q := range []string{"p50", "p99", "max"} {
			c.Legend = append(c.Legend, entry{"k-plain q-" + q, q, q})
		}
	}
	return c
}

// usage is what the generator and the server used.
func usage(runs []run) chart {
	c := chart{Title: "Generator and server over time", Note: "A generator that lags, or has no core left, measures itself." + points(runs, "CPU: mean; others: worst")}
	for _, t := range visible(append(resources[:len(resources):len(resources)], connections), runs) {
		c.Panels = append(c.Panels, overlay(t, runs))
	}
	c.Columns = min(len(c.Panels), 2)
	if len(runs) == 1 && len(runs[0].Trials) > 1 {
		for i := range runs[0].Trials {
			c.Legend = append(c.Legend, entry{shade(i), fmt.Sprint("trial", i+1), fmt.Sprintf("trial %d", i+1)})
		}
	}
	return c
}

// points says what a point stands for, if for more than its second.
func points(runs []run, how string) string {
	if n := bucket(runs); n > 1 {
		return fmt.Sprintf(" A point is %s (%s).", seconds(float64(n)), how)
	}
	return ""
}

func visible(tracks []track, runs []run) []track {
	var all []track
	for _, t := range tracks {
		if t.shown(runs) {
			all = append(all, t)
		}
	}
	return all
}

// byTrial adds a panel for each trial, on one scale, with a line for each track.
func (c chart) byTrial(tracks []track, r run, title string, height int) chart {
	if len(tracks) == 0 {
		return c
	}
	alone := []run{r}
	y := verticalOf(tracks, alone)
	n := bucket(alone)
	for i, t := range r.Trials {
		var lines []line
		for _, tr := range tracks {
			l := line{name: tr.name, label: tr.label, class: tr.class, series: tr.name}
			if l.label == "" {
				l.label = tr.name
			} else {
				l.series = tr.label
			}
			l.x, l.y = tr.draw(t.Series, n)
			lines = append(lines, l)
		}
		var names []string
		if title != "" {
			names = append(names, title)
		}
		if len(r.Trials) > 1 {
			names = append(names, fmt.Sprintf("trial %d", i+1))
		}
		c.Panels = append(c.Panels, newPanel(strings.Join(names, ", "), height, ends(alone, n), y, lines))
	}
	c.Columns = min(len(r.Trials), 3)
	return c
}

// verticalOf is the axis of values: latencies are on a logarithmic one, other than lag, which begins at nothing.
func verticalOf(tracks []track, runs []run) axis {
	lo, hi := math.Inf(1), 0.0
	for _, t := range tracks {
		lo, hi = min(lo, t.lowest(runs)), max(hi, t.highest(runs))
	}
	if tracks[0].label != "" {
		return logarithmic(tracks[0].unit, lo, hi)
	}
	return linear(tracks[0].unit, hi)
}

// overlay is a panel of one track with a line for each trial of each result.
func overlay(t track, runs []run) panel {
	n := bucket(runs)
	var lines []line
	for _, r := range runs {
		for i, trial := range r.Trials {
			l := line{name: r.label(i), class: r.Class, series: r.Class}
			switch {
			case len(runs) > 1 && i == 0:
				l.label = r.Letter
			case len(runs) > 1:
				l.class += " again"
			case len(r.Trials) > 1:
				l.class, l.series, l.label = shade(i), fmt.Sprint("trial", i+1), fmt.Sprint(i+1)
			default:
				l.name, l.class, l.series = t.name, t.class, ""
			}
			l.x, l.y = t.draw(trial.Series, n)
			lines = append(lines, l)
		}
	}
	return newPanel(t.name, low, ends(runs, n), verticalOf([]track{t}, runs), lines)
}

// shade is the class of a trial where trials are lines of one panel.
func shade(i int) string { return fmt.Sprintf("k-plain t%d", i%4) }
