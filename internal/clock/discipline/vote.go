package discipline

import (
	"math"
	"slices"
)

// vote marks the largest set of servers that can all be right: whose intervals,
// offset ± bound, share a point (Marzullo's algorithm, as in RFC 5905, 11.2.1).
// It returns nil unless that is more than half of those that have an estimate.
func vote(all []estimate) (honest []int) {
	type edge struct {
		at   float64
		open bool
	}
	var edges []edge
	voters := 0
	for _, e := range all {
		if e.ok {
			voters++
			edges = append(edges, edge{e.offset - e.bound, true}, edge{e.offset + e.bound, false})
		}
	}
	slices.SortFunc(edges, func(a, b edge) int {
		if a.at < b.at || a.at == b.at && a.open && !b.open {
			return -1
		}
		return 1
	})
	most, here, point := 0, 0, 0.0
	for i, e := range edges {
		if !e.open {
			here--
			continue
		}
		if here++; here > most {
			most, point = here, (e.at+edges[i+1].at)/2 // of the shared interval
		}
	}
	if 2*most <= voters {
		return nil
	}
	for i, e := range all {
		if e.ok && math.Abs(e.offset-point) <= e.bound {
			honest = append(honest, i)
		}
	}
	return honest
}

// combine gives the time of the honest. The middle one of three or more can't be
// moved by any one of them beyond its neighbours, however slowly it walks away
// within its bound; of two the better one counts for more.
func combine(all []estimate, honest []int) (e estimate, chosen int) {
	by := slices.Clone(honest)
	slices.SortFunc(by, func(a, b int) int { return compare(all[a].offset, all[b].offset) })
	n := len(by)
	low, high := all[by[(n-1)/2]], all[by[n/2]]
	share := 0.5
	if n == 2 {
		share = high.sigma * high.sigma / (low.sigma*low.sigma + high.sigma*high.sigma)
	}
	e = mix(low, high, share)
	freqs := make([]float64, 0, n)
	for _, i := range by {
		freqs = append(freqs, all[i].freq)
	}
	slices.Sort(freqs)
	if n > 2 {
		e.freq = (freqs[(n-1)/2] + freqs[n/2]) / 2
	}
	chosen = by[(n-1)/2]
	if n%2 == 0 && high.sigma < low.sigma {
		chosen = by[n/2]
	}
	return e, chosen
}

func mix(a, b estimate, share float64) estimate {
	m := func(x, y float64) float64 { return share*x + (1-share)*y }
	return estimate{
		ok: true, offset: m(a.offset, b.offset), freq: m(a.freq, b.freq),
		sigma: m(a.sigma, b.sigma), spread: m(a.spread, b.spread), bound: m(a.bound, b.bound),
		delay: m(a.delay, b.delay), jitter: m(a.jitter, b.jitter),
	}
}

func compare(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
