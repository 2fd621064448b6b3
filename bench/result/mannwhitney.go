package result

import (
	"math"
	"slices"
)

// exactly is up to how many values together the test is computed exactly.
const exactly = 60

// MannWhitney is the probability that two samples as far apart as a and b, or further, come from the same
// distribution (two-sided). It asks for no shape of that distribution, which latencies would not have. Up to 60 values
// together it counts all divisions of the values into two such samples, ties included; beyond, it is the normal
// approximation with corrections for ties and for continuity. (Mann and Whitney, 1947; benchstat uses the same test.)
func MannWhitney(a, b []float64) float64 {
	if len(a) == 0 || len(b) == 0 {
		return 1
	}
	ranks := doubledRanks(slices.Concat(a, b))
	sum := 0
	for _, r := range ranks[:len(a)] {
		sum += r
	}
	if len(ranks) <= exactly {
		return exactP(ranks, len(a), sum)
	}
	return normalP(ranks, len(a), sum)
}

// doubledRanks are twice the rank of each value, so that the mean rank of equal values is whole.
func doubledRanks(values []float64) []int {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		switch {
		case values[i] < values[j]:
			return -1
		case values[i] > values[j]:
			return 1
		}
		return 0
	})
	ranks := make([]int, len(values))
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && values[order[j]] == values[order[i]] {
			j++
		}
		for _, k := range order[i:j] {
			ranks[k] = i + 1 + j // ranks i+1 to j, their mean twice
		}
		i = j
	}
	return ranks
}

// exactP counts the ways to choose n of the ranks whose sum is as far from the middle as sum, or further.
func exactP(ranks []int, n, sum int) float64 {
	total := 0
	for _, r := range ranks {
		total += r
	}
	ways := make([][]float64, n+1) // by how many were chosen, and their sum
	for i := range ways {
		ways[i] = make([]float64, total+1)
	}
	ways[0][0] = 1
	for _, r := range ranks {
		for k := n; k > 0; k-- {
			for s := total; s >= r; s-- {
				ways[k][s] += ways[k-1][s-r]
			}
		}
	}
	// The middle is n*total/len(ranks); times len(ranks), to stay whole.
	far := func(s int) int { return abs(s*len(ranks) - n*total) }
	var extreme, all float64
	for s, w := range ways[n] {
		all += w
		if far(s) >= far(sum) {
			extreme += w
		}
	}
	return extreme / all
}

func abs(n int) int { return max(n, -n) }

// normalP approximates exactP.
func normalP(ranks []int, n, sum int) float64 {
	m, all := float64(len(ranks)-n), float64(len(ranks))
	u := float64(sum)/2 - float64(n)*float64(n+1)/2
	ties := 0.0
	counts := map[int]float64{}
	for _, r := range ranks {
		counts[r]++
	}
	for _, t := range counts {
		ties += t*t*t - t
	}
	variance := float64(n) * m / 12 * (all + 1 - ties/(all*(all-1)))
	if variance <= 0 {
		return 1
	}
	z := max(0, math.Abs(u-float64(n)*m/2)-0.5) / math.Sqrt(variance)
	return math.Erfc(z / math.Sqrt2)
}

// leastP is the least p that samples of these sizes can have, when they are completely apart.
func leastP(n, m int) float64 { return min(1, 2/ways(n, m)) }

// MannWhitneyAbove is the one-sided p: that b is as far above a, or further, although both come from the same distribution.
func MannWhitneyAbove(a, b []float64) float64 {
	if len(a) == 0 || len(b) == 0 {
		return 1
	}
	ranks := doubledRanks(slices.Concat(b, a))
	sum, total := 0, 0
	for i, r := range ranks {
		total += r
		if i < len(b) {
			sum += r
		}
	}
	p := 0.0
	if len(ranks) <= exactly {
		p = exactP(ranks, len(b), sum)
	} else {
		p = normalP(ranks, len(b), sum)
	}
	// Ranks of samples without ties lie symmetrically; with ties the half is an approximation.
	if p /= 2; sum*len(ranks) <= len(b)*total {
		return 1 - p
	}
	return p
}
