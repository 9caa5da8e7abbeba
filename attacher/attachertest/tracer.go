package attachertest

import (
	"slices"
	"sync"
	"syscall"
	"time"

	"massattach/attacher"
	"massattach/internal/sys"
)

// tracer is a tracer thread: [attacher.Tracer].
type tracer struct {
	m       *Machine
	id      int
	thread  int     // the real thread that bound it, 0 when nobody watches
	tracees []*task // in the order of SEIZE
	changed sync.Cond
	asleep  func() bool // what a call that sleeps waits for; nil: none sleeps
	inLook  bool
	rung    bool
	ended   bool
	killed  bool
	taken   map[int]bool // numbers of tracees that they lost in an exec
	foreign string       // not ours, but a tool of this name
}

var _ attacher.Tracer = (*tracer)(nil)

func (m *Machine) newTracer(thread int, foreign string) *tracer {
	tr := &tracer{m: m, id: m.nextID(), thread: thread, foreign: foreign}
	tr.changed.L = &m.mu
	m.tracers[tr.id] = tr
	return tr
}

// wake has a call that sleeps look again (kernel/exit.c, __wake_up_parent).
func (tr *tracer) wake() {
	if tr != nil {
		tr.changed.Signal()
	}
}

// loses notes that a tracee's number goes to another without a report.
func (tr *tracer) loses(tid int) {
	if tr == nil {
		return
	}
	if tr.taken == nil {
		tr.taken = make(map[int]bool)
	}
	tr.taken[tid] = true
}

func (tr *tracer) lose(t *task) {
	tr.tracees = slices.DeleteFunc(tr.tracees, func(o *task) bool { return o == t })
	tr.wake()
}

// begin enters a call that belongs to the tracer's own thread.
func (tr *tracer) begin(op string, tid int) error {
	if err := tr.m.enter(tr.id, op, tid); err != nil {
		return err
	}
	if tr.thread != 0 && sys.Gettid() != tr.thread {
		tr.m.account.violation("tracer %d: %s on another thread than its own", tr.id, op)
	}
	if tr.ended {
		if !tr.killed {
			tr.m.account.violation("tracer %d: %s after its end", tr.id, op)
		}
		tr.m.unlock()
		return syscall.ESRCH
	}
	return nil
}

// request enters a request on a tracee (kernel/ptrace.c, ptrace_check_attach):
// it must be the caller's, and stopped unless anyState; not listening, not
// dying. Errors leave the machine unlocked.
func (tr *tracer) request(op string, tid int, anyState bool) (*task, error) {
	if err := tr.begin(op, tid); err != nil {
		return nil, err
	}
	m := tr.m
	t := m.tasks[tid]
	switch {
	case t == nil:
	case t.tracer != tr:
		switch {
		case tr.taken[tid]: // it can't know yet
		case t.tracer != nil:
			m.account.violation("tracer %d: %s on thread %d, which is tracer %d's", tr.id, op, tid, t.tracer.id)
		case t.g.stranger:
			m.account.violation("tracer %d: %s on thread %d, a stranger", tr.id, op, tid)
		}
	case anyState:
		return t, nil
	case t.job.traced && !t.job.listening && !t.sigkill && !t.spurious():
		t.seen = true
		return t, nil
	}
	m.unlock()
	return nil, syscall.ESRCH
}

func (tr *tracer) ID() int { return tr.id }

// sleep waits until ready. With a gate that is the scheduler's business.
func (tr *tracer) sleep(tid int, ready func() bool) {
	m := tr.m
	tr.asleep = ready
	for !ready() {
		if m.Gate == nil {
			tr.changed.Wait()
			continue
		}
		m.unlock()
		m.Gate(tr.id, "sleep", tid)
		m.mu.Lock()
	}
	tr.asleep = nil
}

// Awake says whether the tracer with this id would go on if it were let
// through the gate: it doesn't sleep, or what it waits for is there.
func (m *Machine) Awake(tracer int) bool {
	defer m.lock()()
	if tracer < 0 {
		b := m.logs[-tracer-1]
		return b.asleep == nil || b.asleep()
	}
	tr := m.tracers[tracer]
	return tr == nil || tr.asleep == nil || tr.asleep()
}

// Seize is ptrace_attach. It sleeps in cred_guard_mutex while the target
// execs, and no signal wakes it.
func (tr *tracer) Seize(tid int, options int) error {
	if err := tr.begin("seize", tid); err != nil {
		return err
	}
	m := tr.m
	defer m.unlock()
	t := m.tasks[tid]
	if t == nil {
		return syscall.ESRCH
	}
	if options&^(optionClone|optionExec|optionExit) != 0 {
		m.account.violation("tracer %d: seize with options %#x", tr.id, options)
	}
	tr.sleep(tid, func() bool { return t.g.guard == nil || tr.ended })
	if t.tid != tid {
		tr.loses(tid) // it was in exec itself
	}
	switch {
	case tr.ended:
		return syscall.ESRCH
	case t.where == dead, t.where == zombie, t.tracer != nil:
		return syscall.EPERM // exit_state, ptrace
	}
	t.link(tr, options)
	t.setStopped()
	return nil
}

// Interrupt is PTRACE_INTERRUPT: of a thread that is stopped it leaves another
// stop behind, unless that one listens.
func (tr *tracer) Interrupt(tid int) error {
	t, err := tr.request("interrupt", tid, true)
	if err != nil {
		return err
	}
	defer tr.m.unlock()
	if t.where < zombie && t.canTrap() {
		t.job.trapStop = true
		t.seen = true
		t.wakeByTracer(t.job.listening)
	}
	return nil
}

func (tr *tracer) Cont(tid int, sig syscall.Signal) error {
	t, err := tr.request("cont", tid, false)
	if err != nil {
		return err
	}
	defer tr.m.unlock()
	if sig < 0 || sig > 64 {
		return syscall.EIO
	}
	t.resume(sig)
	return nil
}

// Listen is PTRACE_LISTEN: for event-stops only, and one that has something to
// notify of ends at once.
func (tr *tracer) Listen(tid int) error {
	t, err := tr.request("listen", tid, false)
	if err != nil {
		return err
	}
	defer tr.m.unlock()
	if t.stop.kind != stopTrap {
		return syscall.EIO
	}
	t.job.listening = true
	if t.job.trapNotify {
		t.wakeByTracer(true)
	}
	return nil
}

func (tr *tracer) Detach(tid int, sig syscall.Signal) error {
	t, err := tr.request("detach", tid, false)
	if err != nil {
		return err
	}
	defer tr.m.unlock()
	if sig < 0 || sig > 64 {
		return syscall.EIO
	}
	t.exitCode = int(sig)
	t.letGo()
	return nil
}

// IsThread is do_send_specific's look at a signal 0, whoever asks.
func (tr *tracer) IsThread(pid, tid int) bool {
	if err := tr.begin("isthread", tid); err != nil {
		return err != syscall.ESRCH
	}
	defer tr.m.unlock()
	t := tr.m.tasks[tid]
	return t != nil && t.g.pid == pid
}

// Ring wakes a Look that sleeps. One that doesn't is not woken later either:
// the signal's handler has run by then.
func (tr *tracer) Ring() error {
	if err := tr.m.enter(tr.id, "ring", 0); err != nil {
		return err
	}
	defer tr.m.unlock()
	if tr.ended {
		return syscall.ESRCH
	}
	if tr.inLook {
		tr.rung = true
		tr.wake()
	}
	return nil
}

// Hurry does nothing: nobody is short of time here.
func (tr *tracer) Hurry() {}

func (tr *tracer) Ended() bool {
	if err := tr.m.enter(tr.id, "ended", 0); err != nil {
		return false
	}
	defer tr.m.unlock()
	return tr.ended
}

// Exit is exit_ptrace: the tracees are let go without being stopped.
func (tr *tracer) Exit() {
	if err := tr.m.enter(tr.id, "exit", 0); err != nil {
		tr.m.mu.Lock() // a thread that ends can't be refused
	}
	defer tr.m.unlock()
	if tr.m.Manual {
		tr.m.leaving = append(tr.m.leaving, tr) // the thread goes on to its end: see Run
		return
	}
	tr.end()
}

func (tr *tracer) end() {
	tr.ended = true
	tr.wake()
	for len(tr.tracees) > 0 {
		tr.tracees[0].letGo()
	}
}

// NewTool starts the process of all tracers anew after KillTool.
func (m *Machine) NewTool() {
	defer m.lock()()
	m.killed = false
}

// KillTool is a SIGKILL to the process of all tracers: they let their tracees
// go, wherever they are, and every later call of theirs answers ESRCH.
func (m *Machine) KillTool() {
	defer m.lock()()
	m.killed = true
	for _, id := range sorted(m.tracers) {
		if tr := m.tracers[id]; tr.foreign == "" {
			tr.killed = true
			tr.end()
		}
	}
	for _, t := range m.tasks {
		t.armed = nil
	}
	for _, b := range m.logs {
		b.closed = true
		b.changed.Signal()
	}
}

// SocketTimeout reads what SetSocketTimeout has set; ENOTSOCK otherwise.
func (tr *tracer) SocketTimeout(pid, tid, fd int, send bool) (time.Duration, error) {
	if err := tr.begin("timeout", tid); err != nil {
		return 0, err
	}
	defer tr.m.unlock()
	s := tr.m.sockets[fd]
	if s == nil {
		return 0, syscall.ENOTSOCK
	}
	if send {
		return time.Duration(s[1]), nil
	}
	return time.Duration(s[0]), nil
}
