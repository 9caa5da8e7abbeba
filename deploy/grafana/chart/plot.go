package chart

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"massattach/deploy/grafana/dashboard"
)

// frame maps time and value to the canvas.
type frame struct {
	x0, x1, y0, y1 float64 // left, right, bottom, top
	r              Range
	axis           axis
}

func (c *canvas) frame(r Range, a axis, legend float64) frame {
	return frame{left, c.width - right, c.height - below - legend + lineHeight, head, r, a}
}

func (f frame) x(t model.Time) float64 {
	all := f.r.To.Sub(f.r.From).Seconds()
	return f.x0 + (f.x1-f.x0)*t.Time().Sub(f.r.From).Seconds()/all
}

func (f frame) y(v float64) float64 { return f.y0 + (f.y1-f.y0)*f.axis.part(v) }

// axes draws the grid and what stands beside it.
func (c *canvas) axes(f frame, unit dashboard.Unit) {
	for _, v := range f.axis.ticks() {
		y := f.y(v)
		c.put(`<path d="M%.1f %.1fH%.1f" stroke="#eceef1"/>`, f.x0, y, f.x1)
		c.text(f.x0-8, y+4, "end", `fill="#6e7380"`, format(v, unit))
	}
	marks := max(1, int((f.x1-f.x0)/100))
	span := f.r.To.Sub(f.r.From)
	for i := range marks + 1 {
		t := f.r.From.Add(span * time.Duration(i) / time.Duration(marks))
		anchor := "middle"
		switch i {
		case 0:
			anchor = "start"
		case marks:
			anchor = "end"
		}
		c.text(f.x(model.TimeFromUnixNano(t.UnixNano())), f.y0+18, anchor, `fill="#6e7380"`, t.UTC().Format("15:04:05"))
	}
	c.put(`<path d="M%.1f %.1fH%.1f" stroke="#c7cad0"/>`, f.x0, f.y0, f.x1)
}

// curves draws lines, or areas on top of each other, and their legend.
func (c *canvas) curves(p dashboard.Panel, series []Series, r Range) {
	var drawn []Series
	for _, s := range series {
		if !s.empty() {
			drawn = append(drawn, s)
		}
	}
	floor := make(map[model.Time]float64) // of a stack
	tops := make([]map[model.Time]float64, len(drawn))
	low, high := math.Inf(1), math.Inf(-1)
	for i, s := range drawn {
		tops[i] = make(map[model.Time]float64)
		for _, v := range s.Samples {
			top := float64(v.Value)
			if p.Kind == dashboard.Stack {
				top += floor[v.Timestamp]
				floor[v.Timestamp] = top
			}
			tops[i][v.Timestamp] = top
			if !math.IsNaN(top) && (!p.Log || top > 0) {
				low, high = min(low, top), max(high, top)
			}
		}
	}
	a := axis{low: 0, high: high}.wide()
	if p.Log {
		a = axis{low: low, high: high, log: true}.wide()
	}
	f := c.frame(r, a, c.legend(drawn))
	c.axes(f, p.Unit)
	for i := len(drawn) - 1; i >= 0; i-- {
		c.curve(f, drawn[i], tops[i], colour(i), p.Kind == dashboard.Stack)
	}
}

// curve draws one line. A gap longer than two steps, and a NaN, break it.
func (c *canvas) curve(f frame, s Series, top map[model.Time]float64, colour string, filled bool) {
	var line strings.Builder
	var first, last, before model.Time
	for _, v := range s.Samples {
		y := top[v.Timestamp]
		if math.IsNaN(y) || f.axis.log && y <= 0 {
			before = 0
			continue
		}
		move := "L"
		if v.Timestamp.Sub(before) > 2*f.r.step() {
			move = "M"
		}
		if first == 0 {
			first = v.Timestamp
		}
		before, last = v.Timestamp, v.Timestamp
		fmt.Fprintf(&line, "%s%.1f %.1f", move, f.x(v.Timestamp), f.y(y))
	}
	if filled {
		c.put(`<path d="%sL%.1f %.1fL%.1f %.1fZ" fill="%s" fill-opacity="0.85"/>`, line.String(), f.x(last), f.y0, f.x(first), f.y0, colour)
		return
	}
	c.put(`<path d="%s" fill="none" stroke="%s" stroke-width="1.6" stroke-linejoin="round"/>`, line.String(), colour)
}

// legend names the series below the plot, and answers how high it is.
func (c *canvas) legend(series []Series) float64 {
	const mark, gap, perLetter = 16.0, 18.0, 6.6
	var lines [][]int
	x := c.width
	for i, s := range series {
		w := mark + perLetter*float64(len(s.Name)) + gap
		if x+w > c.width-right {
			lines = append(lines, nil)
			x = 14
		}
		lines[len(lines)-1] = append(lines[len(lines)-1], i)
		x += w
	}
	for n, line := range lines {
		x, y := 14.0, c.height-14-float64(len(lines)-1-n)*lineHeight
		for _, i := range line {
			c.put(`<rect x="%.1f" y="%.1f" width="10" height="4" rx="1" fill="%s"/>`, x, y-6, colour(i))
			c.text(x+mark, y, "start", "", series[i].Name)
			x += mark + perLetter*float64(len(series[i].Name)) + gap
		}
	}
	return float64(len(lines)) * lineHeight
}

// heatmap draws a native histogram: a column for each step, a cell for each bucket.
func (c *canvas) heatmap(p dashboard.Panel, series []Series, r Range) {
	low, high, most := math.Inf(1), math.Inf(-1), 0.0
	each := func(f func(at model.Time, lower, upper, count float64)) {
		for _, s := range series {
			for _, h := range s.Histograms {
				for _, b := range h.Histogram.Buckets {
					if b.Count > 0 && b.Lower > 0 {
						f(h.Timestamp, float64(b.Lower), float64(b.Upper), float64(b.Count))
					}
				}
			}
		}
	}
	each(func(_ model.Time, lower, upper, count float64) {
		low, high, most = min(low, lower), max(high, upper), max(most, count)
	})
	f := c.frame(r, axis{low: low, high: high, log: true}.wide(), lineHeight)
	c.axes(f, p.Unit)
	step := model.Time(r.step() / 1e6)
	each(func(at model.Time, lower, upper, count float64) {
		x0, x1 := max(f.x(at-step), f.x0), f.x(at)
		c.put(`<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`,
			x0, f.y(upper), x1-x0+0.3, f.y(lower)-f.y(upper)+0.3, heat(math.Sqrt(count/most)))
	})
	for i := range 64 {
		c.put(`<rect x="%.1f" y="%.1f" width="2" height="8" fill="%s"/>`, f.x0+float64(2*i), c.height-22, heat(float64(i)/63))
	}
	c.text(f.x0+134, c.height-14, "start", `fill="#6e7380"`, "up to "+format(most, dashboard.Rate))
}

// heat is a colour from pale to dark orange.
func heat(part float64) string {
	mix := func(from, to float64) int { return int(from + (to-from)*part) }
	return fmt.Sprintf("#%02x%02x%02x", mix(255, 140), mix(240, 45), mix(219, 4))
}
