package attachertest

import "syscall"

// leave takes the thread towards user mode: get_signal of kernel/signal.c, and
// around it exit_to_user_mode_loop, which calls it until there is nothing to
// do. It ends when the thread stops, dies or goes on with its program.
//
// The order is the kernel's: the end of the process first, then a group-stop,
// then traps, then signals.
func (t *task) leave() {
	t.where = leaving
	t.notifyPoint()
	g := t.g
	for {
		if g.cldStopped || g.cldContinued {
			g.cldStopped, g.cldContinued = false, false
			g.tellParentStop()
		}
		if g.exiting || t.sigkill || g.execs != nil && g.execs != t {
			t.sigkill = false
			code := 0 // of one that makes place for an exec: do_group_exit
			if g.exiting {
				code = g.exitCode
			}
			t.exit(code)
			return
		}
		if t.job.stopPending && t.groupStop(0) {
			return
		}
		if t.job.trapStop || t.job.trapNotify {
			t.trap()
			return
		}
		q := t.dequeue()
		if q == nil {
			break
		}
		if t.tracer != nil && q.no != syscall.SIGKILL {
			t.signalStop(q)
			return
		}
		if t.act(q) {
			return
		}
	}
	t.user()
}

// act does what the process does with a signal: the rest of get_signal. It
// says whether the thread stops or ends.
func (t *task) act(q *signal) bool {
	g := t.g
	switch {
	case g.action[q.no] == Ignore:
	case g.handles(q.no):
		t.pushHandler(q)
	case ignoredByDefault(q.no):
	case stops(q.no):
		t.owed = true
		return t.groupStop(q.no)
	default:
		g.killAll(int(q.no))
		t.sigkill = false
		t.exit(g.exitCode)
		return true
	}
	return false
}

// signalStop is the first half of ptrace_signal: the signal-delivery-stop.
func (t *task) signalStop(q *signal) {
	t.job.dequeued = true
	t.ptraceStop(&stop{kind: stopSignal, signal: q, sent: q.info}, int(q.no), false)
}

// afterSignalStop is the second: the tracer, or its end, has left code.
func (t *task) afterSignalStop(q *signal, code int, stolen bool) {
	if code != int(q.no) {
		if !stolen || t.tracer != nil { // it is not the tracer that has lost it
			t.m.account.suppressed(t, q)
		}
		if code == 0 {
			t.leave()
			return
		}
		q = &signal{no: syscall.Signal(code), to: t.tid, info: newInfo(syscall.Signal(code), codeUser, 0, 0)}
	}
	if t.blocks(q.no) || t.sigkill {
		if !t.sigkill {
			t.send(q, q.to == 0)
		}
		t.leave()
		return
	}
	if !t.act(q) {
		t.leave()
	}
}
