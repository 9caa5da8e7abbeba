package attachertest

import (
	"fmt"
	"slices"
	"syscall"
)

// Exit ends the thread tid, by exit(2), as soon as it is in user mode. It says
// whether tid lives.
func (m *Machine) Exit(tid, code int) bool {
	return m.next(tid, func(t *task) { t.exit(code & 0xff << 8) })
}

// ExitGroup ends the first process by exit_group(2), called by a thread of it
// whatever state the others are in. It says whether there was one that could.
func (m *Machine) ExitGroup(code int) bool {
	defer m.lock()()
	g := m.groups[m.pid]
	if g == nil || g.exiting {
		return false
	}
	for _, t := range g.threads {
		if t.canSpawn() {
			g.killAll(code & 0xff << 8)
			return true
		}
	}
	return false
}

// exit is do_exit. A code is in the form of wait(2): an exit code << 8, or a
// signal.
func (t *task) exit(code int) {
	t.regs.Nr, t.fromCall, t.handler, t.todo = -1, false, nil, nil
	t.job.stopped = false
	t.recalc()
	if t.tracer != nil && t.options&optionExit != 0 && !t.exitTold {
		t.exitTold, t.dying = true, code
		t.ptraceStop(&stop{kind: stopEvent, event: eventExit, message: code}, eventExit<<8|int(syscall.SIGTRAP), false)
		return
	}
	t.exitWith(code)
}

// finishExit goes on behind PTRACE_EVENT_EXIT.
func (t *task) finishExit() { t.exitWith(t.dying) }

func (t *task) exitWith(code int) {
	g := t.g
	g.tellDeath(t.tid)
	// exit_signals: others take what was for the process, and a group-stop
	// doesn't wait for this thread.
	t.isExiting = true
	if t.job.stopPending && t.participate() {
		g.tellParentStop()
	}
	if len(g.shared) > 0 && !g.exiting {
		for _, o := range g.threads {
			if o != t && o.where < zombie && !o.sigpending && slices.ContainsFunc(g.shared, o.takes) {
				o.wake(false)
			}
		}
	}
	// exit_notify.
	t.where, t.exitCode = zombie, code
	t.sigpending, t.sigkill, t.pending = false, false, nil
	switch {
	case t.tracer != nil: // its tracer has to reap it
		t.tracer.wake()
	case t.tid == g.pid:
		if g.alone() {
			t.tellParentExit()
		}
	default:
		t.release()
	}
	if g.execs != nil {
		g.execs.kick()
	}
}

// status is the code that a wait reports (kernel/exit.c, wait_task_zombie).
func (t *task) status() int {
	if t.g.exiting {
		return t.g.exitCode
	}
	return t.exitCode
}

// delayed is delay_group_leader: the exit of a leader is reported when it is
// the last of its process.
func (t *task) delayed() bool { return t.tid == t.g.pid && !t.g.alone() }

// tellParentExit is do_notify_parent for the leader of an ended process.
func (t *task) tellParentExit() {
	if t.g.parent.Waits && !t.g.parent.Ours {
		t.reapedByParent()
	}
}

func (t *task) reapedByParent() {
	if a := &t.m.account; t.g.pid == t.m.pid {
		a.Parent = append(a.Parent, describe(t.status()))
	}
	t.release()
}

func describe(status int) string {
	if sig := status & 0x7f; sig != 0 {
		return fmt.Sprintf("killed %d", sig)
	}
	return fmt.Sprintf("exited %d", status>>8)
}

// reapedByTracer is wait_task_zombie without WNOWAIT: a leader becomes its
// parent's, unless that is the tracer's own process and has lost it now.
func (t *task) reapedByTracer() {
	g := t.g
	if t.tid != g.pid {
		t.release()
		return
	}
	if g.parent.Ours {
		t.m.account.broken(t, "its exit status was taken from its parent")
		t.release()
		return
	}
	t.unlinkTracer()
	t.tellParentExit()
}

// letGo is __ptrace_detach, for a tracer that ends.
func (t *task) letGo() {
	t.unlinkTracer()
	if t.where != zombie {
		return
	}
	switch {
	case t.tid != t.g.pid:
		t.release()
	case t.g.alone():
		t.tellParentExit()
	}
}
