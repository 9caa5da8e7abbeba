package attachertest

import (
	"syscall"

	"massattach/internal/sys"
)

// Disposition is what a process does with a signal.
type Disposition uint8

const (
	Default        Disposition = iota
	Ignore                     // SIG_IGN
	Handler                    // a handler: calls that can return EINTR do
	HandlerRestart             // a handler with SA_RESTART
)

// Parent says what the natural parent of a process is like.
type Parent struct {
	// Waits: it is blocked in waitpid(WUNTRACED|WCONTINUED) all the time.
	// Otherwise it hears when the test calls [Machine.ParentWait].
	Waits bool
	// Ours: it is the process of the tracers. A tracer that reaps the exit of
	// the leader takes the status from the parent.
	Ours bool
}

// group is a process: the kernel's signal_struct and sighand_struct.
type group struct {
	m        *Machine
	pid      int
	stranger bool
	parent   Parent
	threads  []*task // in the order of birth, the leader first
	shared   []*signal
	action   [65]Disposition
	current  int // index of the thread that took the last shared signal

	exiting  bool // SIGNAL_GROUP_EXIT
	exitCode int
	guard    *task // who holds cred_guard_mutex: an exec is on
	execs    *task // group_exec_task: who waits for the others to be gone
	stage    execStage

	// Job control, as in struct signal_struct.
	stopCount    int            // group_stop_count: threads that have yet to stop
	stopCode     syscall.Signal // group_exit_code of a stop, 0 once the parent has seen it
	stopStopped  bool           // SIGNAL_STOP_STOPPED
	stopContd    bool           // SIGNAL_STOP_CONTINUED
	cldStopped   bool           // SIGNAL_CLD_STOPPED: the parent is to be told
	cldContinued bool           // SIGNAL_CLD_CONTINUED
}

func (g *group) leader() *task { return g.m.tasks[g.pid] }

// alone is thread_group_empty.
func (g *group) alone() bool { return len(g.threads) == 1 }

// setStopFlags is signal_set_stop_flags: they exclude each other.
func (g *group) setStopFlags(stopped, continued, cldStopped, cldContinued bool) {
	g.stopStopped, g.stopContd, g.cldStopped, g.cldContinued = stopped, continued, cldStopped, cldContinued
}

// tellParentStop is do_notify_parent_cldstop for the natural parent.
func (g *group) tellParentStop() {
	if g.parent.Waits {
		g.parentWait()
	}
}

// parentWait is what the parent's waitpid makes of the process's state
// (kernel/exit.c, wait_task_stopped and wait_task_continued): each change once,
// and the last of two that come too fast.
func (g *group) parentWait() {
	a := &g.m.account
	switch {
	case g.stopStopped && g.stopCode != 0:
		g.stopCode = 0
		if g.pid == g.m.pid {
			a.Parent = append(a.Parent, "stopped")
		}
	case g.stopContd:
		g.stopContd = false
		if g.pid == g.m.pid {
			a.Parent = append(a.Parent, "continued")
		}
	}
}

// SetParent says what the parent of the first process is like.
func (m *Machine) SetParent(p Parent) {
	defer m.lock()()
	if g := m.groups[m.pid]; g != nil {
		g.parent = p
	}
}

// ParentWait is one waitpid(pid, WUNTRACED|WCONTINUED|WNOHANG) of the natural
// parent of the first process; what it saw stands in the account. ECHILD: there
// is no child any more.
//
// A parent that is the process of the tracers takes a ptrace-stop of the leader
// as well, which its tracer then never hears of (kernel/exit.c,
// wait_consider_task: "just pretend the caller is ptrace_do_wait").
func (m *Machine) ParentWait() error {
	defer m.lock()()
	g := m.groups[m.pid]
	if g == nil {
		return syscall.ECHILD
	}
	l := g.leader()
	if l.where == zombie && g.alone() && (l.tracer == nil || g.parent.Ours) {
		l.reapedByParent()
		return nil
	}
	if l.tracer != nil && l.tracer.foreign == "" && g.parent.Ours {
		if ws, ok := l.report(true); ok && ws.Code == sys.CodeTrapped {
			l.stop.stolen, l.seen = true, false
		}
		return nil
	}
	g.parentWait()
	return nil
}

// Handle changes what the first process does with sig (kernel/signal.c,
// do_sigaction: one that is ignored from now on is also taken off the queues).
func (m *Machine) Handle(sig syscall.Signal, d Disposition) {
	defer m.lock()()
	g := m.groups[m.pid]
	if g == nil {
		return
	}
	g.action[sig] = d
	if d == Ignore || d == Default && ignoredByDefault(sig) {
		g.flush(func(s syscall.Signal) bool { return s == sig })
	}
}
