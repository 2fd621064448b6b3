package result

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Objective is one condition of an SLO, for example deliver.p99<50ms or loss==0.
//
//	KIND.pN, KIND.mean, KIND.max      a latency; KIND is connect, ack, deliver or sync, pN is p50, p99, p99.9, …
//	lag.pN, …                         how late the generator was
//	acked.rate, sent.rate, …          a second; also delivered, synced and connects
//	loss, duplicates, reordered, unanswered, missed, errors, and success in percent
//
// against a duration or a number with <, <=, >, >=, ==.
type Objective struct {
	Metric string
	Op     string
	Limit  float64 // milliseconds for a latency
	text   string
}

// Verdict is what became of an objective in a trial.
type Verdict struct {
	Objective string  `json:"objective"`
	Measured  bool    `json:"measured"`
	Value     float64 `json:"value"` // milliseconds for a latency
	OK        bool    `json:"ok"`
}

// String says how it ended.
func (v Verdict) String() string {
	switch {
	case !v.Measured:
		return "not met: nothing was measured"
	case v.OK:
		return "met (" + Number(v.Value) + ")"
	}
	return "NOT MET (" + Number(v.Value) + ")"
}

var operators = []string{"<=", ">=", "==", "<", ">"}

// ParseSLO reads objectives that are separated by commas.
func ParseSLO(s string) ([]Objective, error) {
	var all []Objective
	for part := range strings.SplitSeq(s, ",") {
		part = strings.ReplaceAll(part, " ", "")
		if part == "" {
			continue
		}
		o, err := parseObjective(part)
		if err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	return all, nil
}

func parseObjective(s string) (Objective, error) {
	for _, op := range operators {
		metric, limit, found := strings.Cut(s, op)
		if !found {
			continue
		}
		o := Objective{Metric: metric, Op: op, text: s}
		if _, _, ok := o.value(&Trial{}); !ok {
			return o, fmt.Errorf("objective %q: there is no %q: try ack.p99, deliver.p99.9, sync.max, connect.mean, acked.rate, loss, duplicates, reordered, unanswered, missed, errors or success", s, metric)
		}
		var err error
		if o.latency() {
			var d time.Duration
			d, err = time.ParseDuration(limit)
			o.Limit = Millis(d)
		} else {
			o.Limit, err = strconv.ParseFloat(limit, 64)
		}
		if err != nil {
			return o, fmt.Errorf("objective %q: %w", s, err)
		}
		return o, nil
	}
	return Objective{}, fmt.Errorf("objective %q has none of <, <=, >, >= and ==: write for example deliver.p99<50ms", s)
}

// String is the objective as it was written.
func (o Objective) String() string { return o.text }

func (o Objective) latency() bool {
	_, what, dotted := strings.Cut(o.Metric, ".")
	return dotted && what != "rate"
}

// Judge says whether a trial meets the objective. A latency that nothing was measured of meets none.
func (o Objective) Judge(t *Trial) Verdict {
	v, measured, _ := o.value(t)
	return Verdict{Objective: o.text, Measured: measured, Value: v, OK: measured && o.holds(v)}
}

func (o Objective) holds(v float64) bool {
	switch o.Op {
	case "<":
		return v < o.Limit
	case "<=":
		return v <= o.Limit
	case ">":
		return v > o.Limit
	case ">=":
		return v >= o.Limit
	}
	return v == o.Limit
}

// value looks the metric up; ok is false if there is no such metric.
func (o Objective) value(t *Trial) (v float64, measured, ok bool) {
	switch o.Metric {
	case "loss":
		return float64(t.Check.Lost), true, true
	case "duplicates":
		return float64(t.Check.Duplicated), true, true
	case "reordered":
		return float64(t.Check.Reordered), true, true
	case "missed":
		return float64(t.Check.Missed), true, true
	case "unanswered":
		return float64(t.Check.Unanswered), true, true
	case "success":
		return 100 * t.Counts.Success(), t.Counts.Succeeded+t.Counts.Failed() > 0, true
	case "errors":
		return float64(t.Counts.Failed()), true, true
	}
	of, what, dotted := strings.Cut(o.Metric, ".")
	if !dotted {
		return 0, false, false
	}
	if what == "rate" {
		n, ok := map[string]int64{"acked": t.Counts.Acked, "sent": t.Counts.Sent, "delivered": t.Counts.Delivered,
			"synced": t.Counts.Synced, "connects": t.Counts.Connects}[of]
		return t.PerSecond(n), true, ok
	}
	h := t.Latency[Kind(of)]
	if of == "lag" {
		h = t.Generator.Lag
	} else if !slices.Contains(Kinds, Kind(of)) {
		return 0, false, false
	}
	if h == nil {
		h = NewHistogram()
	}
	d, ok := h.stat(what)
	return Millis(d), h.Count() > 0, ok
}

// stat is a statistic by its name: mean, min, max, or pN. In p999 the digits behind the second are decimals.
func (h *Histogram) stat(name string) (d time.Duration, ok bool) {
	switch name {
	case "mean":
		return h.Mean(), true
	case "min":
		return h.Min(), true
	case "max":
		return h.Max(), true
	}
	digits, ok := strings.CutPrefix(name, "p")
	if !ok {
		return 0, false
	}
	if len(digits) > 2 && digits[0] == '9' && !strings.Contains(digits, ".") {
		digits = digits[:2] + "." + digits[2:]
	}
	percent, err := strconv.ParseFloat(digits, 64)
	if err != nil || !(percent > 0 && percent <= 100) {
		return 0, false
	}
	return h.Quantile(percent), true
}
