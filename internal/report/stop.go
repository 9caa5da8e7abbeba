package report

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"massattach/stopper"
	"massattach/stopper/notify"
)

// Stop is the report of an arrest and its hold. Requested = Stopped + InKernel +
// Missed, as they stood at the end of the hold; threads that ended meanwhile are in
// none.
type Stop struct {
	Style        string    `json:"style"`     // "interrupt", "notify"
	Mechanism    string    `json:"mechanism"` // "ptrace", "task_work"
	Guarantee    string    `json:"guarantee"` // "strict", "best-effort"
	Requested    int       `json:"requested"`
	Stopped      int       `json:"stopped"`
	InKernel     int       `json:"in_kernel"`
	Missed       int       `json:"missed"`
	BestEffort   int       `json:"best_effort"`
	ElapsedNS    int64     `json:"elapsed_ns"`
	HeldNS       int64     `json:"held_ns"`
	SelectNS     int64     `json:"select_ns"`
	LateBirths   int       `json:"late_births"`
	LatencyNS    Latency   `json:"latency_ns"`
	Missing      []Missing `json:"missing"` // the first 100
	MissingTotal int       `json:"missing_total"`

	// Complete: all that were asked for have stopped. For people, it is no key.
	Complete bool `json:"-"`
	// Selected: not all threads were asked for. For people.
	Selected bool `json:"-"`
	// Interrupted: the arrest was broken off, and all were let go. For people.
	Interrupted bool `json:"-"`
}

// Missing is a thread that did not stop in time.
type Missing struct {
	TID    int    `json:"tid"`
	State  string `json:"state"`
	Wchan  string `json:"wchan"`
	Reason string `json:"reason"`

	words string
}

// maxMissing is how many of the missing are listed.
const maxMissing = 100

// FromStopper turns the account of an arrest into its report.
func FromStopper(r stopper.Report) *Stop {
	s := &Stop{
		Style: r.Style.String(), Mechanism: r.Mechanism, Guarantee: string(r.Guarantee),
		Requested: r.Requested, Stopped: r.Stopped, InKernel: r.InKernel, Missed: r.Missed, BestEffort: r.BestEffort,
		ElapsedNS: r.Elapsed.Nanoseconds(), HeldNS: r.Held.Nanoseconds(), SelectNS: r.Selecting.Nanoseconds(),
		LateBirths:   r.LateBirths,
		Complete:     r.Complete,
		LatencyNS:    Latency{P50: r.Latency.P50.Nanoseconds(), P99: r.Latency.P99.Nanoseconds(), Max: r.Latency.Max.Nanoseconds()},
		Missing:      make([]Missing, 0, min(len(r.Missing), maxMissing)),
		MissingTotal: len(r.Missing),
	}
	if r.Style == stopper.Interrupt {
		// Also of an arrest that was broken off before it began.
		s.Mechanism, s.Guarantee, s.LateBirths = notify.Ptrace, string(notify.Strict), r.Born
	}
	for _, m := range r.Missing[:min(len(r.Missing), maxMissing)] {
		state := ""
		if m.State != 0 {
			state = string(rune(m.State))
		}
		s.Missing = append(s.Missing, Missing{
			TID: m.TID, State: state, Wchan: m.Wchan, Reason: string(m.Reason), words: m.Reason.Words(),
		})
	}
	return s
}

// Arrested says how the arrest went: "stopped all 101 threads in 1.20 ms".
func (s *Stop) Arrested(style Style) string {
	n, of := s.Stopped+s.InKernel, s.Requested
	which := ""
	switch {
	case of == 0:
		return style.Warn("no thread to stop")
	case n < of:
		which = style.Warn(Number(n) + " of " + Plural(of, "thread"))
	case s.Selected:
		which = Plural(n, "thread")
	case !s.Complete:
		which = style.Warn("the " + Plural(n, "thread") + " that are known")
	case n == 1:
		which = "its only thread"
	default:
		which = "all " + Number(n) + " threads"
	}
	line := "stopped " + which + " in " + ns(s.ElapsedNS)
	if s.Style == stopper.Notify.String() {
		line = "arrested " + which + " in " + ns(s.ElapsedNS)
	}
	if s.Interrupted {
		line = style.Warn("interrupted") + ": " + line
	}
	return line
}

// summary is the report in half a line.
func (s *Stop) summary(style Style) string {
	line := s.Arrested(style)
	if s.Requested > 0 && time.Duration(s.HeldNS) >= time.Millisecond {
		line += ", held " + ns(s.HeldNS)
	}
	return line
}

func (s *Stop) details(b *bytes.Buffer, style Style) {
	if s.Requested == 0 {
		return
	}
	l := s.LatencyNS
	line := fmt.Sprintf("median %s, p99 %s, max %s", ns(l.P50), ns(l.P99), ns(l.Max))
	if s.Selected {
		line += "; selected in " + ns(s.SelectNS)
	}
	style.row(b, "stop", line)
	if s.Style == stopper.Notify.String() {
		style.row(b, "", list("", count{s.Stopped, "stopped"}, count{s.InKernel, "in the kernel"}))
		by := "by " + s.Mechanism
		if s.Guarantee != string(notify.Strict) {
			by += ", " + style.Warn(s.Guarantee)
		}
		if s.BestEffort > 0 {
			by += "; " + Plural(s.BestEffort, "thread") + " interrupted"
		}
		style.row(b, "", by)
		if s.LateBirths > 0 {
			style.row(b, "", style.Warn(Plural(s.LateBirths, "thread")+" born meanwhile, and then stopped"))
		}
	} else if s.LateBirths > 0 {
		style.row(b, "", Plural(s.LateBirths, "thread")+" found meanwhile")
	}
	// The missing by their reason, in the order of the first of each.
	var order []string
	by := make(map[string][]string)
	for _, m := range s.Missing {
		key := m.words
		if m.State != "" {
			key += " (" + strings.TrimSuffix(m.State+", "+Line(m.Wchan), ", ") + ")"
		}
		if by[key] == nil {
			order = append(order, key)
		}
		by[key] = append(by[key], fmt.Sprint(m.TID))
	}
	for _, key := range order {
		names := by[key]
		n := Plural(len(names), "thread")
		if more := len(names) - maxTIDs; more > 0 {
			names = append(names[:maxTIDs:maxTIDs], "and "+Number(more)+" more")
		}
		style.row(b, "missing", style.Warn(n+", "+key)+": "+strings.Join(names, " "))
	}
	if more := s.MissingTotal - len(s.Missing); more > 0 {
		style.row(b, "", fmt.Sprintf("and %s, not listed", Plural(more, "more missing thread")))
	}
}
