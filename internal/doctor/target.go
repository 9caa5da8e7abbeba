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
	m, f := &e.machine, e.groups[0].Facts
	seccomp := "no filter on this process"
	switch {
	case m.Filter == FilterKills:
		seccomp = "" // what follows says the rest
	case m.Seccomp:
		seccomp = "the filter on this process lets ptrace through"
	}
	yama := ""
	switch {
	case m.Yama < 0:
		yama = "not in this kernel"
	case m.Yama == 0:
		yama = "kernel.yama.ptrace_scope is 0: nothing in the way"
	case f.Privileged:
		yama = fmt.Sprintf("kernel.yama.ptrace_scope is %d, and CAP_SYS_PTRACE overrides it", m.Yama)
	case f.Descendant:
		yama = fmt.Sprintf("kernel.yama.ptrace_scope is %d, and it descends from this process", m.Yama)
	default:
		yama = fmt.Sprintf("kernel.yama.ptrace_scope is %d, and the kernel grants access all the same", m.Yama)
	}
	checks := []report.Check{
		e.check("seccomp", seccomp, attacher.CauseSeccomp),
		e.check("yama", yama, attacher.CauseYama),
	}
	if m.Filter == FilterKills {
		checks[0].Detail = "the seccomp filter on this process kills who calls ptrace"
	}
	return append(checks, e.capability())
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
		user = fmt.Sprintf("user %d; CAP_SYS_PTRACE reaches it", f.UID)
	}
	ns := "the same as this process's"
	if !f.SameUserNS {
		ns = "another one, in which this process has CAP_SYS_PTRACE"
	}
	dumpable := "it is dumpable"
	if !f.Dumpable {
		dumpable = "it is not dumpable; CAP_SYS_PTRACE reaches it"
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
		"who traces others, or reads its TracerPid, can tell",
	}
	if !e.groups[0].Facts.Privileged {
		all = append(all, "a set-uid or file-capability exec gains no privilege, because massattach lacks CAP_SYS_PTRACE")
	}
	return append(all, "SIGKILL and fatal signals act as ever",
		"while massattach itself is stopped or frozen, the first signal freezes its receiver")
}
