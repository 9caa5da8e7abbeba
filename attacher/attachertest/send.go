package attachertest

import "syscall"

// sender is the pid that signals seem to come from.
const sender = 7

// Signal sends sig to the thread tid (tgkill). It says whether tid is there.
func (m *Machine) Signal(tid int, sig syscall.Signal) bool {
	return m.send(tid, &signal{no: sig, to: tid, info: newInfo(sig, codeTkill, sender, 0)})
}

// Queue sends sig with a value to the thread tid (rt_tgsigqueueinfo).
func (m *Machine) Queue(tid int, sig syscall.Signal, value uint64) bool {
	return m.send(tid, &signal{no: sig, to: tid, info: newInfo(sig, codeQueue, sender, value)})
}

// Cookie sends sig to the thread tid as a BPF program of massattach's does
// (SI_KERNEL, and a value). It is no loss when the tracer suppresses it.
func (m *Machine) Cookie(tid int, sig syscall.Signal, cookie uint64) bool {
	return m.send(tid, &signal{no: sig, to: tid, ours: true, info: newInfo(sig, codeKernel, 0, cookie)})
}

// Kill sends sig to the process pid (kill): SIGSTOP stops it, SIGCONT has it
// go on, SIGKILL ends it. It says whether pid is there.
func (m *Machine) Kill(pid int, sig syscall.Signal) bool {
	defer m.lock()()
	g := m.groups[pid]
	if g == nil {
		return false
	}
	m.sent++
	g.leader().send(&signal{no: sig, seq: m.sent, info: newInfo(sig, codeUser, sender, 0)}, true)
	return true
}

func (m *Machine) send(tid int, q *signal) bool {
	defer m.lock()()
	t := m.tasks[tid]
	if t == nil {
		return false
	}
	m.sent++
	q.seq = m.sent
	if t.where < zombie {
		t.send(q, false)
	}
	return true
}

// Block and Unblock change the signal mask of the thread tid.
func (m *Machine) Block(tid int, sigs ...syscall.Signal) {
	defer m.lock()()
	if t := m.tasks[tid]; t != nil {
		for _, s := range sigs {
			t.blocked |= bit(s)
		}
	}
}

// Unblock lets signals through again: those that wait are delivered.
func (m *Machine) Unblock(tid int, sigs ...syscall.Signal) {
	defer m.lock()()
	t := m.tasks[tid]
	if t == nil || t.where >= zombie {
		return
	}
	for _, s := range sigs {
		t.blocked &^= bit(s)
	}
	if t.recalc(); t.sigpending {
		t.wake(false)
	}
}
