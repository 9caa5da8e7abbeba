// Package page makes one page of HTML of a benchmark: charts, tables and settings, with
// nothing to be loaded from anywhere.
//
// The charts are drawn by Chart.js 4 (MIT, see chart.LICENSE.md), which is embedded as
// its authors have published it. To renew it:
//
//	npm pack chart.js@4 && tar xzf chart.js-4.*.tgz package/dist/chart.umd.min.js package/LICENSE.md
package page

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"sync"

	"massattach/internal/report"
)

var (
	//go:embed chart.umd.min.js
	library string
	//go:embed page.js
	script string
	//go:embed page.css
	style string
	//go:embed page.html
	skeleton string
)

// page is read when it is asked for: not at each start of the command.
var page = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("page").Funcs(template.FuncMap{
		"number": report.Number,
		"figure": report.Figure,
		"words":  report.FigureWords,
		"kind":   report.KindWords,
	}).Parse(skeleton))
})

// Write writes the page of a benchmark.
func Write(w io.Writer, b *report.Bench) error {
	data, err := json.Marshal(b)
	if err != nil {
		return err
	}
	// Its source map is not here, and a browser that looks for it would complain.
	charts, _, _ := strings.Cut(library, "//# sourceMappingURL=")
	var out bytes.Buffer
	err = page().Execute(&out, map[string]any{
		"Bench": b, "Data": template.JS(data), "Library": template.JS(charts),
		"Script": template.JS(script), "Style": template.CSS(style),
		"Tiles": tiles(b), "Cases": tables(b), "Memory": report.Bytes(float64(b.Machine.Memory)),
	})
	if err != nil {
		return err
	}
	_, err = w.Write(out.Bytes())
	return err
}

// A tile is one of the results that are to be read first.
type tile struct{ Figure, What, Beside string }

func tiles(b *report.Bench) (all []tile) {
	const session = "session"
	n := best(b, session)
	at := report.Plural(n, "thread")
	for _, peer := range []string{"gdb", "strace"} {
		ours, _ := b.Cell(session, n, report.SubjectOurs, report.FigureSeconds)
		theirs, ok := b.Cell(session, n, peer, report.FigureSeconds)
		r, compared := b.Ratio(session, n, peer, report.FigureSeconds)
		if ok && compared && r.Median > 0 {
			all = append(all, tile{report.Times(1 / r.Median), "as fast as " + peer + ", to attach to " + at + " and let go",
				report.Figure(report.FigureSeconds, ours.Median) + " beside " + report.Figure(report.FigureSeconds, theirs.Median)})
		}
	}
	if ours, ok := b.Cell(session, n, report.SubjectOurs, report.FigureEINTR); ok {
		all = append(all, tile{report.Figure(report.FigureEINTR, ours.Median), "calls of the target failed with EINTR, at " + at,
			others(b, session, n, report.FigureEINTR)})
	}
	if ours, ok := b.Cell(session, n, report.SubjectOurs, report.FigurePause); ok {
		all = append(all, tile{report.Figure(report.FigurePause, ours.Median), "was the longest pause of a running thread",
			others(b, session, n, report.FigurePause, report.SubjectUntouched)})
	}
	for _, n := range slices.Backward(b.Sizes("attach")) {
		if r, ok := b.Ratio("attach", n, report.SubjectRaw, report.FigureSeconds); ok && n <= 10_000 {
			all = append(all, tile{fmt.Sprintf("%.2f", r.Median), "of the time of the bare system calls, to attach to " + report.Plural(n, "thread"),
				fmt.Sprintf("%.2f to %.2f, in 95 of 100 times", r.Low, r.High)})
			break
		}
	}
	return all
}

// best is the largest size, of at most 10,000, at which a peer has a figure.
func best(b *report.Bench, kase string) int {
	for _, n := range slices.Backward(b.Sizes(kase)) {
		for _, peer := range []string{"gdb", "strace"} {
			if _, ok := b.Ratio(kase, n, peer, report.FigureSeconds); ok && n <= 10_000 {
				return n
			}
		}
	}
	return b.Shown(kase)
}

// others are the figures of some subjects, in words.
func others(b *report.Bench, kase string, n int, figure string, names ...string) string {
	var parts []string
	for _, s := range append(names, "strace", "gdb", "lldb") {
		if c, ok := b.Cell(kase, n, s, figure); ok && c.Runs > 0 {
			parts = append(parts, s+" "+report.Figure(figure, c.Median))
		}
	}
	return strings.Join(parts, ", ")
}

// A grid is a case as a table: a row for each subject and figure, a column for each size.
type grid struct {
	report.BenchCase
	Sizes []int
	Rows  []row
}

type row struct {
	Subject, Figure string
	First           bool // of its subject
	Cells           []string
}

func tables(b *report.Bench) (all []grid) {
	for _, c := range b.Cases {
		g := grid{BenchCase: c, Sizes: b.Sizes(c.Name)}
		if len(g.Sizes) == 0 {
			continue
		}
		figures := append([]string{c.Figure}, b.Figures(c)...)
		for _, s := range b.Subjects(c.Name) {
			first := true
			for _, f := range figures {
				r := row{Subject: s, Figure: report.FigureWords(f), First: first}
				some := false
				for _, n := range g.Sizes {
					cell, ok := b.Cell(c.Name, n, s, f)
					switch {
					case !ok:
						r.Cells = append(r.Cells, "")
						continue
					case cell.Runs == 0:
						r.Cells = append(r.Cells, cell.Outcome)
					default:
						r.Cells = append(r.Cells, report.Figure(f, cell.Median))
					}
					some = true
				}
				if some {
					g.Rows = append(g.Rows, r)
					first = false
				}
			}
		}
		all = append(all, g)
	}
	return all
}
