package attacher

import (
	"errors"
	"syscall"
	"time"

	"massattach/internal/bpf"
	"massattach/internal/sys"
)

// Kernel is what the package asks of Linux as a tracer. [Linux] is the real
// one; package attachertest has a fake that tests and simulations drive.
type Kernel interface {
	// Tracer locks the calling goroutine to its OS thread, for ever, and
	// binds that as a tracer. ErrUnfit: this thread can't be one, another can;
	// it is locked all the same, so that no other goroutine comes upon it
	// while it is.
	Tracer() (Tracer, error)
	// ReapExit takes the report of the exit of tid, which may be a tracee of
	// any tracer of this process, on any thread: the one request that is not
	// its tracer's, for a tracer that is inside a SEIZE and can't come. It
	// never sleeps. TID 0: it has not exited. ECHILD: it is nobody's tracee.
	ReapExit(tid int) (WaitStatus, error)
	// Births begins to hear of the births of threads of the process pid: of
	// all that happen after it has returned. An error says why that can't be
	// done here. It may take 0.1 s.
	Births(pid int) (Births, error)
	// Urgent locks the calling goroutine to its OS thread and gives that a
	// high priority, if it may; done takes both back.
	Urgent() (done func())
	// Nap sleeps for d, also when that is less than Go's timers can do: when
	// nobody else runs they are a millisecond.
	Nap(d time.Duration)
}

// ErrUnfit is answered by [Kernel.Tracer] on a thread that must not become a
// tracer: the process's main thread, which Go parks instead of ending, so that
// it would never let its tracees go; and a thread that has children of its
// own, whose exits would be reported to the tracer for ever.
var ErrUnfit = errors.New("thread is unfit to be a tracer")

// Tracer is one tracer thread. Its methods are called on that thread alone,
// unless they say otherwise, and tid is one of its tracees. Errors are the
// errnos of ptrace(2) and waitid(2): ESRCH for a thread that is gone, belongs
// to another tracer, or is not stopped when it must be.
type Tracer interface {
	// ID is the id of the tracer's thread: the TracerPid of its tracees.
	ID() int

	// Seize makes tid a tracee without stopping it (PTRACE_SEIZE). It may
	// sleep for as long as the target execs.
	Seize(tid int, options int) error
	// IsThread says whether tid, a tracee, is a thread of the process pid.
	IsThread(pid, tid int) bool
	// Interrupt asks a tracee to stop (PTRACE_INTERRUPT).
	Interrupt(tid int) error
	// Cont resumes a stopped tracee and delivers sig unless it is 0.
	Cont(tid int, sig syscall.Signal) error
	// Listen leaves a tracee in group-stop until the stop ends.
	Listen(tid int) error
	// Detach lets a stopped tracee go and delivers sig unless it is 0.
	Detach(tid int, sig syscall.Signal) error

	// Look answers a stop or an exit of tid, or of any tracee when tid is 0,
	// and leaves it there (waitid with WNOWAIT). With block it sleeps until
	// there is one, or until Ring: EINTR. Otherwise TID 0 means none.
	// ECHILD: the tracer has no tracees, or tid is none of them.
	Look(tid int, block bool) (WaitStatus, error)
	// Reap is a Look that takes the report away and never sleeps.
	Reap(tid int) (WaitStatus, error)
	// ReapStop is a Reap of a stop: the exit of a thread that has been killed
	// out of it stays. ECHILD, too: it has exited.
	ReapStop(tid int) (WaitStatus, error)

	// EventMessage reads the message of a PTRACE_EVENT stop.
	EventMessage(tid int) (int, error)
	// Siginfo and SetSiginfo read and write the siginfo of a stop.
	Siginfo(tid int, si *Siginfo) error
	SetSiginfo(tid int, si *Siginfo) error
	// Regs and SetRegs read and write the registers of a stopped tracee.
	Regs(tid int, r *Regs) error
	SetRegs(tid int, r *Regs) error

	// Result reads the result register of a stopped tracee and SetResult
	// writes it, and no other.
	Result(tid int) (int64, error)
	SetResult(tid int, v int64) error
	// Frame reads what the registers say of the call that a tracee leaves.
	Frame(tid int) (Frame, error)
	// Restart lets the call that a stopped tracee leaves with EINTR begin
	// anew, unless a handler runs first.
	Restart(tid int) error
	// ReadMemory reads the target's memory at addr.
	ReadMemory(tid int, addr uint64, buf []byte) error
	// WriteMemory writes the target's memory at addr, read-only pages, too.
	WriteMemory(tid int, addr uint64, buf []byte) error
	// SocketTimeout reads SO_RCVTIMEO, or SO_SNDTIMEO with send, of a socket
	// of the process pid; 0 is none.
	SocketTimeout(pid, tid, fd int, send bool) (time.Duration, error)

	// Ring makes a Look that sleeps answer EINTR. One that is about to sleep
	// may miss it: ring again until the tracer has heard. Any thread may
	// call it. ESRCH: the tracer thread has ended.
	Ring() error
	// Hurry raises the priority of the tracer's thread, if that is allowed.
	// Any thread may call it.
	Hurry()
	// Ended says that the tracer thread is gone and has let its tracees go.
	// Any thread may call it.
	Ended() bool
	// Exit is the tracer's last call before its thread ends.
	Exit()
}

// Births is a log of the births of a process's threads, which the kernel
// writes and one goroutine reads by Hear and Wait. The other methods are for
// any.
type Births interface {
	// Hear takes out of the log who was born age ago or earlier. The slice in
	// h is used again.
	Hear(age time.Duration, h *Heard)
	// Wait sleeps until there is something to hear, if everything was heard;
	// it may wake for nothing. After Close it answers [os.ErrClosed].
	Wait() error
	// Pending says whether tid is in the log, alive, and not taken out yet.
	Pending(tid int) bool
	// Alive is how many of them there are.
	Alive() int
	Close() error
}

// The log's entries, and what a look at it finds, as package bpf has them.
type (
	Birth = bpf.Birth
	Heard = bpf.Heard
)

// The kernel's structures, as package sys has them.
type (
	WaitStatus = sys.WaitStatus
	Siginfo    = sys.Siginfo
	Regs       = sys.Regs
	Frame      = sys.Frame
)
