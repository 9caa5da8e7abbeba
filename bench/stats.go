package bench

import (
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// An interval is a figure with the bounds that hold it in 95 of 100 times.
type interval struct{ median, low, high float64 }

// median is the middle of v, or the mean of the two in the middle; NaN of nothing.
func median(v []float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(v))
	n := len(s)
	return (s[(n-1)/2] + s[n/2]) / 2
}

// resamples is how often a sample is drawn anew from itself.
const resamples = 2000

// ratioOf is the ratio of a to b. Where both were run by turns, equally often, it is
// the median of the ratios run by run, so that what slows the machine for a while slows
// both; otherwise that of the medians. The interval is the bootstrap's: the middle 95 %
// of the ratios of samples drawn with replacement. Of one run it has no width. False:
// there is none, because a sample is empty, or b was nothing in some run.
func ratioOf(a, b []float64) (interval, bool) {
	if len(a) == 0 || len(b) == 0 || slices.Contains(b, 0) {
		return interval{}, false
	}
	// The same numbers give the same interval, whenever they are looked at.
	random := rand.New(rand.NewPCG(1, 2))
	draw := func(v []float64) []float64 {
		out := make([]float64, len(v))
		for i := range out {
			out[i] = v[random.IntN(len(v))]
		}
		return out
	}
	once := func() float64 { return median(draw(a)) / median(draw(b)) }
	middle := median(a) / median(b)
	if len(a) == len(b) {
		pairs := make([]float64, len(a))
		for i := range pairs {
			pairs[i] = a[i] / b[i]
		}
		once = func() float64 { return median(draw(pairs)) }
		middle = median(pairs)
	}
	drawn := make([]float64, resamples)
	for i := range drawn {
		drawn[i] = once()
	}
	slices.Sort(drawn)
	return interval{middle, stat.Quantile(0.025, stat.Empirical, drawn, nil), stat.Quantile(0.975, stat.Empirical, drawn, nil)}, true
}

// A point is a figure at a size.
type point struct{ n, figure float64 }

// growthOf fits figure = c·n^e by least squares of the logarithms, over all runs at all
// sizes, and answers e with Student's interval. False: too few points, or one size.
func growthOf(points []point) (interval, bool) {
	var xs, ys []float64
	sizes := make(map[float64]bool)
	for _, p := range points {
		if p.n > 0 && p.figure > 0 {
			xs, ys = append(xs, math.Log(p.n)), append(ys, math.Log(p.figure))
			sizes[p.n] = true
		}
	}
	if len(sizes) < 2 || len(xs) < 3 {
		return interval{}, false
	}
	alpha, beta := stat.LinearRegression(xs, ys, nil, false)
	var residual, spread float64
	mean := stat.Mean(xs, nil)
	for i := range xs {
		residual += math.Pow(ys[i]-alpha-beta*xs[i], 2)
		spread += math.Pow(xs[i]-mean, 2)
	}
	freedom := float64(len(xs) - 2)
	half := distuv.StudentsT{Sigma: 1, Nu: freedom}.Quantile(0.975) * math.Sqrt(residual/freedom/spread)
	return interval{beta, beta - half, beta + half}, true
}
