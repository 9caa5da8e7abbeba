package report

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"massattach/stopper"
)

// Demo is the report of a demonstration: what a process says that it noticed of
// each of several treatments.
type Demo struct {
	PID     int     `json:"pid"`
	Comm    string  `json:"comm"`
	Threads int     `json:"threads"` // at the start
	ForNS   int64   `json:"for_ns"`  // how long each trial was to be
	Follow  string  `json:"follow"`
	Noticed bool    `json:"noticed"` // the process did notice the attach
	Trials  []Trial `json:"trials"`

	// Next is what to try after it, for people.
	Next []Command `json:"-"`
}

// Command is a command line, and what it does.
type Command struct{ Line, Does string }

// Trial is what the process noticed of one treatment, and what could be seen
// from outside. The process was under the same load in each of them.
type Trial struct {
	Name      string `json:"name"` // "untouched", "massattach", "stop", "notify", "sigstop"
	ElapsedNS int64  `json:"elapsed_ns"`

	EINTR   int            `json:"eintr"`    // calls that failed with it
	EINTRIn map[string]int `json:"eintr_in"` // the same by the name of the call
	Early   int            `json:"early"`    // calls that returned too early, but with another result
	// MaxPauseNS is the longest time for which a thread that never sleeps
	// did not run.
	MaxPauseNS int64   `json:"max_pause_ns"`
	Signals    Signals `json:"signals"`
	Births     int     `json:"births"`
	// Followed are those of the births that were attached to.
	Followed int `json:"followed"`

	// SeenStopped is how many threads were in a stop when each was looked at
	// once, and StoppedNS how long the process was made to stop for that.
	SeenStopped int   `json:"seen_stopped"`
	StoppedNS   int64 `json:"stopped_ns"`

	// Session is the attacher's own account; absent where nobody attached.
	Session *Session `json:"session,omitempty"`
}

// Signals is what was sent to the process.
type Signals struct {
	Sent    int `json:"sent"`    // of a kind that it handles
	Handled int `json:"handled"` // runs of the handler
	Ignored int `json:"ignored"` // sent beside these, of a kind that it ignores
}

// titles are the names of the trials in text, where they differ.
var titles = map[string]string{"stop": "massattach stop", "notify": "stop --style notify", "sigstop": "SIGSTOP"}

func (t *Trial) title() string {
	if title := titles[t.Name]; title != "" {
		return title
	}
	return t.Name
}

// Noticed is what the process noticed, "" for nothing: its pauses aside, since
// there are those on any machine that is busy.
func (t *Trial) Noticed() string {
	return list("",
		count{t.EINTR, "EINTR"},
		plural(t.Early, "early return"),
		plural(t.Signals.Sent-t.Signals.Handled, "lost signal"))
}

// Text writes the report for people: a line that says it all, a column for each
// trial, what was done in them, and what to try next.
func (d *Demo) Text(w io.Writer, style Style) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s: %s\n\n", style.Bold(Name(d.Comm, d.PID)), d.Summary(style))
	d.table(style).write(&b, style)
	b.WriteString("\n")
	d.story(style).write(&b, style)
	if len(d.Next) > 0 {
		b.WriteString("\n")
		next := &table{heads: []string{"", "", ""}}
		label := "next"
		for _, c := range d.Next {
			next.add(style.Dim(label), style.Bold(Line(c.Line)), c.Does)
			label = ""
		}
		next.write(&b, style)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// Summary is the report in half a line: how the first attach went.
func (d *Demo) Summary(style Style) string {
	i := slices.IndexFunc(d.Trials, func(t Trial) bool { return t.Session != nil })
	if i < 0 {
		return Plural(d.Threads, "thread")
	}
	t := d.Trials[i]
	which := "all " + Number(d.Threads) + " threads"
	if n := t.Session.FailuresTotal; n > 0 {
		which = style.Warn(Number(d.Threads-n) + " of " + Plural(d.Threads, "thread"))
	}
	noticed := style.Bold("nothing")
	if d.Noticed {
		noticed = style.Warn(t.Noticed())
	}
	return fmt.Sprintf("attached to %s for %s: they noticed %s", which, Duration(t.Session.Stayed), noticed)
}

// table has a column for each trial and a row for each thing to compare.
func (d *Demo) table(style Style) *table {
	tab := &table{heads: []string{""}}
	for _, t := range d.Trials {
		tab.heads = append(tab.heads, ">"+t.title())
	}
	row := func(label string, cell func(Trial) string) {
		cells := []string{label}
		for _, t := range d.Trials {
			cells = append(cells, cell(t))
		}
		tab.add(cells...)
	}
	// What should be 0, or whole, stands out where it isn't.
	number := func(n int) string {
		if n != 0 {
			return style.Warn(Number(n))
		}
		return Number(n)
	}
	share := func(n, of int) string {
		s := Number(n) + " of " + Number(of)
		if n < of {
			return style.Warn(s)
		}
		return s
	}
	row("calls that failed with EINTR", func(t Trial) string { return number(t.EINTR) })
	if slices.ContainsFunc(d.Trials, func(t Trial) bool { return t.Early != 0 }) {
		row("calls that returned early", func(t Trial) string { return number(t.Early) })
	}
	row("threads seen stopped", func(t Trial) string { return number(t.SeenStopped) })
	row("longest pause of a running thread", func(t Trial) string { return ns(t.MaxPauseNS) })
	row("signals handled", func(t Trial) string { return share(t.Signals.Handled, t.Signals.Sent) })
	row("new threads attached to", func(t Trial) string {
		if t.Session == nil {
			return "-"
		}
		return share(t.Followed, t.Births)
	})
	return tab
}

// story says what was done to the process in each trial.
func (d *Demo) story(style Style) *table {
	tab := &table{heads: []string{"", ""}}
	add := func(label string, lines ...string) {
		for _, l := range lines {
			tab.add(style.Dim(label), l)
			label = ""
		}
	}
	if len(d.Trials) > 0 {
		load := d.Trials[0]
		add("each", fmt.Sprintf("%s, with %s to handle, %s to ignore, %s,", ns(d.ForNS),
			Plural(load.Signals.Sent, "signal"), Number(load.Signals.Ignored), Plural(load.Births, "new thread")),
			"and one look at the state of every thread")
	}
	for _, t := range d.Trials {
		add(t.title(), t.story()...)
	}
	return tab
}

// busy is how long nobody waits for a CPU who has one to himself.
const busy = 10 * time.Millisecond

// story says what was done to the process, in lines.
func (t *Trial) story() (lines []string) {
	if s := t.Session; s != nil {
		lines = append(lines, fmt.Sprintf("attached in %s, stayed %s, detached in %s",
			ns(s.Attach.ElapsedNS), Duration(s.Stayed), ns(s.Detach.ElapsedNS)))
		if why := s.Failed(); why != "" {
			lines = append(lines, why)
		}
		by := "ignored signals"
		if s.Stop != nil {
			by = "the stop and ignored signals"
			if s.Stop.Style == stopper.Notify.String() {
				by = "ignored signals"
			}
			lines = append(lines, fmt.Sprintf("%s, held %s to take that look", s.Stop.Arrested(Style{}), ns(s.Stop.HeldNS)))
			if s.Stop.InKernel > 0 {
				lines = append(lines, fmt.Sprintf("%s stopped, %s went on in the kernel, by %s", Plural(s.Stop.Stopped, "thread"), Number(s.Stop.InKernel), s.Stop.Mechanism))
			}
		}
		if n := s.Repair.EINTRRepaired; n > 0 {
			lines = append(lines, "repaired "+Plural(n, "call")+" that "+by+" had interrupted")
		}
	}
	if t.StoppedNS == 0 && t.Session == nil && t.MaxPauseNS > busy.Nanoseconds() {
		lines = append(lines, "this machine is busy: to run one waits up to "+ns(t.MaxPauseNS)+" for a CPU")
	}
	if t.StoppedNS > 0 && t.Session == nil {
		lines = append(lines, "stopped for "+ns(t.StoppedNS)+" to take that look, then SIGCONT")
	}
	if t.EINTR > 0 {
		lines = append(lines, "EINTR in "+t.eintrIn())
	}
	return lines
}

// eintrIn is the calls that failed, most first: "epoll_wait (2,000), semop (250)".
func (t *Trial) eintrIn() string {
	var parts []string
	for _, c := range Tally(t.EINTRIn).Counts() {
		parts = append(parts, fmt.Sprintf("%s (%s)", c.Value, Number(c.Threads)))
	}
	return strings.Join(parts, ", ")
}
