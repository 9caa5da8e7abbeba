package threadset

import "strconv"

// An Event is what moves a thread from phase to phase: something that its
// owner did to it or saw of it. The zero Event is none and moves nobody.
type Event uint8

const (
	// Seized: the SEIZE succeeded, or the thread was born seized.
	Seized Event = iota + 1
	// Missing: the SEIZE answered ESRCH. No error: the thread is gone.
	Missing
	// LeaderZombie: the SEIZE answered EPERM because the leader is a zombie
	// with live threads. A leader that exits after it was seized isn't told
	// by this event: it still owes its tracer an exit status, which comes
	// after that of the last thread, and stays where it is until then.
	LeaderZombie
	// Refused: the SEIZE failed for any other reason.
	Refused

	// Interrupted: the owner sent PTRACE_INTERRUPT, or armed the thread in
	// notify style. Again while one is pending changes nothing, the kernel
	// merges them. Impossible for a held thread: its INTERRUPT would leave
	// a second stop behind that nobody awaits.
	Interrupted
	// Stopped: the thread reported a stop, it was reaped, and it is kept. A
	// running thread can be kept, too, at an event that somebody waits for;
	// a held one, when it was killed and reports its exit stop.
	Stopped
	// Passed: the thread reported a stop that was let go at once (CONT): a
	// signal forwarded, a birth, a SIGCONT that stopped nothing. A thread
	// that is stopping stays so: of the two stops after an INTERRUPT either
	// can be its own, and one that wasn't is no answer to it. Likewise a
	// parked one: births and execs go on inside the kernel.
	Passed
	// Resumed: the owner let a held thread go on (CONT), or the stop that a
	// stopping one was asked for is wanted no longer: disarmed, or the late
	// stop of a withdrawn INTERRUPT was let go.
	Resumed
	// Listened: the thread reported a group-stop, or was held in one, and
	// was put to LISTEN. It listens again when another stop signal or an
	// INTERRUPT's merged stop made it report anew.
	Listened
	// Continued: a SIGCONT ended the group-stop of a listening thread, and
	// its owner let it run.
	Continued
	// InKernel: a query confirmed that the armed thread is in the kernel and
	// reports before it returns to user mode.
	InKernel
	// Unparked: disarmed without ever having reported.
	Unparked
	// Execed: the thread came back from an exec. Its phase stays; [Set.Rename]
	// gives it the leader's tid.
	Execed

	// Ended: the tracer reaped the thread's exit.
	Ended
	// LetGo: the tracee turned out to be a stranger, and was detached. The
	// detach that ends a session is no event: its threads stay attached in
	// the [Totals], and the Set goes with the session.
	LetGo

	endOfEvents
)

var eventNames = [endOfEvents]string{
	Seized:       "seized",
	Missing:      "missing",
	LeaderZombie: "leader-zombie",
	Refused:      "refused",
	Interrupted:  "interrupted",
	Stopped:      "stopped",
	Passed:       "passed",
	Resumed:      "resumed",
	Listened:     "listened",
	Continued:    "continued",
	InKernel:     "in-kernel",
	Unparked:     "unparked",
	Execed:       "execed",
	Ended:        "ended",
	LetGo:        "let-go",
}

// String is the event in one lower-case word.
func (e Event) String() string {
	if e > 0 && e < endOfEvents {
		return eventNames[e]
	}
	return "event(" + strconv.Itoa(int(e)) + ")"
}
