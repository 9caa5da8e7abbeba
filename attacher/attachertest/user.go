package attachertest

import (
	"fmt"

	"massattach/attacher"
)

// running is a handler that is about to run: what sigreturn will restore.
type running struct {
	sig      *signal
	regs     attacher.Frame
	restart  bool
	fromCall bool
	blocked  uint64
}

// pushHandler sets a handler's frame up (arch/x86/kernel/signal.c,
// handle_signal). Only here is it decided what becomes of the call.
func (t *task) pushHandler(q *signal) {
	h := &running{sig: q, regs: t.regs, fromCall: t.fromCall, restart: t.restart, blocked: t.blocked}
	t.restart = false
	if t.fromCall && t.regs.Nr >= 0 {
		switch v := t.regs.Result; {
		case v == RestartSys && t.g.action[q.no] == HandlerRestart, v == RestartNoIntr:
			h.restart = true
		case restarts(v):
			h.regs.Result = eintr
		}
	}
	t.handler = h
	t.owed = true
	t.blocked = ^uint64(0) // sa_mask
	// The registers are those of the handler's first instruction; orig_ax
	// stays what it was.
	t.regs.Result, t.regs.PC, t.regs.SP = 0, handlerPC, t.regs.SP-1024
}

// user is the return to user mode: the program goes on. get_signal had nothing
// left to do.
func (t *task) user() {
	for {
		if t.notifyPoint() {
			if t.where == inUser {
				t.interrupted()
			}
			t.leave()
			return
		}
		t.strict()
		if t.g.stopStopped {
			t.m.account.broken(t, "runs user code while its process is stopped by job control")
		}
		if h := t.handler; h != nil {
			t.handler = nil
			t.m.account.handled(t, h.sig)
			// rt_sigreturn; "disable syscall checks": orig_ax is -1.
			t.regs, t.fromCall, t.restart, t.blocked = h.regs, h.fromCall, h.restart, h.blocked
			t.regs.Nr = -1
			t.recalc()
			if t.sigpending {
				t.leave()
				return
			}
			continue
		}
		if t.fromCall {
			t.fromCall = false
			if t.restart || t.regs.Nr >= 0 && restarts(t.regs.Result) {
				t.enterCall()
				return
			}
			t.m.account.returned(t, t.regs.Result)
		}
		t.where = inUser
		if len(t.todo) == 0 {
			break
		}
		do := t.todo[0]
		t.todo = t.todo[1:]
		do()
		if t.where != inUser || t.job.traced || t.job.stopped {
			return // it has stopped, ended, or waits
		}
	}
	if t.program != nil {
		t.enterCall()
	}
}

// Set changes what the thread tid is blocked in, at its next call; the present
// one ends with success. It says whether tid lives.
func (m *Machine) Set(tid int, c Call) bool {
	return m.next(tid, func(t *task) { t.program = &c })
}

// Spin makes the thread tid run in user mode.
func (m *Machine) Spin(tid int) bool {
	return m.next(tid, func(t *task) { t.program = nil })
}

// next has a thread do something when it is in user mode next.
func (m *Machine) next(tid int, do func(*task)) bool {
	defer m.lock()()
	t := m.tasks[tid]
	if t == nil || t.where >= zombie {
		return false
	}
	t.todo = append(t.todo, func() { do(t) })
	t.kick()
	return true
}

// Return ends the call that the thread tid is blocked in: its event came, its
// time is over, the disk has answered. It says whether tid was in a call.
func (m *Machine) Return(tid int, result int64) bool {
	defer m.lock()()
	t := m.tasks[tid]
	if t == nil || t.where != inCall || t.ended != nil {
		return false
	}
	t.ended = &result
	t.kick()
	return true
}

func (t *task) String() string { return fmt.Sprintf("thread %d", t.tid) }
