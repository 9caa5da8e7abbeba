package attachertest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"syscall"
)

// Account is what the first process noticed, and what was done wrong to it.
type Account struct {
	// Results counts what calls returned; negative errnos are failures.
	Results map[int64]int
	// EINTR are the calls that failed with EINTR. Undue are those of them
	// that would not have in an untraced process, and that the tracer could
	// have mended: it has asked for the stop, or has seen it. Early are short
	// results that came about in the same way. Unavoidable are both where the
	// tracer had no chance: it ended between the wake-up of the thread and its
	// own next look, or the thread was none of its tracees, but was woken in
	// the place of one (kernel/signal.c, complete_signal).
	EINTR, Undue, Early, Unavoidable int
	// Mended are the calls that were made to begin anew although job control
	// has interrupted them, as it would have in an untraced process.
	Mended int
	// Handled are the signals that handlers ran for, in order.
	Handled []Delivery
	// Lost are those that the process never got, although it would have done
	// something at them; that massattach suppressed one of its own is none.
	Lost []Delivery
	// Merged counts signals that were not queued because one of their number
	// was pending already.
	Merged int
	// Parent is what the parent's waitpid saw: "stopped", "continued", "exited
	// 0", "killed 9".
	Parent []string
	// StrangerStops counts ptrace-stops of threads of other processes that
	// have the number of a thread that is gone.
	StrangerStops int
	// Violations says in words what must never be.
	Violations []string
}

// Delivery is one signal.
type Delivery struct {
	TID    int // that it was delivered to
	Signal syscall.Signal
	Code   int32  // si_code
	Value  uint64 // si_value
}

// Account answers what was noted so far.
func (m *Machine) Account() Account {
	defer m.lock()()
	a := m.account
	a.Results = maps.Clone(a.Results)
	a.Handled, a.Lost = slices.Clone(a.Handled), slices.Clone(a.Lost)
	a.Parent, a.Violations = slices.Clone(a.Parent), slices.Clone(a.Violations)
	return a
}

// Results is Account.Results for the thread tid alone.
func (m *Machine) Results(tid int) map[int64]int {
	defer m.lock()()
	if t := m.tasks[tid]; t != nil {
		return maps.Clone(t.results)
	}
	return nil
}

func (a *Account) violation(format string, args ...any) {
	const enough = 100
	if len(a.Violations) < enough {
		a.Violations = append(a.Violations, fmt.Sprintf(format, args...))
	}
}

func (a *Account) broken(t *task, what string) { a.violation("thread %d: %s", t.tid, what) }

// returned notes what a call has returned to the program.
func (a *Account) returned(t *task, v int64) {
	if a.Results == nil {
		a.Results = make(map[int64]int)
	}
	a.Results[v]++
	if t.results == nil {
		t.results = make(map[int64]int)
	}
	t.results[v]++
	switch {
	case v == eintr:
		a.EINTR++
		switch {
		case t.owed || !t.touched:
		case !t.seen:
			a.Unavoidable++
		default:
			a.Undue++
		}
	case restarts(v):
		a.violation("thread %d: a call returned %d, which is the kernel's own", t.tid, v)
	case t.early && t.touched && !t.owed:
		if t.seen {
			a.Early++
		} else {
			a.Unavoidable++
		}
	}
}

// handled notes that a handler has run.
func (a *Account) handled(t *task, q *signal) {
	a.Handled = append(a.Handled, q.delivered(t))
	if q.seq == 0 {
		a.broken(t, fmt.Sprintf("signal %d was delivered that nobody had sent", q.no))
		return
	}
	if q.ours {
		return
	}
	if q.seq < t.lastHandled[q.no] && q.to != 0 && q.no >= sigRTMin {
		a.broken(t, fmt.Sprintf("signal %d was delivered out of order", q.no))
	}
	if t.lastHandled == nil {
		t.lastHandled = make(map[syscall.Signal]int)
	}
	if q.to != 0 {
		t.lastHandled[q.no] = q.seq
	}
}

// suppressed notes that a signal ended at its signal-delivery-stop.
func (a *Account) suppressed(t *task, q *signal) {
	if q.ours || q.seq == 0 || t.g.exiting || t.sigkill || t.g.ignores(q.no) {
		return
	}
	a.Lost = append(a.Lost, q.delivered(t))
}

func (q *signal) delivered(t *task) Delivery {
	return Delivery{TID: t.tid, Signal: q.no, Code: infoCode(&q.info), Value: infoValue(&q.info)}
}

// Check says what has been done so far that must never be: a signal lost, an
// EINTR or an early return that a tracer has caused, a stranger harmed, the
// parent robbed, user code run in a stopped process, a request made for
// another tracer's thread or on another thread. A tracer that means to leave
// an EINTR (what it can't repair) looks at the account instead.
func (m *Machine) Check() error {
	defer m.lock()()
	return m.check()
}

func (m *Machine) check() error {
	a := &m.account
	var errs []error
	for _, v := range a.Violations {
		errs = append(errs, errors.New(v))
	}
	for _, d := range a.Lost {
		errs = append(errs, fmt.Errorf("thread %d: signal %d (value %d) was lost", d.TID, d.Signal, d.Value))
	}
	if a.Undue > 0 {
		errs = append(errs, fmt.Errorf("%d calls failed with EINTR that would not have in an untraced process", a.Undue))
	}
	if a.Mended > 0 {
		errs = append(errs, fmt.Errorf("%d calls were mended that job control has interrupted", a.Mended))
	}
	if a.Early > 0 {
		errs = append(errs, fmt.Errorf("%d calls returned early", a.Early))
	}
	return errors.Join(errs...)
}

// Quiet is Check, and says what is left that must not be once no session is
// attached: tracers that have not ended, traced threads, threads in a
// ptrace-stop, threads that are stopped in a process that is not, running ones
// in one that is, zombies that nobody will reap.
func (m *Machine) Quiet() error {
	defer m.lock()()
	errs := []error{m.check()}
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, id := range sorted(m.tracers) {
		if tr := m.tracers[id]; !tr.ended && tr.foreign == "" {
			bad("tracer %d has not ended", id)
		}
	}
	for _, b := range m.logs {
		if !b.closed {
			bad("births are still heard of")
		}
	}
	for _, tid := range sorted(m.tasks) {
		t := m.tasks[tid]
		switch ours := t.tracer != nil && t.tracer.foreign == ""; {
		case t.tracer != nil && !ours:
		case ours:
			bad("thread %d is still traced by %d", tid, t.tracer.id)
		case t.job.traced:
			bad("thread %d is in a ptrace-stop of nobody's", tid)
		case t.job.stopped && !t.g.stopStopped && t.g.stopCount == 0:
			bad("thread %d is stopped and its process is not", tid)
		case t.g.stopStopped && !t.job.stopped && t.where < zombie && !t.queued && !t.sleepsOn():
			bad("thread %d runs and its process is stopped", tid)
		case t.where == zombie && tid != t.g.pid:
			bad("thread %d is a zombie that nobody reaps", tid)
		case t.where == zombie && t.g.alone() && t.g.parent.Waits && !t.g.parent.Ours:
			bad("process %d has ended and its parent does not know", tid)
		case t.armed != nil && !t.armed.off:
			bad("thread %d is still armed", tid)
		}
	}
	return errors.Join(errs...)
}

// sleepsOn says whether the thread is where it can't stop.
func (t *task) sleepsOn() bool {
	return t.where == inExec || t.where == inCall && t.program != nil && t.program.Disk
}
