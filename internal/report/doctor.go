package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// Doctor says whether a process can be attached to, or whether attaching can work
// at all, and what is in the way.
type Doctor struct {
	PID       int    `json:"pid,omitempty"`    // absent when it is about no process
	NSPID     int    `json:"ns_pid,omitempty"` // as in Session
	Comm      string `json:"comm,omitempty"`
	CanAttach bool   `json:"can_attach"`
	// Cause is why not, as attach would say; or, when it can, why not to every
	// thread. "" when nothing is in the way.
	Cause string `json:"cause"`
	// Threads are those of the process. Absent when it is about none.
	Threads   *Reachable `json:"threads,omitempty"`
	Checks    []Check    `json:"checks"`
	Styles    []Check    `json:"styles"`     // in which threads can be stopped
	Follow    []Check    `json:"follow"`     // modes
	FastPaths []Check    `json:"fast_paths"` // beside ptrace and /proc
	Leftovers []Leftover `json:"leftovers"`
	Effects   []string   `json:"effects"` // what an attached process feels

	Verdict string `json:"-"` // in half a line
}

// Reachable counts the threads of a process by what would become of them.
//
//	Found = Attachable + Zombie + Refused
type Reachable struct {
	Found      int `json:"found"`
	Attachable int `json:"attachable"`
	Zombie     int `json:"zombie"`
	Refused    int `json:"refused"`
}

// Check is one thing that was looked at.
type Check struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	// Warning: it is in nobody's way, but to be known. Absent when it isn't.
	Warning bool   `json:"warning,omitempty"`
	Detail  string `json:"detail"`
	Remedy  string `json:"remedy"` // a command to type where there is one
}

// Leftover is a process that somebody has stopped, or holds, and has not let go.
type Leftover struct {
	PID       int    `json:"pid"`
	Comm      string `json:"comm"`
	State     string `json:"state"`      // T: stopped, t: held by a tracer
	Threads   int    `json:"threads"`    // that are in this state
	TracerPID int    `json:"tracer_pid"` // 0 for nobody
	Tracer    string `json:"tracer"`     // its name
	Detail    string `json:"detail"`
	Remedy    string `json:"remedy"`
}

// Text writes it for people: the verdict, then each thing that was looked at.
func (d *Doctor) Text(w io.Writer, style Style) error {
	var b bytes.Buffer
	name := style.Bold("this machine")
	if d.PID != 0 {
		name = style.Bold(Name(d.Comm, d.PID))
	}
	if d.NSPID != 0 {
		name += fmt.Sprintf(" (%d in its PID namespace)", d.NSPID)
	}
	verdict := Line(d.Verdict)
	if !d.CanAttach || d.Cause != "" {
		verdict = style.Warn(verdict)
	}
	fmt.Fprintf(&b, "%s: %s\n", name, verdict)

	var rows []finding
	for _, l := range d.Leftovers {
		rows = append(rows, finding{"warn", "left behind", fmt.Sprintf("%s: %s", Name(l.Comm, l.PID), Line(l.Detail)), l.Remedy})
	}
	for _, part := range []struct {
		prefix string
		checks []Check
	}{{"", d.Checks}, {"style ", d.Styles}, {"follow ", d.Follow}, {"fast path ", d.FastPaths}} {
		for _, c := range part.checks {
			rows = append(rows, finding{c.sign(), part.prefix + c.Name, Line(c.Detail), c.Remedy})
		}
	}
	b.WriteString("\n")
	style.rows(&b, rows)
	if len(d.Effects) > 0 {
		b.WriteString("\nWhat a process feels while it is attached:\n")
		for _, e := range d.Effects {
			fmt.Fprintf(&b, "  - %s\n", Line(e))
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (c Check) sign() string {
	switch {
	case !c.OK:
		return "no"
	case c.Warning:
		return "warn"
	}
	return "ok"
}

// finding is one line of Text, and a second one for the remedy if there is one.
type finding struct{ sign, name, detail, remedy string }

func (s Style) rows(b *bytes.Buffer, rows []finding) {
	width := 0
	for _, r := range rows {
		width = max(width, columns(r.name))
	}
	for _, r := range rows {
		sign := fmt.Sprintf("%-4s", r.sign)
		if r.sign == "ok" {
			sign = s.Dim(sign)
		} else {
			sign = s.Warn(sign)
		}
		fmt.Fprintf(b, "  %s  %-*s  %s\n", sign, width, r.name, r.detail)
		if r.remedy != "" {
			fmt.Fprintf(b, "%s%s %s\n", strings.Repeat(" ", 2+4+2+width+2), s.Dim("remedy:"), Line(r.remedy))
		}
	}
}
