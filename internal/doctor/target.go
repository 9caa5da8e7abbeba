package doctor

import (
	"fmt"
	"slices"

	"massattach/attacher"
	"massattach/internal/report"
)

// accessChecks are about what SEIZE asks for of this process, whoever it is for.
// What is in the way is package attacher's to say; the rest is said here.
func (e *exam) accessChecks() []report.Check {
	return []report.Check{e.seccomp(), e.yama(), e.capability()}
}

func (e *exam) seccomp() report.Check {
	m := &e.machine
	fine := "no filter on this process"
	if m.Seccomp {
		fine = "the filter on this process lets ptrace through"
	}
	c := e.check("seccomp", fine, attacher.CauseSeccomp)
	if m.Filter == FilterKills {
		c.Detail = "the filter on this process kills who calls ptrace"
	}
	return c
}

func (e *exam) yama() report.Check {
	m, f := &e.machine, e.groups[0].Facts
	fine := fmt.Sprintf("kernel.yama.ptrace_scope is %d", m.Yama)
	switch {
	case m.Yama < 0:
		fine = "not in this kernel"
	case m.Yama == 0:
		fine += ": nothing in the way"
	case f.Descendant && !f.Privileged:
		fine += ", and it descends from this process"
	default:
		fine += "; " + reached(f)
	}
	return e.check("yama", fine, attacher.CauseYama)
}

// reached says how something is not in the way that could be.
func reached(f attacher.Facts) string {
	switch {
	case f.Privileged:
		return "CAP_SYS_PTRACE reaches it"
	case f.Access == attacher.AccessGranted:
		return "the kernel grants access all the same"
	}
	return "it takes CAP_SYS_PTRACE to reach it"
}

func (e *exam) capability() report.Check {
	c := e.check("capability", "CAP_SYS_PTRACE", attacher.CauseNoCapability)
	switch {
	case !c.OK || e.groups[0].Facts.Privileged:
	case e.target == nil:
		c = warn(c.Name, fmt.Sprintf("no CAP_SYS_PTRACE: only processes of user %d can be attached to", e.machine.UID), e.sudo())
	default:
		c.Detail = "no CAP_SYS_PTRACE"
	}
	return c
}

// targetChecks are about the process.
func (e *exam) targetChecks() []report.Check {
	t, f := e.target, e.groups[0].Facts
	user := fmt.Sprintf("user %d, as this process", f.UID)
	if !f.SameUser {
		user = fmt.Sprintf("user %d; %s", f.UID, reached(f))
	}
	ns := "the same as this process's"
	if !f.SameUserNS {
		ns = "another one; " + reached(f)
	}
	dumpable := "it is dumpable"
	if !f.Dumpable {
		dumpable = "it is not dumpable; " + reached(f)
	}
	inner := "the same as this process's"
	if t.NSPID != t.PID {
		inner = fmt.Sprintf("another one, in which it is %d (%d here)", t.NSPID, t.PID)
	}
	return []report.Check{
		e.kind(),
		e.check("user", user, attacher.CauseOtherUser),
		e.check("user-namespace", ns, attacher.CauseUserNamespace),
		ok("pid-namespace", inner),
		e.check("dumpable", dumpable, attacher.CauseNotDumpable),
		e.check("tracer", "nobody traces it", attacher.CauseAlreadyTraced),
		e.access(),
	}
}

// access is the kernel's own word, which knows of security modules, too.
func (e *exam) access() report.Check {
	c := e.check("access", "the kernel grants it", attacher.CauseUnknown)
	if !c.OK {
		return c
	}
	switch e.groups[0].Facts.Access {
	case attacher.AccessDenied:
		return no("access", "the kernel denies it", "")
	case attacher.AccessUnknown:
		c.Detail = "the kernel was not asked, or had no answer"
	}
	return c
}

// check is no when there is something in the way by one of the causes.
func (e *exam) check(name, fine string, causes ...attacher.Cause) report.Check {
	for _, f := range e.findings() {
		if slices.Contains(causes, f.Cause) {
			return no(name, e.about(f), e.typed(f.Obstacle))
		}
	}
	return ok(name, fine)
}

// kind says what sort of process it is.
func (e *exam) kind() report.Check {
	if c := e.check("process", "", attacher.CauseSelf, attacher.CauseKernelThread); !c.OK {
		return c
	}
	r := e.reachable()
	for _, g := range e.groups {
		if g.ended() && g.Facts.TID == e.target.PID {
			return ok("process", fmt.Sprintf("its leader is a zombie, %s on", live(r.Attachable+r.Refused)))
		}
	}
	return ok("process", "of "+report.Plural(r.Found, "thread"))
}

func live(n int) string {
	if n == 1 {
		return "1 thread lives"
	}
	return report.Number(n) + " threads live"
}

// effects are what the process will feel while it is attached; in short, what
// README says at length.
func (e *exam) effects() []string {
	woken := "a signal that it ignores, and a SIGCONT that continues nothing, wake a blocked thread: the call begins anew, unseen, but a short result of write, sendfile and the like stays short"
	if !e.machine.Repairs {
		woken = "a signal that it ignores, and a SIGCONT that continues nothing, wake a blocked thread, whose call may return EINTR"
	}
	all := []string{
		"no other debugger can attach to it",
		"each signal costs a stop of some 10 to 50 µs before its handler runs",
		woken,
		"a thread that has ended stays a zombie until it is reaped, some µs later",
		"with --follow clone each birth stops the newborn and its creator",
		"it can tell, if it traces others or reads its TracerPid",
	}
	if !e.groups[0].Facts.Privileged {
		all = append(all, "a set-uid or file-capability exec gains no privilege, because massattach lacks CAP_SYS_PTRACE")
	}
	return append(all, "SIGKILL and fatal signals act as ever",
		"while massattach itself is stopped or frozen, the first signal freezes its receiver")
}
