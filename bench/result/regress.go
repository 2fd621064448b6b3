package result

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// A gate that looks at a dozen metrics, each at 5%, cries wolf every third time. So a regression has to pass two tests:
//
//   - Nothing of the whole table may be chance: were the trials of both sides dealt anew, the largest standing apart of any
//     metric would reach this one's in at most Alpha/2 of all deals (Westfall and Young's max-T, 1993). Identical servers are
//     called worse in at most Alpha/2 of all comparisons, whatever the metrics' number and however they hang together. It
//     is the half because only one direction counts.
//   - The effect is beyond the limit with confidence: B is worse than A, made worse by the limit, by the one-sided
//     Mann-Whitney test.

// deals is up to how many deals are all tried; of more, so many are drawn.
const deals = 5_000

// leastApart keeps metrics that hardly ever move, as the rate of an open loop, from standing apart by nothing: 1%.
const leastApart = 0.01

// apart says how far b stands above a, in their own noise; both are logarithms.
func apart(a, b []float64) float64 {
	ma, va := moments(a)
	mb, vb := moments(b)
	return (mb - ma) / (math.Sqrt(va/float64(len(a))+vb/float64(len(b))) + leastApart)
}

// moments are the mean and the variance.
func moments(v []float64) (mean, variance float64) {
	for _, x := range v {
		mean += x
	}
	mean /= float64(len(v))
	for _, x := range v {
		variance += (x - mean) * (x - mean)
	}
	return mean, variance / float64(len(v)-1)
}

// logs are the logarithms of values, negated for those of which more is better: above is worse.
func (m metric) logs(values []float64) []float64 {
	var all []float64
	for _, v := range values {
		l := math.Log(max(v, 1e-9))
		if m.higher {
			l = -l
		}
		all = append(all, l)
	}
	return all
}

// chance is for each metric the share of deals in which any metric of n trials stands as far above the others. worse has a
// value of each trial for each metric, those of A first.
func chance(worse [][]float64, n int) []float64 {
	if len(worse) == 0 {
		return nil
	}
	seen := make([]float64, len(worse))
	for i, w := range worse {
		seen[i] = apart(w[:n], w[n:])
	}
	reached, all := make([]int, len(worse)), 0
	a, b := make([]float64, 0, n), make([]float64, 0, len(worse[0])-n)
	deal(len(worse[0]), n, func(first []bool) {
		all++
		most := math.Inf(-1)
		for _, w := range worse {
			a, b = a[:0], b[:0]
			for i, v := range w {
				if first[i] {
					a = append(a, v)
				} else {
					b = append(b, v)
				}
			}
			most = max(most, apart(a, b))
		}
		for i, s := range seen {
			if most >= s-1e-9 {
				reached[i]++
			}
		}
	})
	p := make([]float64, len(worse))
	for i, n := range reached {
		p[i] = float64(n) / float64(all)
	}
	return p
}

// deal tries every way to choose n of all, or many at random and the one that came about.
func deal(all, n int, try func(first []bool)) {
	first := make([]bool, all)
	if ways(n, all-n) <= deals {
		choose(first, 0, n, try)
		return
	}
	random := rand.New(rand.NewPCG(1, 2)) // the same every time: a verdict does not change by asking again
	for i := range n {
		first[i] = true
	}
	for range deals {
		try(first)
		random.Shuffle(all, func(i, j int) { first[i], first[j] = first[j], first[i] })
	}
}

func choose(first []bool, at, n int, try func([]bool)) {
	switch {
	case n == 0:
		try(first)
		return
	case len(first)-at < n:
		return
	}
	first[at] = true
	choose(first, at+1, n-1, try)
	first[at] = false
	choose(first, at+1, n, try)
}

// ways is how many ways there are to choose n of n+m.
func ways(n, m int) float64 {
	ways := 1.0
	for i := 1; i <= n; i++ {
		ways = ways * float64(m+i) / float64(i)
	}
	return ways
}

// compared is a metric that both results have in all trials.
type compared struct {
	metric
	a, b []float64
}

// gate looks for regressions.
func (c *Comparison) gate(all []compared, limit float64) error {
	bar := c.Asked / 2
	if least := 1 / ways(c.TrialsA, c.TrialsB); least > bar {
		return fmt.Errorf("%d and %d trials cannot show a regression: chance alone puts them farthest apart in %.3f of all cases, and %v is the bar; four trials each can, five or more see more",
			c.TrialsA, c.TrialsB, least, bar)
	}
	var worse [][]float64
	for _, m := range all {
		worse = append(worse, append(m.logs(m.a), m.logs(m.b)...))
	}
	for i, p := range chance(worse, c.TrialsA) {
		m := all[i]
		a, b := m.logs(m.a), m.logs(m.b)
		for k := range a {
			a[k] += m.allowed(limit)
		}
		if beyond := MannWhitneyAbove(a, b); p > bar || beyond > bar {
			continue
		}
		delta := math.Abs(median(m.b)/median(m.a) - 1)
		c.Regressions = append(c.Regressions, fmt.Sprintf("%s is worse by %s%%, and %s%% are allowed (p %.3f over all metrics)",
			m.name, Number(100*delta), Number(100*limit), p))
	}
	return nil
}

// allowed is by how much a logarithm may be above.
func (m metric) allowed(limit float64) float64 {
	if m.higher {
		return -math.Log(max(1-limit, 1e-9))
	}
	return math.Log(1 + limit)
}
