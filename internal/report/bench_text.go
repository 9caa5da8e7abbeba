package report

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"
)

// Text writes the report for people: where it ran, then each case with its subjects and
// sizes, the ratios below them, and what the target noticed.
func (b *Bench) Text(w io.Writer, style Style) error {
	var out bytes.Buffer
	b.heading(&out, style)
	kind := ""
	for _, c := range b.Cases {
		if len(b.Sizes(c.Name)) == 0 {
			continue
		}
		if c.Kind != kind {
			kind = c.Kind
			fmt.Fprintf(&out, "\n%s\n", style.Bold(KindWords(kind)))
		}
		fmt.Fprintf(&out, "\n%s  %s\n\n", style.Bold(c.Name), c.About)
		b.table(c, style).write(&out, style)
		if felt := b.felt(c, style); felt != nil {
			out.WriteString("\n")
			felt.write(&out, style)
		}
		for _, line := range b.Interruptions(c) {
			fmt.Fprintf(&out, "  %s\n", line)
		}
		b.whys(&out, c, style)
		if c.Why != "" {
			fmt.Fprintf(&out, "\n  %s\n", style.Dim("beyond the bare loop: "+c.Why))
		}
	}
	b.settings(&out, style)
	_, err := w.Write(out.Bytes())
	return err
}

// KindWords names a kind of cases.
func KindWords(kind string) string {
	if kind == WholeProcess {
		return "WHOLE PROCESSES, from their start to their end"
	}
	return "WITHIN ONE PROCESS, beside the same system calls in a bare loop, by turns"
}

func (b *Bench) heading(out *bytes.Buffer, style Style) {
	m, n := b.Machine, b.Noise
	fmt.Fprintf(out, "%s: %s\n", style.Bold("massattach bench"), b.Headline())
	style.row(out, "machine", fmt.Sprintf("Linux %s, %s, %s (%s), %s", m.Kernel, m.Arch, Plural(m.CPUs, "CPU"), cmp.Or(m.CPU, "unknown"), Bytes(float64(m.Memory))))
	style.row(out, "version", Line(m.Version))
	style.row(out, "noise", fmt.Sprintf("the same bare attach twice, by turns: ratio %s; what is within is called none", Span(n.Low, n.High)))
	style.row(out, "", fmt.Sprintf("a spinning thread that nobody touches pauses for %s in %s (at the most %s); a process that does nothing takes %s",
		seconds(n.PauseSeconds), seconds(n.WindowSeconds), seconds(n.PauseMaxSeconds), seconds(n.ProcessSeconds)))
	if b.Interrupted {
		style.row(out, "", style.Warn("interrupted: this is what was done until then"))
	}
}

// Headline is the result in a line: how much faster than its peers at the largest size at
// which there is a figure for them, at most 10,000 threads.
func (b *Bench) Headline() string {
	const kase = "session"
	for _, n := range slices.Backward(b.Sizes(kase)) {
		if n > 10_000 {
			continue
		}
		var parts []string
		for _, s := range b.Subjects(kase) {
			if r, ok := b.Ratio(kase, n, s, FigureSeconds); ok && r.Median > 0 && !strings.HasPrefix(s, SubjectOurs) {
				parts = append(parts, Times(1/r.Median)+" as fast as "+s)
			}
		}
		if len(parts) > 0 {
			return fmt.Sprintf("attaches to %s and detaches %s", Plural(n, "thread"), strings.Join(parts, ", "))
		}
	}
	return fmt.Sprintf("%s in %s", Plural(len(b.Cells), "figure"), ns(b.ElapsedNS))
}

// table has a row for each subject and a column for each size, and below them the ratios.
func (b *Bench) table(c BenchCase, style Style) *table {
	t := &table{heads: []string{""}}
	ns := b.Sizes(c.Name)
	for _, n := range ns {
		t.heads = append(t.heads, ">"+Number(n))
	}
	growing := slices.ContainsFunc(b.Growth, func(g Growth) bool { return g.Case == c.Name })
	if growing {
		t.heads = append(t.heads, ">growth")
	}
	subjects := b.Subjects(c.Name)
	for _, s := range subjects {
		cells := []string{s}
		for _, n := range ns {
			cell, ok := b.Cell(c.Name, n, s, c.Figure)
			switch {
			case !ok:
				cells = append(cells, "")
			case cell.Outcome != OutcomeOK:
				cells = append(cells, style.Dim(cell.Outcome))
			case cell.Runs == 1:
				cells = append(cells, Figure(c.Figure, cell.Median)+" (once)")
			default:
				cells = append(cells, Figure(c.Figure, cell.Median)+" ±"+spread(cell))
			}
		}
		if growing {
			cells = append(cells, b.growth(c.Name, s))
		}
		if slices.ContainsFunc(cells[1:], func(s string) bool { return s != "" }) {
			t.add(cells...)
		}
	}
	for _, s := range subjects {
		cells := []string{style.Dim(SubjectOurs + " to " + s)}
		some := false
		for _, n := range ns {
			r, ok := b.Ratio(c.Name, n, s, c.Figure)
			if !ok {
				cells = append(cells, "")
				continue
			}
			some = true
			cells = append(cells, ratio(r, style))
		}
		if growing {
			cells = append(cells, "")
		}
		if some {
			t.add(cells...)
		}
	}
	return t
}

// spread is half of what lies between the least and the most, in per cent of the median.
func spread(c Cell) string {
	if c.Median == 0 {
		return "0 %"
	}
	return fmt.Sprintf("%.0f %%", 50*(c.Max-c.Min)/c.Median)
}

func (b *Bench) growth(kase, subject string) string {
	i := slices.IndexFunc(b.Growth, func(g Growth) bool { return g.Case == kase && g.Subject == subject })
	if i < 0 {
		return ""
	}
	g := b.Growth[i]
	return fmt.Sprintf("n^%.2f (%.2f–%.2f)", g.Exponent, g.Low, g.High)
}

func ratio(r Ratio, style Style) string {
	median := Share(r.Median)
	if r.None {
		median = "none"
	}
	return median + style.Dim(" ("+Share(r.Low)+"–"+Share(r.High)+")")
}

// felt is what the target noticed, and what else it took, at one size; nil if there is
// nothing to say.
func (b *Bench) felt(c BenchCase, style Style) *table {
	n := b.Shown(c.Name)
	var figures []string
	for _, f := range b.Figures(c) {
		if !strings.HasPrefix(f, FigureEINTR+" ") && f != FigureEarly {
			figures = append(figures, f)
		}
	}
	if len(figures) == 0 {
		return nil
	}
	t := &table{heads: []string{"at " + Number(n)}}
	for _, f := range figures {
		t.heads = append(t.heads, ">"+FigureWords(f))
	}
	for _, s := range b.Subjects(c.Name) {
		cells := []string{s}
		some := false
		for _, f := range figures {
			cell, ok := b.Cell(c.Name, n, s, f)
			if !ok || cell.Runs == 0 {
				cells = append(cells, "")
				continue
			}
			some = true
			cells = append(cells, Figure(f, cell.Median))
		}
		if some {
			t.add(cells...)
		}
	}
	if len(t.rows) == 0 {
		return nil
	}
	return t
}

// Interruptions says of each subject which calls of the target failed with EINTR, at the
// size that is shown; nothing of those that have spared all.
func (b *Bench) Interruptions(c BenchCase) (lines []string) {
	n := b.Shown(c.Name)
	for _, s := range b.Subjects(c.Name) {
		var calls []string
		for _, f := range b.Figures(c) {
			call, ok := strings.CutPrefix(f, FigureEINTR+" ")
			if cell, there := b.Cell(c.Name, n, s, f); ok && there && cell.Median > 0 {
				calls = append(calls, Figure(FigureEINTR, cell.Median)+" in "+call)
			}
		}
		if len(calls) > 0 {
			lines = append(lines, fmt.Sprintf("EINTR of %s: %s", s, strings.Join(calls, ", ")))
		}
	}
	return lines
}

// Shown is the size that is shown where there is room for one: 10,000 threads, or the
// most below; if all are larger, the least.
func (b *Bench) Shown(kase string) (shown int) {
	for i, n := range b.Sizes(kase) {
		if i == 0 || n <= 10_000 {
			shown = n
		}
	}
	return shown
}

// whys says why there are no figures.
func (b *Bench) whys(out *bytes.Buffer, c BenchCase, style Style) {
	said := make(map[string]bool)
	for _, cell := range b.Cells {
		if cell.Case != c.Name || cell.Detail == "" {
			continue
		}
		line := fmt.Sprintf("%s: %s: %s", cell.Subject, cell.Outcome, Line(cell.Detail))
		if cell.Outcome == OutcomeOK {
			line = fmt.Sprintf("%s: %s", cell.Subject, Line(cell.Detail))
		}
		if !said[line] {
			if len(said) == 0 {
				out.WriteString("\n")
			}
			fmt.Fprintf(out, "  %s\n", style.Dim(line))
		}
		said[line] = true
	}
}

// settings says with which settings the peers were run.
func (b *Bench) settings(out *bytes.Buffer, style Style) {
	if !slices.ContainsFunc(b.Peers, func(p Peer) bool { return p.Absent == "" }) {
		return
	}
	fmt.Fprintf(out, "\n%s\n\n", style.Bold("PEERS, each at its best settings"))
	for _, p := range b.Peers {
		if p.Absent != "" {
			style.row(out, p.Name, style.Dim(Line(p.Absent)))
			continue
		}
		style.row(out, p.Name, Line(p.Settings))
		if p.Version != "" {
			style.row(out, "", style.Dim(Line(p.Version)))
		}
	}
}

// Benchstat writes the figures of all runs in the format of benchstat
// (golang.org/x/perf): a line for each run.
func (b *Bench) Benchstat(w io.Writer, _ Style) error {
	var out bytes.Buffer
	fmt.Fprintf(&out, "goos: linux\ngoarch: %s\npkg: massattach/bench\ncpu: %s\nkernel: %s\n", b.Machine.Arch, b.Machine.CPU, b.Machine.Kernel)
	type key struct {
		kase, subject string
		n             int
	}
	var order []key
	runs := make(map[key][]Cell)
	for _, c := range b.Cells {
		k := key{c.Case, c.Subject, c.N}
		if c.Runs == 0 {
			continue
		}
		if runs[k] == nil {
			order = append(order, k)
		}
		runs[k] = append(runs[k], c)
	}
	for _, k := range order {
		name := fmt.Sprintf("Benchmark%s/n=%d/subject=%s-%d", camel(k.kase), k.n, strings.ReplaceAll(k.subject, " ", "-"), b.Machine.CPUs)
		most := 0
		for _, c := range runs[k] {
			most = max(most, len(c.Samples))
		}
		for i := range most {
			fmt.Fprintf(&out, "%s 1", name)
			for _, c := range runs[k] {
				if i < len(c.Samples) {
					fmt.Fprintf(&out, " %v %s", c.Samples[i], unit(c.Figure))
				}
			}
			out.WriteString("\n")
		}
	}
	_, err := w.Write(out.Bytes())
	return err
}

// camel makes AttachEvent of attach-event.
func camel(s string) string {
	var b strings.Builder
	for word := range strings.SplitSeq(s, "-") {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}

// unit is how benchstat calls a figure.
func unit(figure string) string {
	switch figure {
	case FigureSeconds:
		return "sec/op"
	case FigureMemory:
		return "B"
	case FigureCPU, FigurePause, "call", "regs", "resume", "select", "stopped":
		return figure + "-sec/op"
	case FigureRate:
		return "signals/s"
	}
	return strings.ReplaceAll(figure, " ", "-")
}

// Figure is a figure for people, in a unit that suits it.
func Figure(figure string, v float64) string {
	switch unit := unit(figure); {
	case strings.HasSuffix(unit, "sec/op"):
		return seconds(v)
	case figure == FigureMemory:
		return Bytes(v)
	case figure == FigureKept:
		return fmt.Sprintf("%.1f %%", 100*v)
	case figure == FigureShare:
		return fmt.Sprintf("%.2f %%", 100*v)
	case figure == FigureRate:
		return Number(int(v)) + "/s"
	}
	if v == math.Trunc(v) {
		return Number(int(v))
	}
	return digits(v)
}

// FigureWords is how a figure is called by people.
func FigureWords(figure string) string {
	switch figure {
	case FigureSeconds:
		return "time"
	case FigureCPU:
		return "CPU time"
	case FigurePause:
		return "longest pause"
	case FigureEINTR:
		return "EINTR"
	case FigureKept:
		return "rate kept"
	case FigureShare:
		return "of a CPU"
	case "call":
		return "whole call"
	case "regs":
		return "registers"
	case "select":
		return "selecting"
	case "stopped":
		return "all stopped"
	}
	return strings.Replace(figure, FigureEINTR+" ", "EINTR in ", 1)
}

func seconds(v float64) string { return Duration(time.Duration(v * float64(time.Second))) }

// Bytes is a number of bytes in a unit that suits it.
func Bytes(v float64) string {
	switch {
	case v >= 1<<30:
		return digits(v/(1<<30)) + " GiB"
	case v >= 1<<20:
		return digits(v/(1<<20)) + " MiB"
	}
	return digits(v/(1<<10)) + " KiB"
}

// Times is how often as fast, with a sign.
func Times(v float64) string {
	switch {
	case v >= 9.95:
		return Number(int(math.Round(v))) + "×"
	}
	return digits(v) + "×"
}

// Share is a ratio with digits that tell something, also of a small one.
func Share(v float64) string {
	if v > 0 && v < 0.0995 {
		return fmt.Sprintf("1/%s", strings.TrimSuffix(Times(1/v), "×"))
	}
	return digits(v)
}

// Span is an interval of ratios.
func Span(low, high float64) string { return Share(low) + " to " + Share(high) }
