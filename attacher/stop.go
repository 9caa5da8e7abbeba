package attacher

import (
	"fmt"
	"syscall"

	"massattach/internal/sys"
)

// Kind is what happened to a tracee, in the terms of ptrace(2).
type Kind uint8

const (
	// StopUnknown is a report that this package has no name for; the tracee
	// is resumed.
	StopUnknown Kind = iota
	// StopSignal is a signal-delivery-stop.
	StopSignal
	// StopNotify is a signal-delivery-stop, too, of a signal that a BPF program of
	// ours has sent ([sys.Cookie]): it is never delivered.
	StopNotify
	// StopGroup is a group-stop: the process is being stopped by Signal.
	StopGroup
	// StopTrap is a PTRACE_EVENT_STOP that is no group-stop: an INTERRUPT of
	// ours, or a SIGCONT.
	StopTrap
	// StopClone, StopExec and StopExit are the PTRACE_EVENT stops.
	StopClone
	StopExec
	StopExit
	// Exited and Killed end a tracee; there is nothing to resume.
	Exited
	Killed
)

var kindNames = [...]string{"unknown", "signal-delivery-stop", "notify-stop", "group-stop", "event-stop",
	"clone", "exec", "exit-stop", "exited", "killed"}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Ended reports whether a tracee is no more after a report of kind k.
func (k Kind) Ended() bool { return k == Exited || k == Killed }

// Stop is one report of a tracee.
type Stop struct {
	TID  int
	Kind Kind
	// Signal is the one to be delivered (StopSignal), or not to be (StopNotify),
	// that stopped the process (StopGroup), or that killed it (Killed).
	Signal syscall.Signal
	// Code is the exit code (Exited).
	Code int
	// OldTID is what the thread's number was until now (StopExec).
	OldTID int
	// Born: it is the first that is heard of a thread that was born a tracee.
	Born bool
	// Again: the thread has reported this group-stop before (StopGroup).
	Again bool

	owner *tracer
}

// Owner is the id of the tracer's thread: the [Owner.ID] of whoever can ask the
// thread something.
func (s Stop) Owner() int { return s.owner.k.ID() }

// Siginfo reads the siginfo of a stop that has one (a signal-delivery-stop), and
// SetSiginfo writes it. They work only in [Arbiter.Decide], on the owner's thread.
func (s Stop) Siginfo(si *Siginfo) error    { return s.owner.k.Siginfo(s.TID, si) }
func (s Stop) SetSiginfo(si *Siginfo) error { return s.owner.k.SetSiginfo(s.TID, si) }

func (s Stop) String() string {
	switch s.Kind {
	case StopSignal, StopNotify, StopGroup, Killed:
		return fmt.Sprintf("thread %d: %s, signal %d", s.TID, s.Kind, int(s.Signal))
	case Exited:
		return fmt.Sprintf("thread %d: exited, code %d", s.TID, s.Code)
	}
	return fmt.Sprintf("thread %d: %s", s.TID, s.Kind)
}

// stopSignals are those whose default is to stop the process (signal(7)).
func isStopSignal(s syscall.Signal) bool {
	switch s {
	case syscall.SIGSTOP, syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU:
		return true
	}
	return false
}

// decode says what a wait status means. It is pure: all that it knows is in
// the status. A traced thread's status is an exit code in the kernel's form,
// signal | event<<8 (kernel/exit.c, wait_task_stopped).
func decode(ws WaitStatus) Stop {
	s := Stop{TID: ws.TID}
	switch ws.Code {
	case sys.CodeExited:
		s.Kind, s.Code = Exited, ws.Status&0xff
		return s
	case sys.CodeKilled, sys.CodeDumped:
		s.Kind, s.Signal = Killed, syscall.Signal(ws.Status&0x7f)
		return s
	case sys.CodeTrapped, sys.CodeStopped:
	default:
		return s
	}
	sig := syscall.Signal(ws.Status & 0x7f)
	switch ws.Status >> 8 {
	case 0:
		s.Kind, s.Signal = StopSignal, sig
	case sys.EventStop:
		if isStopSignal(sig) {
			s.Kind, s.Signal = StopGroup, sig
		} else {
			s.Kind = StopTrap
		}
	case sys.EventClone, sys.EventFork, sys.EventVfork:
		s.Kind = StopClone
	case sys.EventExec:
		s.Kind = StopExec
	case sys.EventExit:
		s.Kind = StopExit
	}
	return s
}
