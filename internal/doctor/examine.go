package doctor

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"massattach/attacher"
	"massattach/internal/report"
)

// Causes beside those of package attacher.
const (
	CauseKernel = "kernel" // too old
	CauseProc   = "proc"   // of another PID namespace
	CauseLimit  = "limit"  // no room for tracer threads
)

// Examine looks at the process pid, or, when that is 0, at what holds for any.
// Nobody is attached to. An error is one of s.Target.
func Examine(s System, pid int) (*report.Doctor, error) {
	m := s.Machine()
	if pid == 0 {
		e := exam{machine: m, groups: []Group{{m.anybody(), 1}}}
		d := e.report()
		for _, l := range s.Stopped() {
			d.Leftovers = appendLeftover(d.Leftovers, l)
		}
		return d, nil
	}
	t, err := s.Target(pid)
	if err != nil {
		return nil, err
	}
	e := exam{machine: m, target: &t, groups: t.Groups}
	r := e.reachable()
	if r.Attachable+r.Refused == 0 {
		return nil, fmt.Errorf("process %d has ended: %w", pid, fs.ErrNotExist)
	}
	d := e.report()
	d.PID, d.Comm, d.Threads = t.PID, t.Comm, &r
	if t.NSPID != t.PID {
		d.NSPID = t.NSPID
	}
	for _, l := range t.Stopped {
		d.Leftovers = appendLeftover(d.Leftovers, l)
	}
	return d, nil
}

// anybody is the facts of a process that has nothing in the way but what holds
// for all of this user's.
func (m *Machine) anybody() attacher.Facts {
	return attacher.Facts{
		State: 'S', UID: m.UID, OurUID: m.UID, SameUser: true, SameUserNS: true, Dumpable: true,
		Privileged: m.has(capSysPtrace), Yama: m.Yama, Seccomp: m.Seccomp,
	}
}

// exam is one examination: facts, and what follows from them.
type exam struct {
	machine Machine
	target  *Target // nil: of the machine
	groups  []Group
}

// finding is an obstacle, and for how many threads.
type finding struct {
	attacher.Obstacle
	threads int
}

// obstacles is what is in the way of a group.
func (e *exam) obstacles(g Group) []attacher.Obstacle {
	f := g.Facts
	f.Filtered = e.machine.Filter != FilterPasses
	return f.Obstacles()
}

// reachable counts threads by what would become of them.
func (e *exam) reachable() (r report.Reachable) {
	for _, g := range e.groups {
		r.Found += g.N
		switch {
		case g.ended():
			r.Zombie += g.N
		case e.obstacles(g) != nil:
			r.Refused += g.N
		default:
			r.Attachable += g.N
		}
	}
	return r
}

// findings is all that is in anybody's way, the first one first.
func (e *exam) findings() (all []finding) {
	at := make(map[attacher.Obstacle]int)
	for _, g := range e.groups {
		if g.ended() {
			continue
		}
		for _, o := range e.obstacles(g) {
			i, known := at[o]
			if !known {
				i, at[o] = len(all), len(all)
				all = append(all, finding{Obstacle: o})
			}
			all[i].threads += g.N
		}
	}
	return all
}

func (e *exam) report() *report.Doctor {
	d := &report.Doctor{Leftovers: []report.Leftover{}, Effects: []string{}}
	own := e.machineChecks()
	d.Checks = append(own, e.accessChecks()...)
	if e.target != nil {
		d.Checks = append(d.Checks, e.targetChecks()...)
	}
	d.Styles, d.Follow, d.FastPaths = e.styles(), e.follow(), e.fastPaths()

	r, findings := e.reachable(), e.findings()
	cause, why := e.unable()
	d.CanAttach = cause == "" && r.Attachable > 0
	if cause == "" && len(findings) > 0 {
		cause, why = string(findings[0].Cause), findings[0].Detail
	}
	d.Cause = cause
	d.Verdict = e.verdict(d.CanAttach, why, r)
	if d.CanAttach && e.target != nil {
		d.Effects = e.effects()
	}
	return d
}

// verdict is the report in half a line.
func (e *exam) verdict(can bool, why string, r report.Reachable) string {
	m := &e.machine
	switch live := r.Attachable + r.Refused; {
	case !can && e.target == nil:
		return "nobody can be attached to: " + why
	case !can:
		return "can't be attached to: " + why
	case e.target == nil && m.has(capSysPtrace) && m.InitialUserNS:
		return "any process can be attached to"
	case e.target == nil && m.has(capSysPtrace):
		return "any process of this user namespace can be attached to"
	case e.target == nil:
		return fmt.Sprintf("processes of user %d can be attached to, and no other", m.UID)
	case r.Refused > 0:
		return fmt.Sprintf("%s of %s can be attached to, the others not: %s",
			report.Number(r.Attachable), report.Plural(live, "thread"), why)
	case live == 1:
		return "can be attached to"
	case r.Zombie > 0:
		return fmt.Sprintf("can be attached to, all %s live threads", report.Number(live))
	}
	return fmt.Sprintf("can be attached to, all %s threads", report.Number(r.Attachable))
}

// typed is what is to be typed about an obstacle, or else to be done.
func (e *exam) typed(o attacher.Obstacle) string {
	if o.Command == "" {
		return o.Advice
	}
	again := "massattach attach PID"
	if e.target != nil {
		again = "massattach attach " + strconv.Itoa(e.target.PID)
	}
	return strings.ReplaceAll(o.Command, attacher.Again, again)
}

// about is the detail of a finding, which may be about some threads only, with
// the advice if that is not what the remedy says.
func (e *exam) about(f finding) string {
	detail := f.Detail
	if f.Command != "" && f.Advice != "" {
		detail += "; " + f.Advice
	}
	r := e.reachable()
	if live := r.Attachable + r.Refused; f.threads < live {
		return fmt.Sprintf("%s of %s: %s", report.Number(f.threads), report.Plural(live, "thread"), detail)
	}
	return detail
}
