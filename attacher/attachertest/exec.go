package attachertest

import "massattach/attacher"

// Exec has the thread tid call execve as soon as it is in user mode. All
// others die first; it waits until the last of them is reaped, and meanwhile
// SEIZE of any thread of the process sleeps. It says whether tid lives.
func (m *Machine) Exec(tid int) bool {
	return m.next(tid, func(t *task) { t.exec() })
}

// exec is de_thread of fs/exec.c, up to its wait. cred_guard_mutex was taken
// before (prepare_bprm_creds).
func (t *task) exec() {
	g := t.g
	if g.exiting || g.execs != nil {
		return
	}
	g.execs = t
	g.stopCount = 0 // zap_other_threads
	t.where = inExec
	for _, o := range g.threads {
		if o != t {
			o.kill()
		}
	}
	t.continueExec()
}

// endExec gives cred_guard_mutex back to those who want to seize.
func (g *group) endExec() {
	g.execs = nil
	for _, tr := range g.m.tracers {
		tr.wake()
	}
}

// continueExec goes on when the others are gone, and takes the number of the
// leader, which may be a zombie that nobody has reaped and vanishes.
func (t *task) continueExec() {
	g, m := t.g, t.m
	old, leader := t.tid, g.leader()
	for _, o := range g.threads {
		if o != t && (o != leader || o.where != zombie) {
			t.switches++
			return
		}
	}
	if leader != t {
		m.tasks[old], t.tid = nil, g.pid
		delete(m.tasks, old)
		t.start = leader.start
		leader.tid = old
		m.tasks[g.pid] = t
		leader.release()
	}
	g.endExec()
	for s, d := range g.action { // flush_signal_handlers
		if d != Ignore {
			g.action[s] = Default
		}
	}
	t.comm, t.handler, t.todo = "execed", nil, nil
	t.where = leaving
	t.regs = attacher.Frame{Nr: nrExecve, PC: userPC, SP: userSP}
	t.fromCall = false
	t.recalc()
	if t.tracer != nil && t.options&optionExec != 0 {
		t.event(eventExec, old)
		return
	}
	t.leave()
}
