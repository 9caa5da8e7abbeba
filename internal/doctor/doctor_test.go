package doctor_test

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"massattach/attacher"
	. "massattach/internal/doctor"
	"massattach/internal/report"
	"massattach/stopper/notify"
)

// fake is a system that is made up.
type fake struct {
	machine Machine
	target  Target
	err     error
	stopped []Stopped
}

func (f fake) Machine() Machine           { return f.machine }
func (f fake) Target(int) (Target, error) { return f.target, f.err }
func (f fake) Stopped() []Stopped         { return f.stopped }

const (
	sysPtrace = 1 << 19
	sysAdmin  = 1 << 21
	perfmon   = 1 << 38
	bpf       = 1 << 39
)

// plain is a machine on which user 1000 finds a process of his own, of 101
// threads, with nothing in the way.
func plain() fake {
	return fake{
		machine: Machine{
			Release: "6.18.44", Repairs: true, OwnProc: true, UID: 1000, InitialUserNS: true, Nice: true, Yama: -1,
			BTF: true, Cgroup: Cgroup{Path: "/"}, Notify: []notify.Support{
				{Name: notify.TaskWork, Guarantee: notify.Strict}, {Name: notify.Ptrace, Guarantee: notify.BestEffort},
			},
			Limits: []Limit{{"kernel.pid_max", 32_768, 300, "sudo sysctl kernel.pid_max=65536"}},
		},
		target: Target{PID: 4211, NSPID: 4211, Comm: "server", Groups: []Group{{
			Facts: attacher.Facts{
				TID: 4211, State: 'S', UID: 1000, OurUID: 1000, SameUser: true, SameUserNS: true, Dumpable: true, Yama: -1,
			}, N: 101,
		}}},
	}
}

// yama is the machine with that scope.
func (f *fake) yama(scope int) {
	f.machine.Yama = scope
	f.facts().Yama = scope
}

// privileged gives us a capability set, and the right over the process.
func (f *fake) privileged(caps uint64) {
	f.machine.Caps = caps
	f.facts().Privileged = caps&sysPtrace != 0
}

func (f *fake) facts() *attacher.Facts { return &f.target.Groups[0].Facts }

// split has n threads of the process differ.
func (f *fake) split(n int, change func(*attacher.Facts)) {
	f.target.Groups[0].N -= n
	g := Group{f.target.Groups[0].Facts, n}
	g.Facts.TID += 7
	change(&g.Facts)
	f.target.Groups = append(f.target.Groups, g)
}

func examine(t *testing.T, f fake, pid int) *report.Doctor {
	t.Helper()
	d, err := Examine(f, pid)
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[string]bool)
	for _, c := range slices.Concat(d.Checks, d.Styles, d.Follow, d.FastPaths) {
		if c.Name == "" || c.Detail == "" || names[c.Name] {
			t.Errorf("a check without name or detail, or one of two: %+v", c)
		}
		names[c.Name] = true
		if strings.Contains(c.Detail+c.Remedy, "\n") || strings.Contains(c.Remedy, "massattach …") {
			t.Errorf("not one line to type: %+v", c)
		}
	}
	if d.Checks == nil || d.Styles == nil || d.Follow == nil || d.FastPaths == nil || d.Leftovers == nil || d.Effects == nil {
		t.Errorf("an empty list is null: %+v", d)
	}
	return d
}

func find(t *testing.T, checks []report.Check, name string) report.Check {
	t.Helper()
	i := slices.IndexFunc(checks, func(c report.Check) bool { return c.Name == name })
	if i < 0 {
		t.Fatalf("there is no check %s", name)
	}
	return checks[i]
}

// Case 57, as far as the machine and the process go: the cause by its name, the
// check that says no, and what to type.
func TestCauses(t *testing.T) {
	const sudo = "sudo massattach attach 4211"
	for _, tc := range []struct {
		name   string
		change func(*fake)
		cause  string // "" when it can be attached to
		check  string // that says so
		remedy string
	}{
		{"nothing in the way", func(*fake) {}, "", "", ""},
		{"root", func(f *fake) {
			f.machine.UID, f.facts().OurUID, f.facts().SameUser = 0, 0, false
			f.privileged(sysPtrace)
		}, "", "", ""},
		{"yama 0", func(f *fake) { f.yama(0) }, "", "", ""},
		{"yama 1", func(f *fake) { f.yama(1) }, "yama", "yama", sudo},
		{"yama 1, a descendant", func(f *fake) { f.yama(1); f.facts().Descendant = true }, "", "", ""},
		{"yama 1, an exception (PR_SET_PTRACER)", func(f *fake) { f.yama(1); f.facts().Access = attacher.AccessGranted }, "", "", ""},
		{"yama 1, CAP_SYS_PTRACE", func(f *fake) { f.yama(1); f.privileged(sysPtrace) }, "", "", ""},
		{"yama 2", func(f *fake) { f.yama(2); f.facts().Descendant = true }, "yama", "yama", sudo},
		{"yama 2, CAP_SYS_PTRACE", func(f *fake) { f.yama(2); f.privileged(sysPtrace) }, "", "", ""},
		{"yama 3, CAP_SYS_PTRACE", func(f *fake) { f.yama(3); f.privileged(sysPtrace) }, "yama", "yama", "set kernel.yama.ptrace_scope to 0, 1 or 2"},
		{"other user", func(f *fake) { f.facts().SameUser, f.facts().UID = false, 0 }, "other-user", "user", sudo},
		{"root in a container", func(f *fake) { f.machine.UID, f.facts().OurUID, f.facts().SameUser = 0, 0, false }, "no-capability", "capability", "docker run --cap-add SYS_PTRACE"},
		{"more capabilities", func(f *fake) { f.facts().MoreCaps = true }, "no-capability", "capability", sudo},
		{"not dumpable", func(f *fake) { f.facts().Dumpable = false }, "not-dumpable", "dumpable", sudo},
		{"seccomp", func(f *fake) { f.machine.Seccomp, f.machine.Filter = true, FilterRefuses }, "seccomp", "seccomp", "docker run --cap-add SYS_PTRACE"},
		{"seccomp that kills", func(f *fake) { f.machine.Seccomp, f.machine.Filter = true, FilterKills }, "seccomp", "seccomp", "docker run --cap-add SYS_PTRACE"},
		{"seccomp with ptrace", func(f *fake) { f.machine.Seccomp = true }, "", "", ""},
		{"gdb", func(f *fake) { f.facts().TracerTID, f.facts().TracerPID, f.facts().TracerComm = 71, 70, "gdb" }, "already-traced", "tracer", "kill 70"},
		{"user namespace", func(f *fake) { f.machine.InitialUserNS, f.facts().SameUserNS = false, false }, "user-namespace", "user-namespace", sudo},
		{"user namespace below ours", func(f *fake) { f.facts().SameUserNS = false; f.privileged(sysPtrace) }, "", "", ""},
		{"kernel thread", func(f *fake) { f.facts().KernelThread = true; f.privileged(sysPtrace) }, "kernel-thread", "process", "leave it out"},
		{"oneself", func(f *fake) { f.facts().Self = true }, "self", "process", "a process of its own"},
		{"our tracer", func(f *fake) { f.facts().TracesUs = true }, "unknown", "access", "leave it alone"},
		{"a security module", func(f *fake) { f.privileged(sysPtrace); f.facts().Access = attacher.AccessDenied }, "unknown", "access", "sudo dmesg"},
		{"denied, and nobody knows why", func(f *fake) { f.facts().Access = attacher.AccessDenied }, "no-capability", "capability", sudo},
		{"an old kernel", func(f *fake) { f.machine.Release = "4.4.0-210-generic" }, "kernel", "kernel", ""},
		{"no room", func(f *fake) { f.machine.Limits[0].Used = 32_768 }, "limit", "limits", "sudo sysctl kernel.pid_max=65536"},
		{"another's /proc", func(f *fake) { f.machine.OwnProc = false }, "proc", "proc", "sudo mount -t proc proc /proc"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := plain()
			tc.change(&f)
			d := examine(t, f, 4211)
			if d.Cause != tc.cause || d.CanAttach != (tc.cause == "") {
				t.Fatalf("can attach: %v, cause %q; want %q", d.CanAttach, d.Cause, tc.cause)
			}
			if tc.cause == "" {
				for _, c := range d.Checks {
					if !c.OK {
						t.Errorf("it can be attached to, but %+v", c)
					}
				}
				return
			}
			c := find(t, d.Checks, tc.check)
			if c.OK || !strings.Contains(c.Remedy, tc.remedy) {
				t.Errorf("%+v, want remedy %q", c, tc.remedy)
			}
			if len(d.Effects) != 0 {
				t.Error("it tells what attaching does to a process that it can't attach to")
			}
			if !strings.HasPrefix(d.Verdict, "can't be attached to: ") {
				t.Errorf("verdict %q", d.Verdict)
			}
		})
	}
}

// What is not in the way, or not what is named, is told as it is.
func TestReached(t *testing.T) {
	f := plain()
	f.facts().SameUser, f.facts().UID = false, 5
	f.machine.UID, f.facts().OurUID = 0, 0
	for _, tc := range []struct {
		change func()
		detail string
	}{
		{func() {}, "user 5; it takes CAP_SYS_PTRACE to reach it"},
		{func() { f.facts().Access = attacher.AccessGranted }, "user 5; the kernel grants access all the same"},
		{func() { f.privileged(sysPtrace) }, "user 5; CAP_SYS_PTRACE reaches it"},
	} {
		tc.change()
		if c := find(t, examine(t, f, 4211).Checks, "user"); !c.OK || c.Detail != tc.detail {
			t.Errorf("%+v, want %q", c, tc.detail)
		}
	}
}

// Without a process it is about those of our own, or about all.
func TestMachine(t *testing.T) {
	for _, tc := range []struct {
		name    string
		change  func(*fake)
		cause   string
		verdict string
	}{
		{"user", func(*fake) {}, "", "processes of user 1000 can be attached to, and no other"},
		{"root", func(f *fake) { f.privileged(sysPtrace) }, "", "any process can be attached to"},
		{"root of a container", func(f *fake) { f.privileged(sysPtrace); f.machine.InitialUserNS = false }, "", "any process of this user namespace can be attached to"},
		{"yama 1", func(f *fake) { f.yama(1) }, "yama", "nobody can be attached to: kernel.yama.ptrace_scope is 1"},
		{"yama 1, root", func(f *fake) { f.yama(1); f.privileged(sysPtrace) }, "", "any process can be attached to"},
		{"yama 2", func(f *fake) { f.yama(2) }, "yama", "nobody can be attached to: kernel.yama.ptrace_scope is 2"},
		{"yama 3, root", func(f *fake) { f.yama(3); f.privileged(sysPtrace) }, "yama", "nobody can be attached to: kernel.yama.ptrace_scope is 3"},
		{"seccomp", func(f *fake) { f.machine.Filter = FilterRefuses }, "seccomp", "nobody can be attached to: a seccomp filter"},
		{"another's /proc", func(f *fake) { f.machine.OwnProc = false }, "proc", "nobody can be attached to: /proc"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := plain()
			tc.change(&f)
			d := examine(t, f, 0)
			if d.Cause != tc.cause || d.CanAttach != (tc.cause == "") || !strings.HasPrefix(d.Verdict, tc.verdict) {
				t.Errorf("can attach: %v, cause %q, verdict %q", d.CanAttach, d.Cause, d.Verdict)
			}
			if d.PID != 0 || d.Threads != nil || len(d.Effects) != 0 {
				t.Errorf("it is about no process: %+v", d)
			}
		})
	}
	// Who may attach to his own alone is told how to more.
	c := find(t, examine(t, plain(), 0).Checks, "capability")
	if !c.OK || !c.Warning || c.Remedy != "sudo massattach attach PID" {
		t.Errorf("%+v", c)
	}
}

// Case 10, 59: threads of a process that differ.
func TestSomeThreads(t *testing.T) {
	f := plain()
	f.split(1, func(f *attacher.Facts) { f.TracerTID, f.TracerPID, f.TracerComm = 71, 71, "strace" })
	f.split(10, func(f *attacher.Facts) { f.SameUser, f.UID = false, 0 })
	d := examine(t, f, 4211)
	if !d.CanAttach || d.Cause != "already-traced" || *d.Threads != (report.Reachable{Found: 101, Attachable: 90, Refused: 11}) {
		t.Errorf("can attach: %v, cause %q, %+v", d.CanAttach, d.Cause, d.Threads)
	}
	if want := "90 of 101 threads can be attached to, the others not: already traced by 71 (strace)"; d.Verdict != want {
		t.Errorf("verdict %q", d.Verdict)
	}
	if c := find(t, d.Checks, "user"); c.OK || !strings.HasPrefix(c.Detail, "10 of 101 threads: ") {
		t.Errorf("%+v", c)
	}

	f = plain()
	f.split(100, func(*attacher.Facts) {})
	f.target.Groups[0].Facts.State = 'Z'
	d = examine(t, f, 4211)
	if !d.CanAttach || d.Cause != "" || *d.Threads != (report.Reachable{Found: 101, Attachable: 100, Zombie: 1}) {
		t.Errorf("can attach: %v, cause %q, %+v", d.CanAttach, d.Cause, d.Threads)
	}
	if c := find(t, d.Checks, "process"); !c.OK || !strings.Contains(c.Detail, "zombie") {
		t.Errorf("%+v", c)
	}
	// A zombie with more rights than we have is still one.
	f.target.Groups[0].Facts.SameUser = false
	if d := examine(t, f, 4211); d.Cause != "" {
		t.Errorf("cause %q", d.Cause)
	}

	// Nobody is left: that is no process.
	f.target.Groups = f.target.Groups[:1]
	if _, err := Examine(f, 4211); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of zombies: %v", err)
	}
}

// Case 60: both numbers are told.
func TestNamespace(t *testing.T) {
	f := plain()
	f.target.NSPID = 1
	d := examine(t, f, 4211)
	if c := find(t, d.Checks, "pid-namespace"); d.NSPID != 1 || !strings.Contains(c.Detail, "it is 1 (4211 here)") {
		t.Errorf("%d, %+v", d.NSPID, c)
	}
}

// What another tool has left behind.
func TestLeftovers(t *testing.T) {
	gdb := func(state byte, moved bool) Tracer {
		return Tracer{PID: 70, TID: 71, Comm: "gdb", State: state, Moved: moved}
	}
	for _, tc := range []struct {
		stopped Stopped
		detail  string // "" when nothing is to be said
		remedy  string
	}{
		{Stopped{State: 'T'}, "nobody traces it", "kill -CONT 4211"},
		{Stopped{State: 't', Tracer: gdb('S', true)}, "", ""},
		{Stopped{State: 't', Tracer: gdb('D', true)}, "", ""},
		{Stopped{State: 't', Tracer: gdb('S', false)}, "held by 70 (gdb), which does not move", "kill 70"},
		{Stopped{State: 't', Tracer: gdb('T', false)}, "held by 70 (gdb), which is stopped itself", "kill -CONT 70"},
		{Stopped{State: 't', Tracer: gdb('t', false)}, "which is stopped itself", "kill -CONT 70"},
		{Stopped{State: 't', Tracer: gdb('D', false)}, "state D", "sudo cat /proc/71/stack"},
		{Stopped{State: 't'}, "another PID namespace", ""},
	} {
		f := plain()
		tc.stopped.PID, tc.stopped.Comm, tc.stopped.Threads = 4211, "server", 3
		f.target.Stopped, f.stopped = []Stopped{tc.stopped}, []Stopped{tc.stopped}
		for _, pid := range []int{4211, 0} {
			left := examine(t, f, pid).Leftovers
			if tc.detail == "" {
				if len(left) != 0 {
					t.Errorf("%+v: %+v", tc.stopped, left)
				}
				continue
			}
			if len(left) != 1 || !strings.Contains(left[0].Detail, tc.detail) || left[0].Remedy != tc.remedy ||
				left[0].Threads != 3 || left[0].Tracer != tc.stopped.Tracer.Comm || left[0].TracerPID != tc.stopped.Tracer.PID {
				t.Errorf("%+v: %+v", tc.stopped, left)
			}
		}
	}
}

// Parts that need more than ptrace: foretold as they are, and not promised where
// this version has them not.
func TestParts(t *testing.T) {
	refused := fmt.Errorf("load program: %w", fs.ErrPermission)
	for _, tc := range []struct {
		name   string
		change func(*Machine)
		err    error
		detail string
		remedy string
	}{
		{"works", func(m *Machine) { m.Caps = bpf | perfmon }, nil, "heard from the kernel", ""},
		{"no capability", func(*Machine) {}, refused, "without CAP_BPF and CAP_PERFMON", "sudo massattach attach 4211"},
		{"half of it", func(m *Machine) { m.Caps = bpf }, refused, "without CAP_BPF and CAP_PERFMON", "sudo massattach attach 4211"},
		{"root in a container", func(m *Machine) { m.UID = 0 }, refused, "root without CAP_BPF", "docker run --cap-add BPF --cap-add PERFMON …"},
		{"user namespace", func(m *Machine) { m.Caps, m.InitialUserNS = sysAdmin, false }, refused, "user namespace", ""},
		{"no BTF", func(m *Machine) { m.Caps, m.BTF = sysAdmin, false }, errors.New("no types"), "no types", "zgrep CONFIG_DEBUG_INFO_BTF /proc/config.gz"},
		{"old", func(m *Machine) { m.Caps, m.Release = sysAdmin, "5.4.0" }, errors.New("no such map"), "no such map", "boot Linux 5.12 or newer"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := plain()
			tc.change(&f.machine)
			f.machine.Births = tc.err
			f.machine.Tasks = f.machine.Births
			f.machine.Notify[0].Err = f.machine.Births
			d := examine(t, f, 4211)
			c := find(t, d.Follow, "event")
			if c.OK != (tc.err == nil) || !strings.Contains(c.Detail, tc.detail) || c.Remedy != tc.remedy {
				t.Errorf("%+v", c)
			}
			if !c.OK && !strings.Contains(c.Detail, "falls back to scan") {
				t.Errorf("it does not say what comes instead: %+v", c)
			}
			if c := find(t, d.FastPaths, "tasks"); c.OK != (tc.err == nil) {
				t.Errorf("%+v", c)
			}
			work, ptrace := find(t, d.Styles, "notify/task_work"), find(t, d.Styles, "notify/ptrace")
			if work.OK != (tc.err == nil) || work.OK != strings.HasPrefix(work.Detail, "strict: ") || work.OK == strings.HasSuffix(work.Detail, "the next one is chosen") {
				t.Errorf("%+v", work)
			}
			if want := strings.Replace(tc.remedy, "5.12", "6.18", 1); work.Remedy != want {
				t.Errorf("remedy %q, want %q", work.Remedy, want)
			}
			if !ptrace.OK || ptrace.Warning == work.OK || !strings.HasPrefix(ptrace.Detail, "best-effort: ") {
				t.Errorf("%+v", ptrace)
			}
			if !d.CanAttach {
				t.Error("attaching takes no BPF")
			}
		})
	}
}

func TestLimits(t *testing.T) {
	for _, tc := range []struct {
		threads, room int
		ok, warning   bool
	}{
		{101, 1_000, true, false}, {101, 33, true, false}, {101, 32, true, true}, {101, 1, true, true}, {101, 0, false, false},
		{100_000, 199, false, false}, {100_000, 200, true, true}, {100_000, 232, true, false},
	} {
		f := plain()
		f.target.Groups[0].N = tc.threads
		f.machine.Limits = append(f.machine.Limits, Limit{"pids.max of /sys/fs/cgroup/x", 5_000, 5_000 - tc.room, "echo 10000 | sudo tee /sys/fs/cgroup/x/pids.max"})
		d := examine(t, f, 4211)
		c := find(t, d.Checks, "limits")
		if c.OK != tc.ok || c.Warning != tc.warning || d.CanAttach != tc.ok || !strings.Contains(c.Detail, "pids.max of /sys/fs/cgroup/x") {
			t.Errorf("%+v: can attach %v, %+v", tc, d.CanAttach, c)
		}
	}
}

func TestFreezer(t *testing.T) {
	for _, tc := range []struct {
		ours, theirs Cgroup
		warning      bool
		remedy       string
	}{
		{Cgroup{Path: "/"}, Cgroup{Path: "/"}, false, ""},
		{Cgroup{Path: "/a"}, Cgroup{Path: "/b"}, false, ""},
		{Cgroup{Path: "/a"}, Cgroup{Path: "/a"}, true, ""},
		{Cgroup{Path: "/a", Frozen: true, Thaw: "thaw us"}, Cgroup{Path: "/b"}, true, "thaw us"},
		{Cgroup{Path: "/a"}, Cgroup{Path: "/b", Frozen: true, Thaw: "thaw it"}, true, "thaw it"},
	} {
		f := plain()
		f.machine.Cgroup, f.target.Cgroup = tc.ours, tc.theirs
		d := examine(t, f, 4211)
		if c := find(t, d.Checks, "freezer"); !c.OK || c.Warning != tc.warning || c.Remedy != tc.remedy || !d.CanAttach {
			t.Errorf("%+v: %+v", tc, c)
		}
	}
}

func TestKernel(t *testing.T) {
	for _, tc := range []struct {
		release     string
		ok, warning bool
	}{
		{"4.6.7", false, false}, {"3.10.0-1160.el7.x86_64", false, false}, {"4.7.0", true, true}, {"5.2.21", true, true},
		{"5.3.0", true, true}, {"5.12.19", true, true}, {"5.13.0", true, false}, {"6.18.44-rc1", true, false}, {"7.0", true, false},
		{"made up", true, true},
	} {
		f := plain()
		f.machine.Release = tc.release
		d := examine(t, f, 4211)
		if c := find(t, d.Checks, "kernel"); c.OK != tc.ok || c.Warning != tc.warning || d.CanAttach != tc.ok {
			t.Errorf("%s: can attach %v, %+v", tc.release, d.CanAttach, c)
		}
	}
}

// What an attached process feels is said of what it is about.
func TestEffects(t *testing.T) {
	has := func(f fake, words string) bool {
		return strings.Contains(strings.Join(examine(t, f, 4211).Effects, "\n"), words)
	}
	f := plain()
	if !has(f, "gains no privilege") || !has(f, "begins anew") || has(f, "may return EINTR") {
		t.Error(examine(t, f, 4211).Effects)
	}
	f.privileged(sysPtrace)
	f.machine.Repairs = false
	if has(f, "gains no privilege") || has(f, "begins anew") || !has(f, "may return EINTR") {
		t.Error(examine(t, f, 4211).Effects)
	}
	if c := find(t, examine(t, f, 4211).Checks, "repair"); !c.OK || !c.Warning {
		t.Errorf("%+v", c)
	}
}

func TestGone(t *testing.T) {
	f := plain()
	f.err = fs.ErrNotExist
	if _, err := Examine(f, 4211); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
