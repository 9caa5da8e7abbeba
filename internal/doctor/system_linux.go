package doctor

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"massattach/attacher"
	"massattach/internal/bpf"
	"massattach/internal/sys"
	"massattach/procfs"
	"massattach/stopper/notify"
)

// Machine looks at the machine, and at this process.
func (l *Linux) Machine() Machine {
	l.once.Do(l.probe)
	m := Machine{
		Release: release(), Repairs: sys.CanRestart, OwnProc: true, UID: os.Getuid(), Yama: -1,
		Filter: l.filter, Births: bpf.BirthsSupported(), Tasks: bpf.TasksSupported(),
		Notify: notify.Supported(),
	}
	if own, err := l.fs.OwnNamespace(); err == nil {
		m.OwnProc = own
	}
	us, err := l.status(os.Getpid(), os.Getpid())
	if err == nil {
		m.Caps, m.Seccomp = us.CapEff, us.Seccomp > 0
	}
	ns, _ := os.Readlink("/proc/self/ns/user")
	m.InitialUserNS = ns == attacher.InitialUserNS
	nice, bounded := rlimit(unix.RLIMIT_NICE)
	m.Nice = m.has(capSysNice) || !bounded || nice >= 40 // which is a nice value of -20
	if scope, err := l.fs.YamaScope(); err == nil {
		m.Yama = scope
	}
	m.LSMs = text("/sys/kernel/security/lsm")
	_, err = os.Stat(sys.BTFPath)
	m.BTF = err == nil
	groups := controlGroups("self")
	m.Cgroup = groups.freezer()
	m.Limits = append(l.limits(&m), groups.pids()...)
	return m
}

func release() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}

// rlimit is a soft limit of ours, if there is one.
func rlimit(resource int) (most int, bounded bool) {
	var r unix.Rlimit
	if err := unix.Getrlimit(resource, &r); err != nil || r.Cur == unix.RLIM_INFINITY {
		return 0, false
	}
	return int(r.Cur), true
}

// text is the text of a small file, "" when it can't be read.
func text(path string) string {
	b, _ := os.ReadFile(path)
	return strings.TrimSpace(string(b))
}

func (l *Linux) status(pid, tid int) (procfs.Status, error) {
	p, err := l.fs.Open(pid)
	if err != nil {
		return procfs.Status{}, err
	}
	defer p.Close()
	return p.Status(tid)
}

// limits are those on the threads of the machine and of our user.
func (l *Linux) limits(m *Machine) (all []Limit) {
	processes, _ := l.fs.Top(0)
	threads, ours := 0, 0
	for _, p := range processes {
		threads += p.Threads
		if p.UID == m.UID {
			ours += p.Threads
		}
	}
	for _, name := range []string{"pid_max", "threads-max"} {
		if most, err := strconv.Atoi(text("/proc/sys/kernel/" + name)); err == nil {
			all = append(all, Limit{"kernel." + name, most, threads, fmt.Sprintf("sudo sysctl kernel.%s=%d", name, 2*most)})
		}
	}
	// kernel/fork.c, copy_process
	exempt := m.InitialUserNS && (m.UID == 0 || m.has(capSysResource) || m.has(capSysAdmin))
	if most, bounded := rlimit(unix.RLIMIT_NPROC); bounded && !exempt {
		all = append(all, Limit{fmt.Sprintf("RLIMIT_NPROC of user %d", m.UID), most, ours, "sudo prlimit --nproc=unlimited --pid $$"})
	}
	return all
}

// probe finds out what a seccomp filter on us does, if there is one.
func (l *Linux) probe() {
	us, err := l.status(os.Getpid(), os.Getpid())
	if err != nil || us.Seccomp <= 0 {
		return
	}
	program := l.Program
	if program == "" {
		program = "/proc/self/exe"
	}
	var said bytes.Buffer
	cmd := exec.Command(program)
	cmd.Args[0] = ProbeName
	cmd.Stdout = &said
	err = cmd.Run()
	lines := said.String()
	switch {
	case cmd.ProcessState == nil: // it could not be started, which says nothing
	case strings.Contains(lines, probeRefuses):
		l.filter = FilterRefuses
	case !strings.Contains(lines, probePasses):
		l.filter = FilterKills
	}
	l.deaf = err != nil || !strings.Contains(lines, probeAccess)
}

// Probe is all of the program that is started as [ProbeName].
func Probe() {
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) // no core file, should it be killed
	if attacher.Filtered() {
		fmt.Println(probeRefuses)
	} else {
		fmt.Println(probePasses)
	}
	if attacher.AskAccess(-1) != attacher.AccessDenied {
		fmt.Println(probeAccess)
	}
}

// Target looks at a process.
func (l *Linux) Target(pid int) (Target, error) {
	l.once.Do(l.probe)
	p, err := attacher.ProcFS{FS: l.fs}.Open(pid)
	if err != nil {
		return Target{}, err
	}
	defer p.Close()
	leader, err := p.Status(pid)
	if err != nil {
		return Target{}, err
	}
	t := Target{PID: pid, NSPID: leader.InnermostPID(), Comm: leader.Name, Cgroup: controlGroups(strconv.Itoa(pid)).freezer()}
	c := census{l: l, p: p, groups: make(map[groupKey]int), held: make(map[int]int)}
	if err := p.Chunks(func(tids []int) error {
		for _, tid := range tids {
			c.count(tid)
		}
		return nil
	}); err != nil {
		return Target{}, err
	}
	t.Groups = c.all
	for _, tracer := range slices.Sorted(maps.Keys(c.held)) {
		s := Stopped{PID: pid, Comm: t.Comm, Threads: c.held[tracer], State: 't', Tracer: Tracer{TID: tracer}}
		if tracer == stopped {
			s.State, s.Tracer = 'T', Tracer{}
		}
		t.Stopped = append(t.Stopped, s)
	}
	l.watchTracers(t.Stopped)
	return t, nil
}

// census sorts the threads of a process.
type census struct {
	l      *Linux
	p      attacher.Process
	groups map[groupKey]int // where in all
	all    []Group
	held   map[int]int // threads by the tracer that holds them, or stopped
}

// stopped is in the place of a tracer for threads that a stop signal has stopped.
const stopped = -1

// groupKey is what threads of a process may differ in, as far as a SEIZE goes.
type groupKey struct {
	ended  bool
	uid    [4]int
	gid    [4]int
	caps   uint64
	tracer int
	traced bool // by a process that has no number here
}

// count looks at one thread. One that is gone is not counted.
func (c *census) count(tid int) {
	st, err := c.p.Status(tid)
	if err != nil {
		return
	}
	switch {
	case st.State == 't':
		c.held[st.TracerPid]++
	case st.State == 'T' && st.TracerPid == 0:
		c.held[stopped]++
	}
	key := groupKey{
		st.State == 'Z' || st.State == 'X', st.Uid, st.Gid, st.CapPrm, st.TracerPid,
		st.State == 't' && st.TracerPid == 0,
	}
	i, known := c.groups[key]
	if !known {
		f, err := c.p.Facts(tid)
		if err != nil {
			return
		}
		if !key.ended && !c.l.deaf {
			f.Access = attacher.AskAccess(tid)
		}
		i, c.groups[key] = len(c.all), len(c.all)
		c.all = append(c.all, Group{Facts: f})
	}
	c.all[i].N++
}

// Stopped looks for processes whose leader is stopped, or held by a tracer.
func (l *Linux) Stopped() (all []Stopped) {
	processes, _ := l.fs.Top(0)
	for _, p := range processes {
		if p.State != 'T' && p.State != 't' {
			continue
		}
		st, err := l.status(p.PID, p.PID)
		if err != nil || st.State != 't' && (st.State != 'T' || st.TracerPid != 0) {
			continue
		}
		all = append(all, Stopped{
			PID: p.PID, Comm: p.Comm, Threads: p.Threads, State: st.State,
			Tracer: Tracer{TID: st.TracerPid},
		})
	}
	l.watchTracers(all)
	return all
}

// watchFor is how long a tracer is looked at to see whether it moves.
const watchFor = 100 * time.Millisecond

// watchTracers finds out who holds threads, and whether he is at work.
func (l *Linux) watchTracers(all []Stopped) {
	before := make(map[int]procfs.Status)
	for i := range all {
		t := &all[i].Tracer
		t.PID, t.Comm = l.tracer(t.TID)
		if st, err := l.status(t.PID, t.TID); err == nil {
			before[t.TID] = st
		}
	}
	if len(before) > 0 {
		time.Sleep(watchFor)
	}
	for i := range all {
		t := &all[i].Tracer
		then, seen := before[t.TID]
		now, err := l.status(t.PID, t.TID)
		t.State = now.State
		t.Moved = !seen || err != nil || now.State == 'R' ||
			now.VoluntarySwitches != then.VoluntarySwitches || now.NonvoluntarySwitches != then.NonvoluntarySwitches
	}
}

// tracer is the process of the tracing thread tid, and its name.
func (l *Linux) tracer(tid int) (pid int, comm string) {
	pid, err := l.fs.TGID(tid)
	if err != nil {
		return 0, ""
	}
	leader, _ := l.status(pid, pid)
	return pid, leader.Name
}
