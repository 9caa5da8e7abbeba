package attachertest

import (
	"syscall"

	"massattach/attacher"
	"massattach/internal/sys"
)

const (
	optionClone = sys.OptionTraceClone
	optionExec  = sys.OptionTraceExec
	optionExit  = sys.OptionTraceExit

	eventClone = sys.EventClone
	eventExec  = sys.EventExec
	eventExit  = sys.EventExit
	eventStop  = sys.EventStop
)

type stopKind uint8

const (
	stopSignal stopKind = iota // signal-delivery-stop
	stopTrap                   // PTRACE_EVENT_STOP, a group-stop among them
	stopEvent                  // PTRACE_EVENT_CLONE, EXEC, EXIT
)

// stop is a ptrace-stop that a thread is in: last_siginfo and ptrace_message.
type stop struct {
	kind    stopKind
	event   int
	signal  *signal
	sent    attacher.Siginfo // of signal, as it was sent
	info    attacher.Siginfo
	message int
	group   bool // a group-stop
	stolen  bool // its report was taken by the parent
}

// ptraceStop is ptrace_stop up to the sleep. took says that the stop takes
// part in a group-stop (CLD_STOPPED).
func (t *task) ptraceStop(s *stop, code int, took bool) {
	if s.kind != stopSignal {
		s.info = newInfo(syscall.Signal(code&0x7f), int32(code), t.tid, 0)
	}
	if t.tracer == nil || t.sigkill {
		t.stop, t.exitCode = s, code
		t.endStop() // nobody is there to wait for, or death is
		return
	}
	t.stop, t.exitCode = s, code
	t.job.traced = true
	t.touched = true
	t.switches++
	done := took && t.job.stopPending && t.participate()
	// Any stop answers an INTERRUPT that is still to come; only an event-stop
	// answers a notification.
	t.job.trapStop = false
	if s.kind == stopTrap {
		t.job.trapNotify = false
	}
	if t.g.stranger {
		t.m.account.StrangerStops++
	}
	// The tracer is told, and when the last of the process has stopped the
	// parent is, too, unless they are the same.
	t.tracer.wake()
	if done && !t.g.parent.Ours {
		t.g.tellParentStop()
	}
}

// endStop is the rest of ptrace_stop: the thread runs again.
func (t *task) endStop() {
	s, code := t.stop, t.exitCode
	t.stop, t.exitCode = nil, 0
	t.job.listening = false
	t.job.traced = false
	t.recalc()
	switch s.kind {
	case stopSignal:
		t.afterSignalStop(s.signal, code, s.stolen)
	case stopTrap:
		t.leave()
	case stopEvent:
		if s.event == eventExit {
			t.finishExit()
			return
		}
		t.leave()
	}
}

// event is ptrace_event: a PTRACE_EVENT stop.
func (t *task) event(event, message int) {
	t.where = leaving
	t.ptraceStop(&stop{kind: stopEvent, event: event, message: message}, event<<8|int(syscall.SIGTRAP), false)
}

// trap is do_jobctl_trap: a group-stop if one is on or in effect, else SIGTRAP.
func (t *task) trap() {
	g := t.g
	sig := syscall.SIGTRAP
	if g.stopCount > 0 || g.stopStopped {
		sig = syscall.Signal(t.job.signal)
		t.owed = true
	}
	t.ptraceStop(&stop{kind: stopTrap, event: eventStop, group: sig != syscall.SIGTRAP}, eventStop<<8|int(sig), true)
}

// spurious is looks_like_a_spurious_pid (Linux 5.13): the thread has another
// number than when it entered exec, and its tracer has not reaped the event.
func (t *task) spurious() bool {
	return t.exitCode == eventExec<<8|int(syscall.SIGTRAP) && t.stop != nil && t.stop.message != t.tid
}

// resume is ptrace_resume.
func (t *task) resume(sig syscall.Signal) {
	t.exitCode = int(sig)
	t.job.traced = false
	t.kick()
}

// link is __ptrace_link. The one seized last is the first that a wait finds.
func (t *task) link(tr *tracer, options int) {
	t.tracer, t.options = tr, options
	tr.tracees = append(tr.tracees, t)
}

// setStopped is ptrace_set_stopped: a thread that is stopped already stops
// once more, for its tracer.
func (t *task) setStopped() {
	if t.job.stopped && t.canTrap() {
		t.job.trapStop = true
		t.job.stopped = false
		t.sigpending = true
		// SEIZE waits until that has happened (TRAPPING).
		t.leave()
	}
}

// unlinkTracer is __ptrace_unlink: all that the tracer wanted is off, and a
// thread that should be stopped with its process stops with it.
func (t *task) unlinkTracer() {
	if t.tracer == nil {
		return
	}
	t.tracer.lose(t)
	t.tracer, t.options = nil, 0
	if t.armed != nil {
		t.armed.sealed = false // nobody is there to stop for
	}
	t.job.trapStop, t.job.trapNotify = false, false
	if !t.isExiting && (t.g.stopStopped || t.g.stopCount > 0) {
		t.job.stopPending = true
	}
	if t.where < zombie && (t.job.stopPending || t.job.traced) {
		t.wakeByTracer(true)
	}
}
