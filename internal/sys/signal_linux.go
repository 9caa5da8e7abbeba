//go:build linux && (amd64 || arm64)

package sys

import (
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sigaction is the kernel's struct sigaction on amd64 and arm64.
type sigaction struct {
	handler  uintptr
	flags    uint64
	restorer uintptr
	mask     uint64
}

const (
	saNoCldStop = 0x00000001
	saRestart   = 0x10000000

	sigIgn = 1 // a handler; SIG_DFL is 0
)

func rtSigaction(sig syscall.Signal, act, old *sigaction) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig),
		uintptr(unsafe.Pointer(act)), uintptr(unsafe.Pointer(old)), unsafe.Sizeof(old.mask), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// changeFlags changes the flags of the present action for sig and nothing
// else of it. Handlers are the process's: whoever installs one at the same
// time (os/signal) can win or lose against us; the last one stays.
func changeFlags(sig syscall.Signal, set, clear uint64) error {
	var a sigaction
	if err := rtSigaction(sig, nil, &a); err != nil {
		return err
	}
	flags := a.flags&^clear | set
	if flags == a.flags {
		return nil
	}
	a.flags = flags
	return rtSigaction(sig, &a, nil)
}

// QuietChildren adds SA_NOCLDSTOP to the action of SIGCHLD: Go's runtime
// installs a handler, each ptrace stop sends the signal, and running the
// handler costs half as much again as the stop. Exits are still signalled,
// and waits are woken as ever (kernel/signal.c, do_notify_parent_cldstop).
func QuietChildren() error { return changeFlags(unix.SIGCHLD, saNoCldStop, 0) }

// MakeInterrupting removes SA_RESTART from the action of sig, so that it makes
// a blocked waitid(2) return EINTR, and unblocks sig in the calling thread. A
// signal without a handler, which would not do that, or kill, is EINVAL.
func MakeInterrupting(sig syscall.Signal) error {
	var a sigaction
	if err := rtSigaction(sig, nil, &a); err != nil {
		return err
	}
	if a.handler <= sigIgn {
		return unix.EINVAL
	}
	if err := changeFlags(sig, 0, saRestart); err != nil {
		return err
	}
	var set unix.Sigset_t
	set.Val[(sig-1)/64] |= 1 << (uint(sig-1) % 64)
	return unix.PthreadSigmask(unix.SIG_UNBLOCK, &set, nil)
}

// Ignored reports whether sig is ignored. os/signal doesn't know of every signal
// that the program was started to ignore: only of SIGHUP and SIGINT
// (runtime/signal_unix.go, initsig). Those that Go's runtime catches from the
// start, SIGTERM among them, are not ignored any more.
func Ignored(sig syscall.Signal) bool {
	var a sigaction
	return rtSigaction(sig, nil, &a) == nil && a.handler == sigIgn
}

// Kill sends sig to the thread tid of this process (tgkill(2)); ESRCH says
// that the thread has gone. With signal 0 it only asks.
func Kill(tid int, sig syscall.Signal) error {
	return unix.Tgkill(unix.Getpid(), tid, sig)
}

// IsThread says whether tid is a thread of the process pid, an exited one that
// nobody has reaped included. It sends nothing: signal 0 is refused with ESRCH for
// the thread of another process, and not before that with EPERM (kernel/signal.c,
// do_send_specific).
func IsThread(pid, tid int) bool { return unix.Tgkill(pid, tid, 0) != unix.ESRCH }

// Gettid answers the id of the calling thread.
func Gettid() int { return unix.Gettid() }

// CPU is the one that the calling thread runs on (getcpu(2)).
func CPU() (int, error) {
	var cpu uint32
	if _, _, errno := unix.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&cpu)), 0, 0); errno != 0 {
		return 0, errno
	}
	return int(cpu), nil
}

// Urgent locks the calling goroutine to its OS thread and raises that one's
// priority, until done.
func Urgent() (done func()) {
	runtime.LockOSThread()
	restore := RaisePriority(Gettid())
	return func() {
		restore()
		runtime.UnlockOSThread()
	}
}

// RaisePriority gives the thread tid the best nice value that there is, if the
// caller may (setpriority(2): on Linux a nice value is a thread's own); restore
// takes that back. Who may not (CAP_SYS_NICE, RLIMIT_NICE) goes on as it is.
func RaisePriority(tid int) (restore func()) {
	before, err := unix.Getpriority(unix.PRIO_PROCESS, tid)
	if err == nil {
		err = unix.Setpriority(unix.PRIO_PROCESS, tid, -20)
	}
	if err != nil {
		return func() {}
	}
	// The system call answers 20 minus the value.
	return func() { _ = unix.Setpriority(unix.PRIO_PROCESS, tid, 20-before) }
}

// Nap sleeps for d, as exactly as the kernel's timers are (nanosleep(2), some
// 50 µs of slack), or until a signal comes.
func Nap(d time.Duration) {
	ts := unix.NsecToTimespec(int64(d))
	_ = unix.Nanosleep(&ts, nil)
}
