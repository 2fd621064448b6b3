package report

// Ticks are the labels of an axis: "linear", "log", "time" or "percent".
func Ticks(kind, u string, lo, hi float64) []string {
	a := linear(unit(u), hi)
	switch kind {
	case "log":
		a = logarithmic(unit(u), lo, hi)
	case "time":
		a = timeline(lo, hi)
	case "percent":
		a = percentiles(int64(hi))
	}
	var labels []string
	for _, t := range a.ticks {
		labels = append(labels, t.label)
	}
	return labels
}
