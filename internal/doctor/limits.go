package doctor

import (
	"fmt"

	"massattach/attacher"
	"massattach/internal/report"
)

// spare is the threads that massattach takes beside tracers: Go's own, and those
// of the watchdog.
const spare = 32

// tracers is how many tracer threads the attach would take.
func (e *exam) tracers() int {
	n := 0
	for _, g := range e.groups {
		n += g.N
	}
	return max(1, (n+attacher.DefaultShare-1)/attacher.DefaultShare)
}

// tightest is the limit that leaves the least room for threads, and how much of
// it there is and is needed; nil when there is none.
func (e *exam) tightest() (l *Limit, room, need int) {
	for i := range e.machine.Limits {
		if r := e.machine.Limits[i].Max - e.machine.Limits[i].Used; l == nil || r < room {
			l, room = &e.machine.Limits[i], max(0, r)
		}
	}
	return l, room, e.tracers()
}

func (e *exam) limits() report.Check {
	l, room, need := e.tightest()
	takes := report.Plural(need, "tracer thread")
	if l == nil {
		return ok("limits", "an attach takes "+takes)
	}
	detail := fmt.Sprintf("an attach takes %s, and there is room for %s (%s: %s of %s taken)",
		takes, report.Number(room), l.Name, report.Number(l.Used), report.Number(l.Max))
	switch {
	case room < need:
		return no("limits", detail, l.Raise)
	case room < need+spare:
		return warn("limits", detail, l.Raise)
	}
	return ok("limits", detail)
}
