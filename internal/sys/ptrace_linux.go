//go:build linux && (amd64 || arm64)

package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	ptraceSeize     = 0x4206
	ptraceInterrupt = 0x4207
	ptraceListen    = 0x4208
)

// request makes one ptrace request with integer arguments. It goes through
// Syscall6, which lets the Go scheduler take the P away: PTRACE_SEIZE sleeps
// in the target's cred_guard_mutex while the target execs, every request may
// sleep a tick in wait_task_inactive, and with each P held inside one of them
// the whole program would stand still.
func request(req, tid int, addr, data uintptr) error {
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, uintptr(req), uintptr(tid), addr, data, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// Seize makes the calling thread the tracer of tid without stopping it
// (PTRACE_SEIZE, ptrace(2)). The options are part of the request: given later
// they would miss what happens in between. EPERM has many causes, ESRCH says
// that tid is gone.
func Seize(tid int, options int) error {
	return request(ptraceSeize, tid, 0, uintptr(options))
}

// Interrupt asks tid to stop (PTRACE_INTERRUPT). It does not wait for it.
func Interrupt(tid int) error { return request(ptraceInterrupt, tid, 0, 0) }

// Cont lets a stopped tracee run, delivering sig unless it is 0
// (PTRACE_CONT).
func Cont(tid int, sig syscall.Signal) error {
	return request(unix.PTRACE_CONT, tid, 0, uintptr(sig))
}

// Listen leaves a tracee that is in group-stop stopped, but reports when the
// stop ends (PTRACE_LISTEN).
func Listen(tid int) error { return request(ptraceListen, tid, 0, 0) }

// Detach lets a stopped tracee go, delivering sig unless it is 0
// (PTRACE_DETACH).
func Detach(tid int, sig syscall.Signal) error {
	return request(unix.PTRACE_DETACH, tid, 0, uintptr(sig))
}

// EventMessage reads the message of a PTRACE_EVENT stop (PTRACE_GETEVENTMSG).
func EventMessage(tid int) (int, error) {
	var msg uint
	err := request(unix.PTRACE_GETEVENTMSG, tid, 0, uintptr(unsafe.Pointer(&msg)))
	return int(msg), err
}

// GetSiginfo reads the siginfo of a tracee's stop (PTRACE_GETSIGINFO).
func GetSiginfo(tid int, si *Siginfo) error {
	return request(unix.PTRACE_GETSIGINFO, tid, 0, uintptr(unsafe.Pointer(si)))
}

// SetSiginfo changes the siginfo that the delivered signal will carry
// (PTRACE_SETSIGINFO).
func SetSiginfo(tid int, si *Siginfo) error {
	return request(unix.PTRACE_SETSIGINFO, tid, 0, uintptr(unsafe.Pointer(si)))
}

// Regs are the general registers of a thread of this architecture.
type Regs = unix.PtraceRegs

const ntPRStatus = 1

// GetRegs reads the general registers of a stopped tracee (PTRACE_GETREGSET,
// NT_PRSTATUS). A 32-bit tracee fills only the start of r.
func GetRegs(tid int, r *Regs) error {
	iov := unix.Iovec{Base: (*byte)(unsafe.Pointer(r)), Len: uint64(unsafe.Sizeof(*r))}
	return request(unix.PTRACE_GETREGSET, tid, ntPRStatus, uintptr(unsafe.Pointer(&iov)))
}

// SetRegs writes the general registers of a stopped tracee (PTRACE_SETREGSET).
func SetRegs(tid int, r *Regs) error {
	iov := unix.Iovec{Base: (*byte)(unsafe.Pointer(r)), Len: uint64(unsafe.Sizeof(*r))}
	return request(unix.PTRACE_SETREGSET, tid, ntPRStatus, uintptr(unsafe.Pointer(&iov)))
}

// GetFrame reads what a stopped tracee's registers say of the system call that
// it is leaving.
func GetFrame(tid int) (Frame, error) {
	var r Regs
	iov := unix.Iovec{Base: (*byte)(unsafe.Pointer(&r)), Len: uint64(unsafe.Sizeof(r))}
	if err := request(unix.PTRACE_GETREGSET, tid, ntPRStatus, uintptr(unsafe.Pointer(&iov))); err != nil {
		return Frame{Nr: -1}, err
	}
	if iov.Len < uint64(unsafe.Sizeof(r)) {
		// The regset of a 32-bit task is smaller (linux/regset.h).
		return Frame{Nr: -1, Compat: true}, nil
	}
	return frame(&r), nil
}
