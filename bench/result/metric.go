package result

import (
	"fmt"
	"time"
)

// metric is a number that each trial has, and whether more of it is better.
type metric struct {
	name   string
	higher bool
	of     func(*Trial) (float64, bool)
}

// values are those of all trials; nil if one does not have it.
func (m metric) values(r *Result) []float64 {
	var all []float64
	for _, t := range r.Trials {
		v, ok := m.of(&t)
		if !ok {
			return nil
		}
		all = append(all, v)
	}
	return all
}

// count is how many trials have it.
func (m metric) count(r *Result) (n int) {
	for _, t := range r.Trials {
		if _, ok := m.of(&t); ok {
			n++
		}
	}
	return n
}

// metrics are all that are compared.
func metrics() []metric {
	var all []metric
	for _, kind := range Kinds {
		for _, q := range []float64{50, 99, 99.9} {
			all = append(all, metric{fmt.Sprintf("%s p%v (ms)", kind, q), false, func(t *Trial) (float64, bool) {
				h := t.Latency[kind]
				if h == nil || h.Count() == 0 {
					return 0, false
				}
				return Millis(h.Quantile(q)), true
			}})
		}
	}
	for _, r := range []struct {
		name string
		of   func(Counts) int64
	}{
		{"connects/s", func(c Counts) int64 { return c.Connects }}, {"acked/s", func(c Counts) int64 { return c.Acked }},
		{"delivered/s", func(c Counts) int64 { return c.Delivered }}, {"synced/s", func(c Counts) int64 { return c.Synced }},
	} {
		all = append(all, metric{r.name, true, func(t *Trial) (float64, bool) { v := t.PerSecond(r.of(t.Counts)); return v, v > 0 }})
	}
	all = append(all, metric{"done of what was asked (%)", true, func(t *Trial) (float64, bool) { return 100 * t.Counts.Success(), t.Counts.Succeeded > 0 }})
	costs := func(name string, of func(*Cost) float64) {
		all = append(all, metric{name, false, func(t *Trial) (float64, bool) {
			if t.Cost == nil || t.Cost.Restarted {
				return 0, false
			}
			v := of(t.Cost)
			return v, v > 0
		}})
	}
	costs("CPU a message (µs)", func(c *Cost) float64 { return float64(c.CPUPerMessage()) / float64(time.Microsecond) })
	costs("written a message (bytes)", func(c *Cost) float64 { return float64(c.WrittenBytes) / max(float64(c.Messages), 1) })
	costs("memory (MiB)", func(c *Cost) float64 { return float64(c.RSSBytes) / (1 << 20) })
	return all
}
