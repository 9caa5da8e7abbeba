//go:build linux && (amd64 || arm64)

package attacher

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"

	"massattach/internal/bpf"
	"massattach/internal/sys"
)

// bellSignal wakes a tracer that sleeps in waitid. Neither libc nor Go's runtime
// uses it, and one that nobody asked for does nothing, because Go's runtime has
// a handler for it. No real-time signal: where the user's RLIMIT_SIGPENDING is
// used up, as by the blocked signals of a target, tgkill(2) answers EAGAIN to
// those, while any other arrives without its siginfo (kernel/signal.c,
// __send_signal_locked).
const bellSignal = syscall.SIGVTALRM

// Linux is the kernel that the program runs on.
//
// Its first tracer changes two signal actions of the process, in place: the
// handler that Go's runtime has for SIGVTALRM loses SA_RESTART, and
// unless keepChildStops that for SIGCHLD gets SA_NOCLDSTOP.
var Linux Kernel = linux{}

type linux struct{}

func (linux) Tracer() (Tracer, error) {
	runtime.LockOSThread()
	tid := sys.Gettid()
	if tid == os.Getpid() || sys.HasChildren() {
		return nil, ErrUnfit
	}
	if err := sys.MakeInterrupting(bellSignal); err != nil {
		return nil, fmt.Errorf("have %v wake this thread (no handler: signal.Ignore?): %w", bellSignal, err)
	}
	return linuxTracer(tid), nil
}

func (linux) ReapExit(tid int) (WaitStatus, error) { return sys.ReapExit(tid) }

func (linux) Births(pid int) (Births, error) {
	b, err := bpf.OpenBirths(pid)
	if err != nil {
		return nil, err
	}
	return b, nil
}

func (linux) Urgent() (done func()) { return sys.Urgent() }

func (linux) Nap(d time.Duration) { sys.Nap(d) }

// Filtered says whether a seccomp filter keeps this process from ptrace, by a
// SEIZE of nobody. A filter may do worse than refuse: this can be the end of the
// process (seccomp(2), SECCOMP_RET_KILL_PROCESS), as it would be of an attach.
func Filtered() bool { return refusesNobody(sys.Seize(nobody, 0)) }

// linuxTracer is the id of its thread. This file alone makes ptrace requests.
type linuxTracer int

func (t linuxTracer) ID() int                                    { return int(t) }
func (linuxTracer) Seize(tid int, options int) error             { return sys.Seize(tid, options) }
func (linuxTracer) IsThread(pid, tid int) bool                   { return sys.IsThread(pid, tid) }
func (linuxTracer) Interrupt(tid int) error                      { return sys.Interrupt(tid) }
func (linuxTracer) Cont(tid int, sig syscall.Signal) error       { return sys.Cont(tid, sig) }
func (linuxTracer) Listen(tid int) error                         { return sys.Listen(tid) }
func (linuxTracer) Detach(tid int, sig syscall.Signal) error     { return sys.Detach(tid, sig) }
func (linuxTracer) Look(tid int, block bool) (WaitStatus, error) { return sys.Look(tid, block) }
func (linuxTracer) Reap(tid int) (WaitStatus, error)             { return sys.Reap(tid) }
func (linuxTracer) ReapStop(tid int) (WaitStatus, error)         { return sys.ReapStop(tid) }
func (linuxTracer) EventMessage(tid int) (int, error)            { return sys.EventMessage(tid) }
func (linuxTracer) Siginfo(tid int, si *Siginfo) error           { return sys.GetSiginfo(tid, si) }
func (linuxTracer) SetSiginfo(tid int, si *Siginfo) error        { return sys.SetSiginfo(tid, si) }
func (linuxTracer) Regs(tid int, r *Regs) error                  { return sys.GetRegs(tid, r) }
func (linuxTracer) SetRegs(tid int, r *Regs) error               { return sys.SetRegs(tid, r) }
func (linuxTracer) Result(tid int) (int64, error)                { return sys.Result(tid) }
func (linuxTracer) SetResult(tid int, v int64) error             { return sys.SetResult(tid, v) }
func (linuxTracer) Frame(tid int) (Frame, error)                 { return sys.GetFrame(tid) }
func (linuxTracer) Restart(tid int) error                        { return sys.Restart(tid) }
func (linuxTracer) ReadMemory(tid int, addr uint64, b []byte) error {
	return sys.ReadMemory(tid, addr, b)
}
func (linuxTracer) WriteMemory(tid int, addr uint64, b []byte) error {
	return sys.WriteMemory(tid, addr, b)
}

func (linuxTracer) SocketTimeout(pid, tid, fd int, send bool) (time.Duration, error) {
	return sys.SocketTimeout(pid, tid, fd, send)
}

// Ring sends the bell's signal to the tracer's thread.
func (t linuxTracer) Ring() error { return sys.Kill(int(t), bellSignal) }

// Hurry raises the thread's nice value, and no more: a real-time policy would
// starve the tracees. Where it may not (CAP_SYS_NICE, RLIMIT_NICE) nothing is
// lost but time.
func (t linuxTracer) Hurry() { sys.RaisePriority(int(t)) }

// Ended asks for the thread by its id. The id goes when the kernel releases
// the thread (kernel/exit.c, release_task), and that is after exit_ptrace has
// let go of its tracees.
func (t linuxTracer) Ended() bool { return sys.Kill(int(t), 0) == syscall.ESRCH }

// Exit does nothing: the thread ends when its goroutine returns.
func (linuxTracer) Exit() {}
