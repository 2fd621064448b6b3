package report

import (
	"math"
	"strings"
)

// axis maps values to 0…1 and has ticks to read them by.
type axis struct {
	min, max float64
	log      bool
	unit     unit
	ticks    []mark
}

// mark is a tick: a value and its label. Minor ones lose their label where there is little room.
type mark struct {
	value float64
	label string
	minor bool
}

// maxTicks is how many ticks an axis has at most, about.
const maxTicks = 6

// at is where a value is between the ends of the axis.
func (a axis) at(v float64) float64 {
	lo, hi := a.min, a.max
	if a.log {
		lo, hi, v = math.Log10(lo), math.Log10(hi), math.Log10(max(v, a.min))
	}
	return min(max((v-lo)/(hi-lo), 0), 1)
}

// linear is an axis from zero to the first tick that is not below hi. Ticks of bytes are steps of their unit.
func linear(u unit, hi float64) axis {
	if !(hi > 0) || math.IsInf(hi, 0) {
		hi = 1
	}
	base := 1.0
	if u == size {
		for base*1024 <= hi {
			base *= 1024
		}
	}
	step := stepUp(hi/base/(maxTicks-1)) * base
	if u == size {
		step = max(step, 1)
	}
	n := int(math.Ceil(hi/step - 1e-9))
	a := axis{max: float64(n) * step, unit: u}
	for i := range n + 1 {
		v := float64(i) * step
		label := short(u.write(v))
		if i == 0 {
			label = "0"
		}
		a.ticks = append(a.ticks, mark{value: v, label: label})
	}
	return a
}

// logarithmic is an axis whose ends are the steps around lo and hi.
func logarithmic(u unit, lo, hi float64) axis {
	const lowest, highest = 1e-3, 1e9 // a histogram begins at 1 µs
	if !(lo >= lowest) {
		lo = lowest
	}
	lo = min(lo, highest/10)
	hi = min(max(hi, lo), highest)
	a := axis{min: stepDown(lo), max: stepUp(hi), log: true, unit: u}
	if a.min == a.max {
		a.max = stepUp(a.max * 1.5)
	}
	for _, every := range []struct {
		leading []float64
		decades int
	}{{[]float64{1, 2, 5}, 1}, {[]float64{1, 5}, 1}, {[]float64{1}, 1}, {[]float64{1}, 2}, {[]float64{1}, 3}} {
		a.ticks = a.steps(every.leading, every.decades)
		if len(a.ticks) <= maxTicks+1 {
			break
		}
	}
	return a
}

// steps are the ticks of a logarithmic axis that begin with one of the digits, every so many decades.
func (a axis) steps(leading []float64, decades int) []mark {
	var ticks []mark
	for e := int(math.Floor(math.Log10(a.min))); float64(e) <= math.Log10(a.max)+1; e++ {
		if e%decades != 0 {
			continue
		}
		for _, digit := range leading {
			if v := power(digit, e); v >= a.min*(1-1e-9) && v <= a.max*(1+1e-9) {
				ticks = append(ticks, mark{value: v, label: short(a.unit.write(v))})
			}
		}
	}
	return ticks
}

// stepUp is the smallest of 1, 2, 5, 10, 20, … that is not below v; stepDown the largest that is not above.
func stepUp(v float64) float64 {
	e := int(math.Floor(math.Log10(v)))
	for _, digit := range []float64{1, 2, 5} {
		if s := power(digit, e); s >= v*(1-1e-9) {
			return s
		}
	}
	return power(1, e+1)
}

func stepDown(v float64) float64 {
	e := int(math.Floor(math.Log10(v) + 1e-9))
	for _, digit := range []float64{5, 2} {
		if s := power(digit, e); s <= v*(1+1e-9) {
			return s
		}
	}
	return power(1, e)
}

// power divides for what is below one, so that 2e-3 is exactly 0.002.
func power(digit float64, e int) float64 {
	if e < 0 {
		return digit / math.Pow10(-e)
	}
	return digit * math.Pow10(e)
}

// timeline is an axis of seconds, with ticks that a clock has.
func timeline(lo, hi float64) axis {
	if hi <= lo {
		hi = lo + 1
	}
	a := axis{min: lo, max: hi, unit: moment}
	step := 1.0
	for _, step = range []float64{1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 21600, 43200, 86400} {
		if (hi-lo)/step <= maxTicks {
			break
		}
	}
	for (hi-lo)/step > 2*maxTicks {
		step *= 2
	}
	for v := math.Ceil(lo/step) * step; v <= hi; v += step {
		a.ticks = append(a.ticks, mark{value: v, label: clock(v, step)})
	}
	return a
}

// clock writes a time in the unit of the steps between ticks.
func clock(v, step float64) string {
	switch {
	case v == 0:
		return "0"
	case step >= 3600:
		return short(rate.write(v/3600) + " h")
	case step >= 60:
		return short(rate.write(v/60) + " min")
	}
	return rate.write(v) + " s"
}

// percentiles is an axis of decades of 1/(1-q) that ends where count latencies have their longest.
func percentiles(count int64) axis {
	a := axis{max: max(depth(100, count), 1), unit: decades, ticks: []mark{{0, "0%", false}, {math.Log10(2), "50%", true}}}
	for d := 1; float64(d) <= a.max+1e-9; d++ {
		label := "90%"
		if d > 1 {
			label = "99." + strings.Repeat("9", d-2) + "%"
			label = strings.Replace(label, ".%", "%", 1)
		}
		a.ticks = append(a.ticks, mark{value: float64(d), label: label})
	}
	return a
}

// depth is where a percentile of count latencies is on the axis of percentiles: behind the longest there is nothing.
func depth(percent float64, count int64) float64 {
	end := math.Log10(float64(max(count, 1)))
	if percent >= 100 {
		return end
	}
	return min(-math.Log10(1-percent/100), end)
}
