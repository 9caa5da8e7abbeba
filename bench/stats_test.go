package bench

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		v    []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{5, 1, 3}, 3}, {[]float64{4, 1, 2, 100}, 3}} {
		if got := median(c.v); got != c.want {
			t.Errorf("median of %v is %v, want %v", c.v, got, c.want)
		}
	}
	if got := median(nil); !math.IsNaN(got) {
		t.Errorf("median of nothing is %v", got)
	}
}

// sampled is n figures around middle, each wrong by some of a share.
func sampled(r *rand.Rand, n int, middle, share float64) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = middle * math.Exp(share*r.NormFloat64())
	}
	return v
}

// Of equal figures the ratio is exact, and the interval has no width.
func TestRatioExact(t *testing.T) {
	got, _ := ratioOf([]float64{3, 3, 3}, []float64{2, 2, 2})
	if want := (interval{1.5, 1.5, 1.5}); got != want {
		t.Errorf("%v, want %v", got, want)
	}
	// By turns, on a machine that slows down by a factor of eight: the pairs don't mind.
	if got, _ := ratioOf([]float64{2, 4, 8, 16}, []float64{1, 2, 4, 8}); got != (interval{2, 2, 2}) {
		t.Errorf("by turns: %v", got)
	}
	// Not equally often: of medians.
	if got, _ := ratioOf([]float64{2, 2, 2}, []float64{100}); got != (interval{0.02, 0.02, 0.02}) {
		t.Errorf("once: %v", got)
	}
}

// To nothing there is no ratio, and nothing has none: a share of a CPU that was less
// than a tick in one run, say.
func TestRatioOfNothing(t *testing.T) {
	for _, c := range []struct{ a, b []float64 }{
		{[]float64{1, 1, 1}, []float64{0, 1, 1}},
		{[]float64{0.005, 0, 0}, []float64{0, 0.005, 0.005}},
		{[]float64{1}, []float64{1, 0}},
		{nil, []float64{1}},
		{[]float64{1}, nil},
	} {
		if got, ok := ratioOf(c.a, c.b); ok {
			t.Errorf("%v to %v: %v", c.a, c.b, got)
		}
	}
	if got, ok := ratioOf([]float64{0, 0, 0}, []float64{2, 2, 2}); !ok || got != (interval{}) {
		t.Errorf("nothing to something: %v, %v", got, ok)
	}
}

// The interval holds the true ratio about as often as it says, and is not so wide that
// it holds anything: with 10 runs of a noise of 10 % it tells 1.3 from 1.
func TestRatioCovers(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	const rounds, truth = 400, 1.3
	held, told := 0, 0
	for range rounds {
		got, _ := ratioOf(sampled(r, 10, truth, 0.1), sampled(r, 10, 1, 0.1))
		if got.low <= truth && truth <= got.high {
			held++
		}
		if got.low > 1 {
			told++
		}
	}
	if held < rounds*85/100 || held > rounds*995/1000 {
		t.Errorf("the interval held the ratio %d times of %d", held, rounds)
	}
	if told < rounds*95/100 {
		t.Errorf("1.3 was told from 1 only %d times of %d", told, rounds)
	}
}

// No difference is found where there is none, but for 1 of 20 times or so.
func TestRatioOfTheSame(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	wrong := 0
	for range 400 {
		got, _ := ratioOf(sampled(r, 10, 1, 0.2), sampled(r, 10, 1, 0.2))
		if got.low > 1 || got.high < 1 {
			wrong++
		}
	}
	if wrong > 60 {
		t.Errorf("a difference was found %d times of 400", wrong)
	}
}

func TestGrowthExact(t *testing.T) {
	for _, e := range []float64{0.5, 1, 2} {
		var points []point
		for _, n := range []float64{1e3, 4e3, 1e4, 3e4} {
			points = append(points, point{n, 7 * math.Pow(n, e)})
		}
		got, ok := growthOf(points)
		if !ok || math.Abs(got.median-e) > 1e-9 || got.high-got.low > 1e-6 {
			t.Errorf("n^%v: %v %v", e, got, ok)
		}
	}
	if _, ok := growthOf([]point{{1000, 1}, {1000, 2}, {1000, 3}}); ok {
		t.Error("a growth over one size")
	}
	if _, ok := growthOf([]point{{1000, 1}, {2000, 2}}); ok {
		t.Error("a growth with an interval through two points")
	}
}

func TestGrowthCovers(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	held := 0
	for range 400 {
		var points []point
		for _, n := range []float64{1e3, 4e3, 1e4} {
			for _, v := range sampled(r, 5, n, 0.15) {
				points = append(points, point{n, v})
			}
		}
		if got, ok := growthOf(points); ok && got.low <= 1 && 1 <= got.high {
			held++
		}
	}
	if held < 360 || held > 396 {
		t.Errorf("the interval held the exponent %d times of 400", held)
	}
}
