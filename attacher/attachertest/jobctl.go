package attachertest

import "syscall"

// groupStop is do_signal_stop: the process begins to stop by sig, or with 0
// the thread takes part in a stop that is on. It says whether the thread
// sleeps now; a traced one does not, but traps next.
func (t *task) groupStop(sig syscall.Signal) bool {
	g := t.g
	if !t.job.stopPending {
		if !t.job.dequeued || g.exiting || g.execs != nil {
			return false // a SIGCONT was faster
		}
		if !g.stopStopped {
			g.stopCode = sig
		}
		g.stopCount = 0
		for _, o := range g.threads {
			if o != t && (o.job.stopped || !o.canTrap()) || o == t && !t.canTrap() {
				continue
			}
			o.job.signal, o.job.stopPending, o.job.consume = int(sig), true, true
			g.stopCount++
			if o == t {
				continue
			}
			o.owed = true // untraced it would be woken now
			if o.tracer == nil {
				o.wake(false)
			} else {
				o.notify()
			}
		}
	}
	if t.tracer != nil {
		if t.canTrap() {
			t.job.trapStop = true
		}
		return false
	}
	done := t.participate()
	t.owed = true
	t.job.stopped = true
	t.switches++
	if done {
		g.tellParentStop()
	}
	return true
}

// participate is task_participate_group_stop. It says whether the thread was
// the last, so that the process has stopped now.
func (t *task) participate() bool {
	g := t.g
	counts := t.job.consume
	t.clearStopPending()
	if !counts {
		return false
	}
	if g.stopCount > 0 {
		g.stopCount--
	}
	if g.stopCount == 0 && !g.stopStopped {
		g.setStopFlags(true, false, false, false)
		return true
	}
	return false
}

// notify is ptrace_trap_notify: it ends a stop only while the tracer listens.
func (t *task) notify() {
	if t.canTrap() {
		t.job.trapNotify = true
	}
	t.wakeByTracer(t.job.listening)
}

// cont is what SIGCONT does by being sent (prepare_signal): stopped threads
// run, seized ones trap, also when nothing was stopped, and the parent will be
// told by the first thread that comes by.
func (g *group) cont() {
	for _, t := range g.threads {
		t.clearStopPending()
		if t.tracer == nil {
			if t.job.stopped {
				t.job.stopped = false
				t.wake(false)
			}
		} else {
			t.notify()
		}
	}
	switch {
	case g.stopStopped:
		g.setStopFlags(false, true, false, true)
	case g.stopCount > 0:
		g.setStopFlags(false, true, true, false)
	default:
		return
	}
	g.stopCount, g.stopCode = 0, 0
}
