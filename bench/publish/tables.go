package main

import (
	"fmt"
	"slices"
	"strings"

	"massattach/internal/report"
)

// table has the figure that is compared: a row for each subject, a column for each size.
func table(b *report.Bench, c report.BenchCase) string {
	ns := b.Sizes(c.Name)
	heads := []string{""}
	for _, n := range ns {
		heads = append(heads, report.Number(n))
	}
	growing := slices.ContainsFunc(b.Growth, func(g report.Growth) bool { return g.Case == c.Name })
	if growing {
		heads = append(heads, "growth")
	}
	var all [][]string
	for _, s := range b.Subjects(c.Name) {
		cells := []string{name(s)}
		some := false
		for _, n := range ns {
			text := ""
			if cell, ok := b.Cell(c.Name, n, s, c.Figure); ok {
				some = true
				text = cell.Outcome
				if cell.Runs > 0 {
					text = report.Figure(c.Figure, cell.Median)
				}
			}
			if r, ok := b.Ratio(c.Name, n, s, c.Figure); ok {
				text += "<br><sub>" + compared(r, c) + "</sub>"
			}
			cells = append(cells, text)
		}
		if growing {
			cells = append(cells, growth(b, c.Name, s))
		}
		if some {
			all = append(all, cells)
		}
	}
	return rows(heads, all)
}

// name is a subject; ours stand out.
func name(s string) string {
	if strings.HasPrefix(s, report.SubjectOurs) {
		return "**" + s + "**"
	}
	return s
}

// compared is a ratio of ours to another.
func compared(r report.Ratio, c report.BenchCase) string {
	s := fmt.Sprintf("%s (%s)", report.Share(r.Median), report.Span(r.Low, r.High))
	if r.None {
		s += " none"
	}
	return s
}

func growth(b *report.Bench, kase, subject string) string {
	for _, g := range b.Growth {
		if g.Case == kase && g.Subject == subject {
			return fmt.Sprintf("n<sup>%.2f</sup> (%.2f to %.2f)", g.Exponent, g.Low, g.High)
		}
	}
	return ""
}

// felt is what the target noticed, and what else it took, at one size.
func felt(b *report.Bench, c report.BenchCase) string {
	n := b.Shown(c.Name)
	var figures []string
	for _, f := range b.Figures(c) {
		if f != report.FigureEarly && !strings.HasPrefix(f, report.FigureEINTR+" ") {
			figures = append(figures, f)
		}
	}
	heads := []string{"at " + report.Number(n)}
	for _, f := range figures {
		heads = append(heads, report.FigureWords(f))
	}
	var all [][]string
	for _, s := range b.Subjects(c.Name) {
		cells := []string{name(s)}
		some := false
		for _, f := range figures {
			text := ""
			if cell, ok := b.Cell(c.Name, n, s, f); ok && cell.Runs > 0 {
				text, some = report.Figure(f, cell.Median), true
			}
			cells = append(cells, text)
		}
		if some {
			all = append(all, cells)
		}
	}
	if len(figures) == 0 || len(all) == 0 {
		return ""
	}
	text := rows(heads, all)
	for _, line := range b.Interruptions(c) {
		text += "\n- " + line
	}
	return text
}

// whys says why there are no figures.
func whys(b *report.Bench, c report.BenchCase) string {
	var lines []string
	for _, cell := range b.Cells {
		if cell.Case != c.Name || cell.Detail == "" || cell.Outcome == report.OutcomeAbsent {
			continue
		}
		line := fmt.Sprintf("- %s at %s: %s: `%s`\n", cell.Subject, report.Number(cell.N), cell.Outcome, cell.Detail)
		if cell.Outcome == report.OutcomeOK {
			line = fmt.Sprintf("- %s at %s: `%s`\n", cell.Subject, report.Number(cell.N), cell.Detail)
		}
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// profile says where the time of a case goes.
func profile(b *report.Bench, c report.BenchCase) string {
	var s strings.Builder
	for _, p := range b.Profiles {
		if p.Case != c.Name {
			continue
		}
		var parts []string
		for _, h := range p.Top {
			if h.Share >= 0.02 {
				parts = append(parts, fmt.Sprintf("%.0f %% `%s`", 100*h.Share, h.Function))
			}
		}
		fmt.Fprintf(&s, "Where the CPU time goes at %s (%s): %s.\n", report.Number(p.N), report.Plural(p.Samples, "sample"), strings.Join(parts, ", "))
	}
	return s.String()
}

// headline is how much faster than its peers it is, at one size.
func headline(b *report.Bench) string {
	const kase = "session"
	n := b.Shown(kase)
	var all [][]string
	for _, s := range b.Subjects(kase) {
		t, ok := b.Cell(kase, n, s, report.FigureSeconds)
		if !ok {
			if s != report.SubjectUntouched {
				continue
			}
		}
		text, times := t.Outcome, ""
		if t.Runs > 0 {
			text = report.Figure(report.FigureSeconds, t.Median)
		}
		if r, ok := b.Ratio(kase, n, s, report.FigureSeconds); ok {
			times = fmt.Sprintf("%s (%s to %s)", report.Times(1/r.Median), report.Times(1/r.High), report.Times(1/r.Low))
		}
		cell := func(f string) string {
			if c, ok := b.Cell(kase, n, s, f); ok && c.Runs > 0 {
				return report.Figure(f, c.Median)
			}
			return ""
		}
		all = append(all, []string{name(s), text, times, cell(report.FigurePause), cell(report.FigureEINTR), cell(report.FigureMemory)})
	}
	return rows([]string{"attach to " + report.Number(n) + " threads and let go", "time", "massattach is faster by", "longest pause", "EINTR", "memory"}, all)
}

// loses are the comparisons that it does not win: with peers, in the figure of a case, the
// pause and the memory, and in the pause with itself untouched.
func loses(b *report.Bench) string {
	var s strings.Builder
	for _, c := range b.Cases {
		for _, r := range b.Ratios {
			// Untouched nothing is done: only its pauses can be compared.
			noPeer := r.To == report.SubjectRaw || strings.HasPrefix(r.To, report.SubjectOurs) ||
				r.To == report.SubjectUntouched && r.Figure != report.FigurePause
			if r.Case != c.Name || r.N != b.Shown(c.Name) || r.None || noPeer {
				continue
			}
			if more := c.More && r.Figure == c.Figure; more && r.High < 1 || !more && r.Low > 1 {
				fmt.Fprintf(&s, "- %s, at %s threads: %s by %s's, %s (%s).\n", c.Name, report.Number(r.N), report.FigureWords(r.Figure), r.To, report.Share(r.Median), report.Span(r.Low, r.High))
			}
		}
		s.WriteString(larger(b, c))
	}
	if s.Len() == 0 {
		return "- In this run nothing, by more than the noise.\n"
	}
	return s.String()
}

// larger are those who need less memory.
func larger(b *report.Bench, c report.BenchCase) string {
	n := b.Shown(c.Name)
	ours, ok := b.Cell(c.Name, n, report.SubjectOurs, report.FigureMemory)
	if !ok || ours.Runs == 0 {
		return ""
	}
	var less []string
	for _, s := range b.Subjects(c.Name) {
		if cell, ok := b.Cell(c.Name, n, s, report.FigureMemory); ok && cell.Runs > 0 && !strings.HasPrefix(s, report.SubjectOurs) && cell.Median < ours.Median {
			less = append(less, fmt.Sprintf("%s of %s", report.Figure(report.FigureMemory, cell.Median), s))
		}
	}
	if less == nil {
		return ""
	}
	return fmt.Sprintf("- %s, at %s threads: memory, %s to %s.\n", c.Name, report.Number(n), report.Figure(report.FigureMemory, ours.Median), strings.Join(less, ", "))
}

// above are the ratios to the raw limit that are over 1.2, by more than the noise, with
// the reason that a case has for all of them.
func above(b *report.Bench) string {
	var s strings.Builder
	for _, c := range b.Cases {
		var at []string
		for _, r := range b.Ratios {
			if r.Case != c.Name || r.To != report.SubjectRaw || r.Figure != c.Figure || r.None {
				continue
			}
			if c.More {
				r.Median, r.Low, r.High = 1/r.Median, 1/r.High, 1/r.Low
			}
			if r.Median > 1.2 {
				at = append(at, fmt.Sprintf("%s (%s) at %s", report.Share(r.Median), report.Span(r.Low, r.High), report.Number(r.N)))
			}
		}
		if at != nil {
			fmt.Fprintf(&s, "- %s: %s", c.Name, strings.Join(at, ", "))
			if c.Why != "" {
				s.WriteString("; " + c.Why)
			}
			s.WriteString(".\n")
		}
	}
	if s.Len() == 0 {
		return "None.\n"
	}
	return s.String()
}
