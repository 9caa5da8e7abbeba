package report

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

// Style is how text is dressed. The zero value is plain.
type Style struct{ Colour bool }

// Bold, Dim and Warn dress a piece of text.
func (s Style) Bold(t string) string { return s.sgr("1", t) }
func (s Style) Dim(t string) string  { return s.sgr("2", t) }
func (s Style) Warn(t string) string { return s.sgr("33", t) }

func (s Style) sgr(code, t string) string {
	if !s.Colour || t == "" {
		return t
	}
	return "\x1b[" + code + "m" + t + "\x1b[0m"
}

// dress is what a Style puts around text.
var dress = regexp.MustCompile("\x1b\\[[0-9]*m")

// columns is the room that t takes on a line, however it is dressed.
func columns(t string) int { return utf8.RuneCountInString(dress.ReplaceAllString(t, "")) }

// labelWidth is the room for the words that rows begin with.
const labelWidth = 10

// row writes "  label     value", and an empty label for a line more of it.
func (s Style) row(b *bytes.Buffer, label, value string) {
	pad := strings.Repeat(" ", labelWidth-len(label))
	fmt.Fprintf(b, "  %s%s%s\n", s.Dim(label), pad, value)
}

// Text writes the report for people: a line that says it all, then the details.
func (r *Session) Text(w io.Writer, style Style) error {
	var b bytes.Buffer
	name := style.Bold(Name(r.Comm, r.PID))
	if r.NSPID != 0 {
		name += fmt.Sprintf(" (%d in its PID namespace)", r.NSPID)
	}
	fmt.Fprintf(&b, "%s: %s\n", name, r.Summary(style))
	if !r.Interrupted {
		r.details(&b, style)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// reach is how many threads there were to attach to.
func (t Totals) reach() int { return t.Found - t.Vanished - t.Zombie }

// Summary is the report in half a line.
func (r *Session) Summary(style Style) string {
	if r.Interrupted {
		return style.Warn(fmt.Sprintf("interrupted at %s of %s; all were let go",
			Number(r.Threads.Attached), Plural(max(r.Listed, r.Threads.Attached), "thread")))
	}
	if r.Stop != nil {
		return r.Stop.summary(style) + r.stay()
	}
	return r.Attached(style) + r.stay()
}

// Watched is the summary of who was told the events of the process; lost are
// those that were not.
func (r *Session) Watched(told, lost int) string {
	s := Plural(told, "event")
	if lost > 0 {
		s += ", " + Number(lost) + " lost"
	}
	if r.Repair.EINTRRepaired > 0 {
		s += ", " + Plural(r.Repair.EINTRRepaired, "call") + " repaired"
	}
	if r.Repair.EINTRLeft > 0 {
		s += ", " + Number(r.Repair.EINTRLeft) + " left with EINTR or a short result"
	}
	return s + r.stay()
}

// stay says how long the process was attached, and how that ended.
func (r *Session) stay() (s string) {
	if r.Ended {
		return ", ended after " + Duration(r.Stayed)
	}
	if r.Stop == nil && r.Stayed >= time.Millisecond {
		s = ", stayed " + Duration(r.Stayed)
	}
	return s + ", detached in " + ns(r.Detach.ElapsedNS)
}

// Attached says how the attach went: "attached to all 101 threads in 1.20 ms".
func (r *Session) Attached(style Style) string {
	n, of := r.Threads.Attached, r.Threads.reach()
	which := ""
	switch {
	case n < of:
		which = style.Warn(Number(n) + " of " + Plural(of, "thread"))
	case n == 1:
		which = "its only thread"
		if r.Threads.Zombie > 0 {
			which = "its only live thread"
		}
	case r.Threads.Zombie > 0:
		which = "all " + Number(n) + " live threads"
	default:
		which = "all " + Number(n) + " threads"
	}
	return "attached to " + which + " in " + ns(r.Attach.ElapsedNS)
}

func (r *Session) details(b *bytes.Buffer, style Style) {
	t := r.Threads
	style.row(b, "threads", list("none",
		count{t.Found, "found"}, count{t.Attached, "attached"}, count{t.Failed, "failed"},
		count{t.Vanished, "vanished before it was their turn"}, count{t.Born, "born meanwhile"},
		count{t.Exited, "exited since"}))
	if r.Leader == "zombie" {
		style.row(b, "leader", "zombie: it has ended, the other threads live on")
	}
	scans := Number(r.ScanPasses)
	switch {
	case r.Converged:
		scans += ", the last one found nobody new"
	case r.Ended:
		scans += ", until it ended"
	default:
		scans += ", " + style.Warn("not converged: the last one still found new threads")
	}
	style.row(b, "scans", scans)
	l := r.Attach.LatencyNS
	style.row(b, "seize", fmt.Sprintf("median %s, p99 %s, max %s", ns(l.P50), ns(l.P99), ns(l.Max)))
	if r.Stop != nil {
		r.Stop.details(b, style)
	}
	e := r.Events
	if g := r.Attach.GapNS; g.Max > 0 {
		style.row(b, "births", fmt.Sprintf("free for: median %s, p99 %s, max %s", ns(g.P50), ns(g.P99), ns(g.Max)))
	}
	if e.Overflows > 0 {
		style.row(b, "", style.Warn(Plural(e.Overflows, "birth")+" came too fast to be heard of")+", and were looked for in the list")
	}
	style.row(b, "events", list("none",
		plural(e.Signals, "signal"), plural(e.Births, "birth"), plural(e.Exits, "exit"),
		plural(e.Execs, "exec"), plural(e.GroupStops, "group-stop")))
	p := r.Repair
	repaired := list("no call was interrupted",
		count{p.EINTRRepaired, "calls repaired"}, count{p.TimeoutsExtended, "time-outs extended"})
	if p.EINTRLeft > 0 {
		left := style.Warn(Number(p.EINTRLeft) + " left with EINTR or a short result")
		if p.EINTRRepaired == 0 {
			repaired = left
		} else {
			repaired += ", " + left
		}
	}
	style.row(b, "repair", repaired)
	if !r.Detach.Confirmed && !r.Ended {
		style.row(b, "detach", style.Warn("not confirmed: a thread may still be traced"))
	}
	r.failures(b, style)
}

// maxTIDs is how many thread numbers of a group of failures are printed.
const maxTIDs = 8

// reason is what several threads may have in their way.
type reason struct{ errno, cause, detail, hint string }

func (k reason) String() string {
	switch {
	case k.detail != "":
		return Line(k.detail)
	case k.errno != "":
		return k.cause + " (" + k.errno + ")"
	}
	return k.cause
}

// group is the failures that have the same reason.
type group struct {
	reason
	tids []int
}

func (r *Session) groups() []group {
	var gs []group
	index := make(map[reason]int)
	for _, f := range r.Failures {
		k := reason{f.Errno, f.Cause, f.Detail, f.Hint}
		i, ok := index[k]
		if !ok {
			i = len(gs)
			index[k] = i
			gs = append(gs, group{reason: k})
		}
		gs[i].tids = append(gs[i].tids, f.TID)
	}
	return gs
}

// Failed says why some threads could not be reached: "1 thread failed: already
// traced by 71 (strace)"; "" if all were.
func (r *Session) Failed() string {
	gs := r.groups()
	switch {
	case len(gs) == 0:
		return ""
	case len(gs) > 1:
		return Plural(r.FailuresTotal, "thread") + " failed, the first: " + gs[0].String()
	}
	return Plural(r.FailuresTotal, "thread") + " failed: " + gs[0].String()
}

func (r *Session) failures(b *bytes.Buffer, style Style) {
	for _, g := range r.groups() {
		var names []string
		for _, tid := range g.tids[:min(len(g.tids), maxTIDs)] {
			names = append(names, fmt.Sprint(tid))
		}
		if more := len(g.tids) - maxTIDs; more > 0 {
			names = append(names, "and "+Number(more)+" more")
		}
		style.row(b, "failed", fmt.Sprintf("%s: %s",
			style.Warn(Plural(len(g.tids), "thread")+", "+g.String()), strings.Join(names, " ")))
		if g.hint != "" {
			style.row(b, "", "hint: "+Line(g.hint))
		}
	}
	if more := r.FailuresTotal - len(r.Failures); more > 0 && len(r.Failures) > 0 {
		style.row(b, "", fmt.Sprintf("and %s, not listed", Plural(more, "more failure")))
	}
}

// count is a number of something whose name has no plural of its own.
type count struct {
	n    int
	what string
}

func plural(n int, what string) count {
	if n != 1 {
		what += "s"
	}
	return count{n, what}
}

// list is the counts that are not 0, or none.
func list(none string, counts ...count) string {
	var parts []string
	for _, c := range counts {
		if c.n != 0 {
			parts = append(parts, Number(c.n)+" "+c.what)
		}
	}
	if parts == nil {
		return none
	}
	return strings.Join(parts, ", ")
}

func ns(n int64) string { return Duration(time.Duration(n)) }

// table is aligned columns under a heading. Columns whose heading begins with
// > are set to the right. Where no column has one there is no line for them.
type table struct {
	heads []string
	rows  [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) write(b *bytes.Buffer, style Style) {
	widths := make([]int, len(t.heads))
	heads := make([]string, len(t.heads))
	for i, h := range t.heads {
		heads[i] = strings.TrimPrefix(h, ">")
		widths[i] = columns(heads[i])
		for _, r := range t.rows {
			widths[i] = max(widths[i], columns(r[i]))
		}
	}
	line := func(cells []string) string {
		var l strings.Builder
		for i, c := range cells {
			pad := strings.Repeat(" ", widths[i]-columns(c))
			if strings.HasPrefix(t.heads[i], ">") {
				c = pad + c
			} else {
				c += pad
			}
			l.WriteString("  ")
			l.WriteString(c)
		}
		return strings.TrimRight(l.String(), " ")
	}
	if head := line(heads); head != "" {
		b.WriteString(style.Dim(head) + "\n")
	}
	for _, r := range t.rows {
		b.WriteString(line(r) + "\n")
	}
}
