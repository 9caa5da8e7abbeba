package chart

import (
	"math"
	"strconv"

	"massattach/deploy/grafana/dashboard"
)

// axis is a range of values.
type axis struct {
	low, high float64
	log       bool
}

// wide makes it begin and end at a round number, and not be empty.
func (a axis) wide() axis {
	switch {
	case math.IsInf(a.low, 0) || math.IsInf(a.high, 0) || a.low > a.high:
		return axis{0, 1, false}
	case a.log:
		a.low = math.Pow(10, math.Floor(math.Log10(a.low)+1e-9))
		a.high = math.Pow(10, math.Ceil(math.Log10(a.high)-1e-9))
		if a.low == a.high {
			a.high *= 10
		}
	case a.high == a.low:
		a.high = a.low + 1
	default:
		step := a.step()
		a.high = math.Ceil(a.high/step-1e-9) * step
	}
	return a
}

// part is where a value stands: 0 at the low end, 1 at the high one.
func (a axis) part(v float64) float64 {
	if a.log {
		return math.Log(v/a.low) / math.Log(a.high/a.low)
	}
	return (v - a.low) / (a.high - a.low)
}

// step is 1, 2 or 5 times a power of ten, so that there are some five ticks.
func (a axis) step() float64 {
	raw := (a.high - a.low) / 5
	power := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, m := range []float64{1, 2, 5} {
		if raw <= m*power*1.0001 {
			return m * power
		}
	}
	return 10 * power
}

func (a axis) ticks() (ticks []float64) {
	if a.log {
		for v := a.low; v <= a.high*1.001; v *= 10 {
			ticks = append(ticks, v)
		}
		return ticks
	}
	for v := a.low; v <= a.high*1.0001; v += a.step() {
		ticks = append(ticks, v)
	}
	return ticks
}

// format shows a value in three digits, in its unit.
func format(v float64, unit dashboard.Unit) string {
	switch {
	case math.IsNaN(v):
		return "–"
	case v == 0:
		return "0"
	case unit == dashboard.Seconds:
		return scaled(v, 1e-9, []string{" ns", " µs", " ms", " s"})
	case unit == dashboard.Rate:
		return scaled(v, 1, []string{"/s", " K/s", " M/s", " G/s"})
	}
	return scaled(v, 1, []string{"", " K", " M", " G"})
}

// scaled shows v in the largest of the units, each 1,000 of the one before, of which it
// has at least one.
func scaled(v, first float64, units []string) string {
	v /= first
	i := 0
	for i < len(units)-1 && math.Abs(v) >= 999.5 {
		v /= 1000
		i++
	}
	return strconv.FormatFloat(three(v), 'f', -1, 64) + units[i]
}

// three rounds to three digits.
func three(v float64) float64 {
	digits := 2 - int(math.Floor(math.Log10(math.Abs(v))))
	power := math.Pow(10, float64(digits))
	return math.Round(v*power) / power
}
