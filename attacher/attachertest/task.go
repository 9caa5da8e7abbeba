package attachertest

import (
	"slices"
	"strings"
	"syscall"

	"massattach/attacher"
)

// where is the place that a thread's execution has reached.
type where uint8

const (
	inUser  where = iota // runs its own code
	inCall               // sleeps in its call
	leaving              // on its way to user mode (get_signal), also while it is stopped there
	inClone              // in clone(2), and about to report the birth
	inExec               // in execve
	zombie
	dead // released
)

// task is a thread: the kernel's task_struct.
type task struct {
	m     *Machine
	g     *group
	tid   int
	start uint64
	comm  string

	program *Call    // what it is blocked in; nil: it runs in user mode
	todo    []func() // what it does next when it is in user mode
	where   where
	queued  bool // in Machine.runq

	regs     attacher.Frame
	fromCall bool     // regs are those of a call that it leaves
	restart  bool     // the instruction that made the call is about to run again
	handler  *running // a handler's frame is on its stack
	ended    *int64   // the result of a call that ended by itself
	switches uint64
	results  map[int64]int // what its calls returned

	// What the account needs: why the present call came to an end.
	owed    bool // a handler, or job control: it would have returned untraced
	touched bool // it would have slept on untraced
	seen    bool // a tracer asked for that, or has seen the stop: it could mend it
	early   bool // it returns what it has done so far

	lastHandled map[syscall.Signal]int

	pending    []*signal
	blocked    uint64
	sigpending bool // TIF_SIGPENDING
	sigkill    bool // SIGKILL is pending
	isExiting  bool // PF_EXITING

	job jobctl

	tracer   *tracer
	options  int
	stop     *stop // it is in ptrace_stop: last_siginfo
	exitCode int   // of its stop until reaped, then of its exit
	exitTold bool  // PTRACE_EVENT_EXIT was reported
	dying    int   // and the thread goes on to end with this
	oldTID   int   // before it execs
	child    int   // whose birth it is about to report

	armed *armed // to report before it runs in user mode
}

// jobctl is task_struct.jobctl (include/linux/sched/jobctl.h).
type jobctl struct {
	signal      int  // STOP_SIGMASK: of the last group-stop
	dequeued    bool // STOP_DEQUEUED: a stop signal was taken that no SIGCONT has undone
	stopPending bool // STOP_PENDING: should stop for a group-stop
	consume     bool // STOP_CONSUME: counts in stopCount
	trapStop    bool // TRAP_STOP: INTERRUPT
	trapNotify  bool // TRAP_NOTIFY: SIGCONT, or a group-stop while listening
	listening   bool // LISTENING
	stopped     bool // STOPPED: sleeps in do_signal_stop
	traced      bool // TRACED: sleeps in ptrace_stop
}

func (j jobctl) String() string {
	var b strings.Builder
	for _, f := range []struct {
		name string
		on   bool
	}{
		{"dequeued", j.dequeued}, {"stop-pending", j.stopPending}, {"consume", j.consume}, {"trap-stop", j.trapStop},
		{"trap-notify", j.trapNotify}, {"listening", j.listening}, {"stopped", j.stopped}, {"traced", j.traced},
	} {
		if f.on {
			b.WriteString(" " + f.name)
		}
	}
	return strings.TrimSpace(b.String())
}

// canTrap is the condition of task_set_jobctl_pending: a dying thread takes
// none.
func (t *task) canTrap() bool { return !t.sigkill && !t.isExiting }

// clearStopPending is task_clear_jobctl_pending for STOP_PENDING.
func (t *task) clearStopPending() {
	t.job.stopPending, t.job.consume, t.job.dequeued = false, false, false
}

// clearPending is task_clear_jobctl_pending for all of JOBCTL_PENDING_MASK.
func (t *task) clearPending() {
	t.clearStopPending()
	t.job.trapStop, t.job.trapNotify = false, false
}

// state is the letter in /proc (fs/proc/array.c, get_task_state).
func (t *task) state() byte {
	switch {
	case t.where == dead:
		return 'X'
	case t.where == zombie:
		return 'Z'
	case t.job.traced:
		return 't'
	case t.job.stopped:
		return 'T'
	case t.queued:
		return 'R'
	case t.where == inExec:
		return 'D'
	case t.where == inCall && t.program.Disk:
		return 'D'
	case t.where == inCall:
		return 'S'
	}
	return 'R'
}

// kick puts the thread among those that have something to do.
func (t *task) kick() {
	if t.where < zombie && !t.queued {
		t.queued = true
		t.m.runq = append(t.m.runq, t)
	}
}

// wake is signal_wake_up: the thread is to look for work on its way to user
// mode, and one that sleeps so that signals wake it is woken. fatal wakes it
// out of every stop.
func (t *task) wake(fatal bool) {
	if t.where >= zombie {
		return
	}
	t.sigpending = true
	if fatal {
		t.job.stopped, t.job.traced = false, false
	}
	switch {
	case t.job.stopped || t.job.traced:
	case t.where == inCall && t.program.Disk && !(fatal && t.program.Killable):
	case t.where == inExec && !fatal:
	default:
		t.kick()
	}
}

// wakeByTracer is ptrace_signal_wake_up: resume ends a ptrace-stop.
func (t *task) wakeByTracer(resume bool) {
	t.touched = true
	if resume {
		t.job.traced = false
	}
	t.wake(false)
}

// run goes on with the thread until it sleeps, stops, ends, or runs its own
// code with nothing to do.
func (t *task) run() {
	if t.job.stopped || t.job.traced || t.where >= zombie {
		return
	}
	if t.stop != nil {
		t.endStop()
		return
	}
	switch t.where {
	case inUser:
		if t.sigpending {
			t.interrupted()
			t.leave()
		} else {
			t.user()
		}
	case inCall:
		t.runCall()
	case leaving:
		t.leave()
	case inClone:
		t.event(eventClone, t.child)
	case inExec:
		t.runExec()
	}
}

// interrupted has the thread come from user mode.
func (t *task) interrupted() {
	t.regs = attacher.Frame{Nr: -1, Result: userResult, PC: userPC, SP: userSP}
	t.fromCall = false
}

// runCall is what a thread does when it was woken in its call.
func (t *task) runCall() {
	c := t.program
	if c == nil {
		c = &Pause // it was told to run in user mode meanwhile
	}
	f := attacher.Frame{Nr: c.Nr, Args: c.Args, PC: callPC, SP: userSP}
	switch {
	case t.ended != nil:
		f.Result, t.ended = *t.ended, nil
	case t.sigpending && (!c.Disk || c.Killable && t.sigkill):
		f.Result = c.Interrupted
		t.early = c.Interrupted >= 0
	case len(t.todo) > 0 && !c.Disk:
		t.where = inUser // the call returns, and what it said is no matter
		t.user()
		return
	default:
		return
	}
	t.regs, t.fromCall = f, true
	t.leave()
}

// enterCall blocks the thread in its call, for the first time or anew.
func (t *task) enterCall() {
	t.where, t.restart = inCall, false
	t.owed, t.touched, t.seen, t.early = false, false, false, false
	t.switches++
	if len(t.todo) > 0 {
		t.kick()
	}
}

// The addresses at which threads are found.
const (
	userPC    = 0x40_1000
	callPC    = 0x40_2000
	handlerPC = 0x40_3000
	userSP    = 0x7ffe_0000_1000
	// userResult is in the result register of a thread in user mode: its own.
	userResult = 0x5ca1ab1e
)

// release takes the thread out of the machine (kernel/exit.c, release_task).
func (t *task) release() {
	if t.where == dead {
		return
	}
	g, m := t.g, t.m
	t.unlinkTracer()
	t.where = dead
	if m.tasks[t.tid] == t {
		delete(m.tasks, t.tid)
	}
	g.threads = slices.DeleteFunc(g.threads, func(o *task) bool { return o == t })
	if len(g.threads) == 0 {
		if m.groups[g.pid] == g {
			delete(m.groups, g.pid)
		}
		return
	}
	if l := g.leader(); l != nil && l != t && g.alone() && l.where == zombie {
		if l.tracer != nil {
			l.tracer.wake()
		} else {
			l.tellParentExit()
		}
	}
	if g.execs != nil {
		g.execs.kick()
	}
}
