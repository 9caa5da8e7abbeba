package main

import (
	"fmt"
	"image/color"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"massattach/internal/report"
)

// A chart is a picture, drawn if there is something to draw.
type chart struct {
	File, Title string
	draw        func(path string) (bool, error)
}

// all are the charts of a report.
func all(b *report.Bench) []chart {
	charts := []chart{{"session.svg", "Time to attach to all threads and detach, by number of threads", func(path string) (bool, error) {
		return growthChart(b, "session", path)
	}}, {"pause.svg", "Longest pause of a running thread of the target", func(path string) (bool, error) {
		return barChart(b, "session", report.FigurePause, path)
	}}, {"stop.svg", "Time to stop all threads and let them go on, by number of threads", func(path string) (bool, error) {
		return growthChart(b, "stop", path)
	}}, {"ratios.svg", "Ratios to the bare loop, with their intervals", func(path string) (bool, error) {
		return ratioChart(b, path)
	}}}
	for _, kase := range []string{"attach", "detach", "arrest", "arrest-notify"} {
		charts = append(charts, chart{kase + ".svg", kase + ", beside the bare loop, by number of threads", func(path string) (bool, error) {
			return growthChart(b, kase, path)
		}})
	}
	return charts
}

// colours of subjects; the others are grey.
var colours = map[string]color.RGBA{
	"massattach": {0x0b, 0x76, 0x6e, 0xff}, "strace": {0xc2, 0x57, 0x0c, 0xff}, "gdb": {0x25, 0x63, 0xb0, 0xff},
	"lldb": {0x7c, 0x3a, 0xad, 0xff}, "dlv": {0x02, 0x84, 0xa5, 0xff}, "perf": {0xb8, 0x32, 0x6b, 0xff},
	"criu": {0x93, 0x70, 0x0b, 0xff}, "sigstop": {0xc2, 0x30, 0x30, 0xff}, "freezer": {0x3f, 0x5e, 0xa8, 0xff},
}

func colourOf(subject string) color.Color {
	first, _, _ := strings.Cut(subject, " ")
	if c, ok := colours[first]; ok {
		return c
	}
	return color.Gray{0x77}
}

// newPlot has what all have in common.
func newPlot() *plot.Plot {
	p := plot.New()
	p.BackgroundColor = color.White
	p.Legend.Top, p.Legend.Left = true, true
	p.Legend.Padding = vg.Points(2)
	p.Legend.ThumbnailWidth = vg.Points(22)
	p.Legend.TextStyle.Font.Size = vg.Points(10)
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.LineStyle.Color = color.Gray{0xaa}
		a.Tick.LineStyle.Color = color.Gray{0xaa}
		// The fonts of the reader may be wider than ours.
		a.Padding = vg.Points(12)
		a.Tick.Label.Font.Size, a.Label.TextStyle.Font.Size = vg.Points(10), vg.Points(11)
	}
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = color.Gray{0xe6}, color.Gray{0xe6}
	p.Add(grid)
	return p
}

// decades are ticks at powers of ten, in words.
func decades(words func(float64) string) plot.TickerFunc {
	return func(low, high float64) (ticks []plot.Tick) {
		for e := math.Floor(math.Log10(low)); e <= math.Ceil(math.Log10(high)); e++ {
			v := math.Pow(10, e)
			if v >= low*0.999 && v <= high*1.001 {
				ticks = append(ticks, plot.Tick{Value: v, Label: words(v)})
			}
		}
		return ticks
	}
}

// round is a time that is a power of ten.
func round(v float64) string {
	if v >= 10 {
		return fmt.Sprintf("%.0f s", v)
	}
	return strings.NewReplacer(".00", "", ".0", "").Replace(report.Figure(report.FigureSeconds, v))
}

// growthChart is the time of a case by number of threads, on logarithmic axes.
func growthChart(b *report.Bench, kase, path string) (bool, error) {
	p := newPlot()
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	ns := b.Sizes(kase)
	p.X.Tick.Marker = plot.TickerFunc(func(low, high float64) (ticks []plot.Tick) {
		for _, n := range ns {
			ticks = append(ticks, plot.Tick{Value: float64(n), Label: report.Number(n)})
		}
		return ticks
	})
	p.Y.Tick.Marker = decades(round)
	p.X.Label.Text = "threads"
	some := false
	least, most := math.Inf(1), 0.0
	for _, s := range b.Subjects(kase) {
		var points plotter.XYs
		for _, n := range ns {
			if c, ok := b.Cell(kase, n, s, report.FigureSeconds); ok && c.Runs > 0 && c.Median > 0 {
				points = append(points, plotter.XY{X: float64(n), Y: c.Median})
				least, most = min(least, c.Median), max(most, c.Median)
			}
		}
		if len(points) == 0 {
			continue
		}
		some = true
		line, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return false, err
		}
		line.Color, dots.Color = colourOf(s), colourOf(s)
		line.Width = vg.Points(1.5)
		dots.Shape, dots.Radius = draw.CircleGlyph{}, vg.Points(2.5)
		if s == report.SubjectOurs {
			line.Width = vg.Points(3)
		}
		if s == report.SubjectRaw || strings.Contains(s, " ") {
			line.Dashes = []vg.Length{vg.Points(5), vg.Points(3)}
		}
		p.Add(line, dots)
		p.Legend.Add(s, line)
	}
	if !some {
		return false, nil
	}
	p.X.Min, p.X.Max = float64(ns[0])*0.85, float64(ns[len(ns)-1])*1.4
	// The legend stands at the upper left: room above it.
	p.Y.Min, p.Y.Max = math.Pow(10, math.Floor(math.Log10(least))), math.Pow(10, math.Ceil(math.Log10(most))+0.4)
	return true, p.Save(vg.Points(560), vg.Points(320), path)
}

// barChart is one figure of all subjects of a case, on a logarithmic axis.
func barChart(b *report.Bench, kase, figure, path string) (bool, error) {
	n := b.Shown(kase)
	var cells []report.Cell
	for _, s := range b.Subjects(kase) {
		if c, ok := b.Cell(kase, n, s, figure); ok && c.Runs > 0 && c.Median > 0 {
			cells = append(cells, c)
		}
	}
	if len(cells) == 0 {
		return false, nil
	}
	slices.SortFunc(cells, func(x, y report.Cell) int { return int(math.Copysign(1, y.Median-x.Median)) })
	p := newPlot()
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, decades(round)
	p.X.Label.Text = report.FigureWords(figure) + " at " + report.Number(n) + " threads"
	var names []string
	var values, places plotter.XYs
	var labels []string
	least := cells[len(cells)-1].Median
	for i, c := range cells {
		names = append(names, c.Subject)
		line, err := plotter.NewLine(plotter.XYs{{X: least / 2, Y: float64(i)}, {X: c.Median, Y: float64(i)}})
		if err != nil {
			return false, err
		}
		line.Color, line.Width = colourOf(c.Subject), vg.Points(11)
		p.Add(line)
		values = append(values, plotter.XY{X: c.Median, Y: float64(i)})
		places = append(places, plotter.XY{X: c.Median * 1.08, Y: float64(i)})
		labels = append(labels, report.Figure(figure, c.Median))
	}
	if err := label(p, places, labels); err != nil {
		return false, err
	}
	p.NominalY(names...)
	p.X.Min, p.X.Max = least/2, values[0].X*4
	p.Y.Min, p.Y.Max = -0.6, float64(len(cells))-0.4
	return true, p.Save(vg.Points(560), vg.Points(float64(60+26*len(cells))), path)
}

// ratioChart has the ratios to the bare loop at 10,000 threads, or the most below.
func ratioChart(b *report.Bench, path string) (bool, error) {
	var shown []report.Ratio
	for _, c := range b.Cases {
		var best *report.Ratio
		for i, r := range b.Ratios {
			if r.Case == c.Name && r.To == report.SubjectRaw && r.Figure == report.FigureSeconds && r.N <= 10_000 && (best == nil || r.N > best.N) {
				best = &b.Ratios[i]
			}
		}
		if best != nil {
			shown = append(shown, *best)
		}
	}
	if len(shown) == 0 {
		return false, nil
	}
	slices.Reverse(shown)
	p := newPlot()
	p.X.Label.Text = "time by that of the bare loop"
	var names []string
	low, high := 0.8, 1.4
	var dots plotter.XYs
	for i, r := range shown {
		names = append(names, r.Case+", "+report.Number(r.N))
		line, err := plotter.NewLine(plotter.XYs{{X: r.Low, Y: float64(i)}, {X: r.High, Y: float64(i)}})
		if err != nil {
			return false, err
		}
		line.Color, line.Width = color.RGBA{0x8f, 0xc3, 0xbe, 0xff}, vg.Points(6)
		p.Add(line)
		dots = append(dots, plotter.XY{X: r.Median, Y: float64(i)})
		low, high = min(low, r.Low), max(high, r.High)
	}
	one, err := plotter.NewLine(plotter.XYs{{X: 1, Y: -1}, {X: 1, Y: float64(len(shown))}})
	if err != nil {
		return false, err
	}
	one.Color = color.Gray{0x77}
	points, err := plotter.NewScatter(dots)
	if err != nil {
		return false, err
	}
	points.Shape, points.Radius, points.Color = draw.CircleGlyph{}, vg.Points(4), colourOf("massattach")
	p.Add(one, points)
	p.NominalY(names...)
	p.X.Min, p.X.Max = low-0.05, high+0.1
	p.Y.Min, p.Y.Max = -0.6, float64(len(shown))-0.4
	return true, p.Save(vg.Points(560), vg.Points(float64(60+24*len(shown))), path)
}

// label writes texts to the right of places.
func label(p *plot.Plot, places plotter.XYs, texts []string) error {
	l, err := plotter.NewLabels(plotter.XYLabels{XYs: places, Labels: texts})
	if err != nil {
		return err
	}
	for i := range l.TextStyle {
		l.TextStyle[i].YAlign = -0.4
	}
	p.Add(l)
	return nil
}
