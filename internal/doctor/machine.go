package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"massattach/internal/report"
	"massattach/internal/sys"
	"massattach/stopper/notify"
)

// Bits of capability sets, include/uapi/linux/capability.h.
const (
	capSysPtrace   = sys.CapSysPtrace
	capSysAdmin    = 21
	capSysNice     = 23
	capSysResource = 24
	capPerfmon     = 38
	capBPF         = 39
)

func (m *Machine) has(capability int) bool { return m.Caps&(1<<capability) != 0 }

// Linux versions that make a difference.
var (
	linuxMin   = version{4, 7}  // waitid takes __WALL
	linuxWatch = version{5, 3}  // pidfd_open: the watchdog
	linuxEvent = version{5, 12} // follow mode event
	linuxTasks = version{6, 1}  // the BPF task iterator, of one process
	linuxWork  = version{6, 18} // bpf_task_work_schedule_resume
	linuxTID   = version{5, 13} // a wait for one of many tracees takes no longer than for one of few
)

type version struct{ major, minor int }

func (v version) before(w version) bool {
	return v.major < w.major || v.major == w.major && v.minor < w.minor
}

func (v version) String() string { return fmt.Sprintf("%d.%d", v.major, v.minor) }

// parseRelease reads "6.18.44-rc1"; false when it makes no sense.
func parseRelease(release string) (v version, ok bool) {
	_, err := fmt.Sscanf(release, "%d.%d", &v.major, &v.minor)
	return v, err == nil
}

// unable says why nobody at all can be attached to from here, apart from what
// stands in the way of a SEIZE; "" when that is all.
func (e *exam) unable() (cause, why string) {
	m := &e.machine
	if v, ok := parseRelease(m.Release); ok && v.before(linuxMin) {
		return CauseKernel, fmt.Sprintf("Linux %s is too old: it takes %s", m.Release, linuxMin)
	}
	if !m.OwnProc {
		return CauseProc, "/proc is that of another PID namespace"
	}
	if l, room, need := e.tightest(); l != nil && room < need {
		return CauseLimit, fmt.Sprintf("no room for %s more: %s", report.Plural(need, "thread"), l.Name)
	}
	return "", ""
}

// machineChecks are about the machine and this process.
func (e *exam) machineChecks() []report.Check {
	m := &e.machine
	checks := []report.Check{e.kernel(), e.proc()}
	if m.LSMs == "" {
		checks = append(checks, ok("lsm", "the list of security modules can't be read"))
	} else {
		checks = append(checks, ok("lsm", m.LSMs))
	}
	checks = append(checks, e.limits(), e.priority(), e.freezer())
	if !m.Repairs {
		checks = append(checks, warn("repair", "calls that a signal which the target ignores interrupts return EINTR here: they are repaired on amd64 only", ""))
	}
	return append(checks, e.bpf(), e.btf())
}

func ok(name, detail string) report.Check { return report.Check{Name: name, OK: true, Detail: detail} }

func no(name, detail, remedy string) report.Check {
	return report.Check{Name: name, Detail: detail, Remedy: remedy}
}

func warn(name, detail, remedy string) report.Check {
	return report.Check{Name: name, OK: true, Warning: true, Detail: detail, Remedy: remedy}
}

func (e *exam) kernel() report.Check {
	m := &e.machine
	v, known := parseRelease(m.Release)
	detail := "Linux " + m.Release
	switch {
	case !known:
		return warn("kernel", "its version makes no sense: "+detail, "uname -r")
	case v.before(linuxMin):
		return no("kernel", fmt.Sprintf("%s: it takes %s (waitid with __WALL)", detail, linuxMin), "")
	case v.before(linuxWatch):
		return warn("kernel", fmt.Sprintf("%s: no watchdog before %s, so a stopped massattach is not killed; and it is slow to collect the stops of many threads before %s",
			detail, linuxWatch, linuxTID), "")
	case v.before(linuxTID):
		return warn("kernel", fmt.Sprintf("%s: slow to collect the stops of many threads before %s", detail, linuxTID), "")
	}
	return ok("kernel", detail)
}

func (e *exam) proc() report.Check {
	if !e.machine.OwnProc {
		return no("proc", "/proc is that of another PID namespace: its numbers are not those that ptrace takes", "sudo mount -t proc proc /proc")
	}
	return ok("proc", "has the numbers of this PID namespace")
}

func (e *exam) priority() report.Check {
	m := &e.machine
	if m.Nice {
		return ok("priority", "tracers may get ahead of others on a crowded machine")
	}
	remedy := e.sudo()
	if m.UID == 0 {
		remedy = "docker run --cap-add SYS_NICE …"
	}
	return warn("priority", "neither CAP_SYS_NICE nor RLIMIT_NICE: slow beside hundreds of threads that compete for each CPU", remedy)
}

// freezer: while this process is frozen, the first signal freezes its receiver.
func (e *exam) freezer() report.Check {
	ours := e.machine.Cgroup
	var theirs Cgroup
	if e.target != nil {
		theirs = e.target.Cgroup
	}
	switch {
	case ours.Frozen:
		return warn("freezer", "this process's own cgroup "+ours.Path+" is about to freeze: each thread that gets a signal would freeze with massattach", ours.Thaw)
	case theirs.Frozen:
		return warn("freezer", "its cgroup "+theirs.Path+" is frozen: nobody in it stops, ends or handles a signal before it thaws", theirs.Thaw)
	case theirs.Path != "" && theirs.Path == ours.Path && ours.Path != "/":
		return warn("freezer", "it is in this process's own cgroup, "+ours.Path+": who freezes that freezes massattach as well, and each thread that gets a signal with it", "")
	case ours.Path == "":
		return ok("freezer", "no cgroup freezer to be seen")
	case e.target == nil:
		return ok("freezer", "this process's cgroup is "+ours.Path+", and not frozen")
	}
	return ok("freezer", "its cgroup is not frozen")
}

// mayBPF says whether we have the capabilities that tracing programs take.
func (m *Machine) mayBPF() bool {
	return m.InitialUserNS && (m.has(capSysAdmin) || m.has(capBPF) && m.has(capPerfmon))
}

func (e *exam) bpf() report.Check {
	m := &e.machine
	switch {
	case m.mayBPF():
		return ok("bpf", "CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN")
	case !m.InitialUserNS:
		return warn("bpf", "in a user namespace of its own this process may not load BPF programs", "")
	case m.UID == 0:
		return warn("bpf", "root without CAP_BPF and CAP_PERFMON may not load BPF programs", "docker run --cap-add BPF --cap-add PERFMON …")
	}
	return warn("bpf", "without CAP_BPF and CAP_PERFMON this process may not load BPF programs", e.sudo())
}

func (e *exam) btf() report.Check {
	if !e.machine.BTF {
		return warn("btf", "this kernel has no "+sys.BTFPath+", which BPF programs need", "zgrep CONFIG_DEBUG_INFO_BTF /proc/config.gz")
	}
	return ok("btf", sys.BTFPath)
}

// sudo is the attach as root.
func (e *exam) sudo() string {
	if e.target == nil {
		return "sudo massattach attach PID"
	}
	return fmt.Sprintf("sudo massattach attach %d", e.target.PID)
}

// styles are those in which threads can be stopped, notify style by each of its
// mechanisms.
func (e *exam) styles() []report.Check {
	checks := []report.Check{ok("interrupt", "by ptrace")}
	chosen := false
	for _, s := range e.machine.Notify {
		works, since := mechanisms[s.Name].does, mechanisms[s.Name].since
		c := e.part("notify/"+s.Name, s.Err, since, fmt.Sprintf("%s: %s", s.Guarantee, works), "the next one is chosen")
		if c.OK && !chosen {
			chosen = true
			c.Warning = s.Guarantee != notify.Strict
		}
		checks = append(checks, c)
	}
	return checks
}

// mechanisms are what the mechanisms of notify style do, and since when they can.
var mechanisms = map[string]struct {
	does  string
	since version
}{
	notify.TaskWork: {"a thread stops on its way back to user mode, by a work of the kernel's", linuxWork},
	notify.Ptrace:   {"who sleeps is left asleep and looked after, and may run for a moment when it wakes up", linuxMin},
}

// follow are the modes of following births.
func (e *exam) follow() []report.Check {
	return []report.Check{
		e.part("event", e.machine.Births, linuxEvent, "births are heard from the kernel, and stop nobody", "attach falls back to scan"),
		ok("scan", "threads are listed again, and nobody is stopped"),
		ok("clone", "each birth stops the newborn and its creator"),
		ok("none", "who is born later is left alone"),
	}
}

func (e *exam) fastPaths() []report.Check {
	return []report.Check{e.part("tasks", e.machine.Tasks, linuxTasks, "the BPF task iterator", "read from /proc instead")}
}

// part is a part of massattach that needs more than ptrace; err is why it doesn't
// work here.
func (e *exam) part(name string, err error, since version, works, instead string) report.Check {
	if err == nil {
		return ok(name, works)
	}
	m := &e.machine
	remedy := ""
	v, known := parseRelease(m.Release)
	switch {
	case known && v.before(since):
		remedy = fmt.Sprintf("boot Linux %s or newer", since)
	case !m.mayBPF():
		remedy = e.bpf().Remedy
	case !m.BTF:
		remedy = e.btf().Remedy
	}
	why := err.Error()
	if errors.Is(err, fs.ErrPermission) && !m.mayBPF() {
		why = e.bpf().Detail
	}
	return no(name, strings.ReplaceAll(why, "\n", "; ")+"; "+instead, remedy)
}
