package doctor

import (
	"fmt"

	"massattach/internal/report"
)

// appendLeftover appends what is to be said of threads that stand still, if
// anything: a tracer that is at work holds its tracees for a moment.
func appendLeftover(all []report.Leftover, s Stopped) []report.Leftover {
	l := report.Leftover{
		PID: s.PID, Comm: s.Comm, State: string(rune(s.State)), Threads: s.Threads,
		TracerPID: s.Tracer.PID, Tracer: s.Tracer.Comm,
	}
	who := fmt.Sprintf("thread %d", s.Tracer.TID)
	id := s.Tracer.TID
	if s.Tracer.PID != 0 {
		who, id = fmt.Sprintf("%d (%s)", s.Tracer.PID, s.Tracer.Comm), s.Tracer.PID
	}
	if s.Tracer.TID == 0 {
		who = "a tracer of another PID namespace"
	}
	held := report.Plural(s.Threads, "thread") + " held by " + who
	switch {
	case s.State == 'T':
		l.Detail = report.Plural(s.Threads, "thread") + " stopped, and nobody traces it: by job control (Ctrl-Z), or left so by a tool"
		l.Remedy = fmt.Sprintf("kill -CONT %d", s.PID)
	case s.Tracer.TID == 0:
		l.Detail = held
	case s.Tracer.State == 'T' || s.Tracer.State == 't':
		l.Detail = held + ", which is stopped itself"
		l.Remedy = fmt.Sprintf("kill -CONT %d", id)
	case s.Tracer.Moved:
		return all
	case s.Tracer.State == 'D':
		l.Detail = held + ", which hangs in the kernel (state D)"
		l.Remedy = fmt.Sprintf("sudo cat /proc/%d/stack", s.Tracer.TID)
	default:
		l.Detail = held + ", which does not move: it hangs, or waits for its user"
		l.Remedy = fmt.Sprintf("kill %d", id)
	}
	return append(all, l)
}
