// Package notify has the mechanisms of an arrest in notify-resume style: no thread
// runs another instruction in user mode, and what goes on in the kernel is left
// alone. A thread that is blocked there sleeps on, and stops at the moment at which
// it would return.
//
// A [Mechanism] knows nothing of ptrace-stops. It has threads report: by a signal of
// its own, which their tracers see as a signal-delivery-stop, tell from the target's
// own by its cookie, hold, and do not deliver (package attacher).
package notify

import (
	"errors"
	"syscall"
)

// Guarantee is what a mechanism promises.
type Guarantee string

const (
	// Strict: once confirmed, no thread runs an instruction in user mode.
	Strict Guarantee = "strict"
	// BestEffort: one that wakes up may run some before it is stopped.
	BestEffort Guarantee = "best-effort"
)

// ErrNotSupported says that a mechanism does not work here; what it is wrapped in
// says why.
var ErrNotSupported = errors.New("not supported here")

// Mechanism arms threads of one process. Its methods may be called from any
// goroutine, but one at a time, except for Merged. Threads are named as in the
// caller's PID namespace; one that has ended is no error.
type Mechanism interface {
	// Name is that in reports: "task_work", "ptrace".
	Name() string
	Guarantee() Guarantee
	// Add makes threads known that may be armed later; those that are known stay so.
	Add(tids []int) error
	// Remove takes out those that are the session's no more.
	Remove(tids []int)
	// Arm has each of the threads, tracees of this process, report before it runs
	// another instruction in user mode. One that is armed already is armed again:
	// whether it has reported is forgotten. Who has run exec is armed by its new
	// number.
	Arm(tids []int) error
	// Look says how far the armed threads are. The arrest is confirmed when nobody
	// is pending. During the hold it is called again and again: some become mute then,
	// and with a best-effort mechanism it is what keeps threads from running.
	Look() (Look, error)
	// Disarm ends it. The answer are those of the threads that have reported since
	// they were armed, by a signal of the mechanism's: their stops have been
	// collected, or are still to come; if a thread is held at another stop, after
	// that. Not among them are those that were mute, and those that were about to
	// stop by a signal of the target's own anyway.
	Disarm(tids []int) (reported []int, err error)
	// Merged is asked when tid has stopped by the mechanism's signal, number sig: it
	// says whether one of the target's own came while that was pending there, and was
	// merged into it. Then sig is to be delivered, with the siginfo of the target's
	// own. It is told once. It is asked on a tracer's thread, also while another
	// method is at work, and must not wait for that.
	Merged(tid int, sig syscall.Signal) (siginfo []byte, merged bool)
	// Close frees what it has. Nothing stays armed.
	Close() error
}

// Look is how far the armed threads are. The lists are valid until the next call.
type Look struct {
	// Pending may run instructions in user mode: they are on a CPU, and have not
	// reported yet.
	Pending []int
	// Mute could not be sent a signal: they are to be interrupted (PTRACE_INTERRUPT).
	// Each is listed once an arming.
	Mute []int
}
