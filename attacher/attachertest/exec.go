package attachertest

import "massattach/attacher"

// Exec has the thread tid call execve as soon as it is in user mode. All
// others die first; it waits until the last of them is reaped, and meanwhile
// SEIZE of any thread of the process sleeps. It says whether tid lives.
func (m *Machine) Exec(tid int) bool {
	return m.next(tid, func(t *task) { t.exec(execReads) })
}

// FailExec does the same with a file that can't be run: SEIZE sleeps while it
// is read, and nobody dies.
func (m *Machine) FailExec(tid int) bool {
	return m.next(tid, func(t *task) { t.exec(execFails) })
}

// execStage is how far an exec has come. With Manual each is a step of its
// own.
type execStage uint8

const (
	execFails  execStage = iota // it reads a file that can't be run
	execReads                   // it reads the file
	execWaits                   // in de_thread, for the others to be gone
	execAlone                   // it is the leader, but still holds the mutex
	execUnlock                  // it has given it back, and is about to report
)

// exec is do_execveat_common up to prepare_bprm_creds, which takes
// cred_guard_mutex. Who would have to wait for that gives up.
func (t *task) exec(stage execStage) {
	if g := t.g; !g.exiting && g.guard == nil {
		g.guard, g.stage = t, stage
		t.where = inExec
		t.kick()
	}
}

// runExec goes on with it. de_thread is killable, and afterwards a fatal
// signal waits for the exec's end.
func (t *task) runExec() {
	g := t.g
	dying := t.sigkill || g.exiting
	switch g.stage {
	case execFails, execReads:
		t.regs, t.fromCall = attacher.Frame{Nr: nrExecve, Result: enoent, PC: callPC, SP: userSP}, true
		if dying || g.stage == execFails {
			g.endExec()
			t.leave()
			return
		}
		t.deThread()
	case execWaits:
		if dying {
			g.endExec()
			t.leave()
			return
		}
		t.waitForOthers()
	case execAlone:
		g.endExec() // setup_new_exec
		g.stage = execUnlock
		t.kick()
	case execUnlock:
		t.reportExec()
	}
}

// deThread is de_thread of fs/exec.c, up to its wait.
func (t *task) deThread() {
	g := t.g
	g.execs, g.stage = t, execWaits
	// zap_other_threads, as it is since commit 90918794a4e2 (2026): before, a
	// caller who was to take part in a group-stop found later that there was
	// none, and the process stopped as it were without its only thread.
	g.stopCount = 0
	t.clearPending()
	for _, o := range g.threads {
		if o != t {
			o.kill()
		}
	}
	t.waitForOthers()
}

// endExec gives cred_guard_mutex back to those who want to seize.
func (g *group) endExec() {
	g.execs, g.guard = nil, nil
	for _, tr := range g.m.tracers {
		tr.wake()
	}
}

// waitForOthers goes on when the others are gone, and takes the number of the
// leader, which may be a zombie that nobody has reaped and vanishes.
func (t *task) waitForOthers() {
	g, m := t.g, t.m
	leader := g.leader()
	for _, o := range g.threads {
		if o != t && (o != leader || o.where != zombie) {
			t.switches++
			return
		}
	}
	t.oldTID = t.tid
	if leader != t {
		leader.tracer.loses(g.pid)
		t.tracer.loses(t.tid)
		delete(m.tasks, t.tid)
		leader.tid, t.tid = t.tid, g.pid
		t.start = leader.start
		m.tasks[g.pid] = t
		leader.release()
	}
	g.execs = nil
	for s, d := range g.action { // flush_signal_handlers
		if d != Ignore {
			g.action[s] = Default
		}
	}
	t.comm, t.handler, t.todo = "execed", nil, nil
	g.stage = execAlone
	t.kick()
}

// reportExec is the end of exec_binprm: PTRACE_EVENT_EXEC, also to a tracer
// who has come since the mutex was given back.
func (t *task) reportExec() {
	t.where = leaving
	t.regs = attacher.Frame{Nr: nrExecve, PC: userPC, SP: userSP}
	t.fromCall = false
	t.recalc()
	t.g.tellExec()
	if t.tracer != nil && t.options&optionExec != 0 {
		t.event(eventExec, t.oldTID)
		return
	}
	t.leave()
}
