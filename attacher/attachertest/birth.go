package attachertest

import "massattach/attacher"

// Spawn has the thread tid, or with 0 the first that can, start another one,
// which does what its creator does. It answers the new thread's id, 0 when the
// creator can't: it is gone, stopped, or in a call that nothing wakes.
func (m *Machine) Spawn(tid int) int {
	defer m.lock()()
	t := m.tasks[tid]
	if tid == 0 {
		if g := m.groups[m.pid]; g != nil {
			for _, t = range g.threads {
				if t.canSpawn() {
					break
				}
			}
		}
	}
	if t == nil || !t.canSpawn() {
		return 0
	}
	return t.spawn(t.g, m.nextID())
}

// Fork has the thread tid start a process of its own, by a clone(2) without
// CLONE_THREAD that the kernel does not take for a fork: its signal is not
// SIGCHLD. It answers the new process's id, 0 when the creator can't.
func (m *Machine) Fork(tid int) int {
	defer m.lock()()
	t := m.tasks[tid]
	if t == nil || !t.canSpawn() {
		return 0
	}
	g := &group{m: m, pid: m.nextID(), parent: Parent{Waits: true}, action: t.g.action, stranger: true}
	m.groups[g.pid] = g
	return t.spawn(g, g.pid)
}

func (t *task) canSpawn() bool {
	return (t.where == inUser || t.where == inCall && !t.program.Disk) &&
		!t.queued && !t.g.exiting && t.g.execs == nil
}

// spawn is clone(2) (kernel/fork.c, copy_process), of a thread tid of the
// process g.
func (t *task) spawn(g *group, tid int) int {
	m := t.m
	child := m.newTask(g, tid, t.program)
	child.comm, child.blocked = t.comm, t.blocked
	// The child is not born into a group-stop unharmed: task_join_group_stop.
	if g.stopCount > 0 || g.stopStopped {
		child.job.signal, child.job.stopPending = t.job.signal, true
		if g.stopCount > 0 {
			g.stopCount++
			child.job.consume = true
		}
		child.sigpending = true
	}
	child.where = inUser
	g.tellBirth(tid)
	traced := t.tracer != nil && t.options&optionClone != 0
	if traced { // ptrace_init_task
		child.link(t.tracer, t.options)
		child.job.trapStop, child.sigpending = true, true
	}
	child.kick()
	if traced {
		t.regs = attacher.Frame{Nr: nrClone, Result: int64(child.tid), PC: callPC, SP: userSP}
		t.fromCall = false
		t.where, t.child = inClone, child.tid
		t.kick()
	}
	return child.tid
}
