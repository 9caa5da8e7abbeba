package chart

import (
	"bytes"
	"cmp"
	"fmt"
	"html"
	"slices"

	"massattach/deploy/grafana/dashboard"
)

// The size of a grid unit of the dashboard, and of what surrounds a plot.
const (
	gridX, gridY             = 40, 36
	left, right, head, below = 64, 16, 40, 54
	lineHeight               = 18
)

// colours of curves; a classic palette of Grafana's that is readable on white.
var colours = []string{"#3274d9", "#ff780a", "#56a64b", "#e02f44", "#a352cc", "#e0b400", "#00848c", "#8f3bb8", "#7c2ea3", "#6b7280"}

func colour(i int) string { return colours[i%len(colours)] }

// canvas writes SVG.
type canvas struct {
	bytes.Buffer
	width, height float64
}

func (c *canvas) put(format string, args ...any) { fmt.Fprintf(&c.Buffer, format+"\n", args...) }

// text writes a line; anchor is start, middle or end, more are further attributes.
func (c *canvas) text(x, y float64, anchor, more, s string) {
	c.put(`<text x="%.1f" y="%.1f" text-anchor="%s" %s>%s</text>`, x, y, anchor, more, html.EscapeString(s))
}

// Draw draws a panel as SVG from what its queries have returned.
func Draw(p dashboard.Panel, series []Series, r Range) []byte {
	c := &canvas{width: float64(p.Width) * gridX, height: float64(p.Height) * gridY}
	c.put(`<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" viewBox="0 0 %[1]g %[2]g" font-family="Inter, 'Helvetica Neue', Arial, sans-serif" font-size="12" fill="#24292e">`, c.width, c.height)
	c.put(`<title>%s</title>`, html.EscapeString(p.Title+": "+p.About))
	c.put(`<rect x="0.5" y="0.5" width="%g" height="%g" rx="3" fill="#ffffff" stroke="#d8dade"/>`, c.width-1, c.height-1)
	c.text(14, 25, "start", `font-size="14" font-weight="600"`, p.Title)
	switch p.Kind {
	case dashboard.Number:
		c.number(p, series)
	case dashboard.Table:
		c.table(p, series)
	case dashboard.Heatmap:
		c.heatmap(p, series, r)
	default:
		c.curves(p, series, r)
	}
	c.put("</svg>")
	return c.Bytes()
}

// number shows the newest value, and its name if it has labels.
func (c *canvas) number(p dashboard.Panel, series []Series) {
	s := slices.MaxFunc(series, func(a, b Series) int { return cmp.Compare(a.last(), b.last()) })
	fill := "#37872d"
	if p.Alarm != nil && s.last() >= *p.Alarm {
		fill = "#c4162a"
	}
	y := c.height/2 + 26
	if len(s.Labels) > 0 {
		c.text(c.width/2, y-26, "middle", `font-size="20" fill="`+fill+`"`, s.Name)
		y += 20
	}
	c.text(c.width/2, y, "middle", `font-size="40" font-weight="600" fill="`+fill+`"`, format(s.last(), p.Unit))
}

// table shows a line for each combination of labels, those first that have most in the
// first column.
func (c *canvas) table(p dashboard.Panel, series []Series) {
	type row struct {
		target, instance string
		cells            map[int]float64
	}
	rows := make(map[[2]string]*row)
	for _, s := range series {
		key := [2]string{s.Labels["target"], s.Labels["instance"]}
		if rows[key] == nil {
			rows[key] = &row{key[0], key[1], make(map[int]float64)}
		}
		rows[key].cells[s.Query] = s.last()
	}
	var sorted []*row
	for _, r := range rows {
		sorted = append(sorted, r)
	}
	slices.SortFunc(sorted, func(a, b *row) int {
		return cmp.Or(cmp.Compare(b.cells[0], a.cells[0]), cmp.Compare(a.target, b.target), cmp.Compare(a.instance, b.instance))
	})
	column := (c.width - 28) / float64(len(p.Queries)+2)
	at := func(i int) float64 { return 14 + float64(i)*column }
	const bold = `font-weight="600" fill="#6e7380"`
	y := 52.0
	c.text(at(0), y, "start", bold, "target")
	c.text(at(1), y, "start", bold, "instance")
	for i, q := range p.Queries {
		c.text(at(i+3), y, "end", bold, q.Legend)
	}
	for _, r := range sorted {
		c.put(`<path d="M14 %.1fH%.1f" stroke="#eceef1"/>`, y+8, c.width-14)
		if y += 25; y > c.height-10 {
			break
		}
		c.text(at(0), y, "start", "", r.target)
		c.text(at(1), y, "start", "", r.instance)
		for i, q := range p.Queries {
			if v, ok := r.cells[i]; ok {
				c.text(at(i+3), y, "end", "", format(v, q.Unit))
			}
		}
	}
}
