//go:build linux && (amd64 || arm64)

package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Look and Reap wait for the calling thread's own tracees only
// (__WNOTHREAD): without it each waiter is woken for the stops of its
// siblings' tracees and may take them (kernel/exit.c, child_wait_callback).
const waitOwn = unix.WEXITED | unix.WSTOPPED | unix.WALL | unix.WNOTHREAD

// Look reports a stop or an exit of one of the calling thread's tracees and
// leaves it there (waitid(2) with WNOWAIT): tid, or any when tid is 0. With
// block it sleeps until there is one or a signal comes (EINTR); otherwise a
// status with TID 0 says that there is none. ECHILD: the calling thread has
// no tracee (or tid is none of its).
//
// A wait for any of n tracees costs about 25 ns * n, one for a tid is O(1)
// since Linux 5.13 ("do_wait: make PIDTYPE_PID case O(1) instead of O(n)").
func Look(tid int, block bool) (WaitStatus, error) {
	return waitid(tid, waitOwn|unix.WNOWAIT, block)
}

// Reap is [Look] that takes the report away: the exit of a tracee ends it, a
// stop isn't reported again. It never sleeps.
func Reap(tid int) (WaitStatus, error) {
	return waitid(tid, waitOwn, false)
}

// ReapStop is [Reap] without the exits.
func ReapStop(tid int) (WaitStatus, error) {
	return waitid(tid, waitOwn&^unix.WEXITED, false)
}

// ReapExit takes the report of the exit of tid, a tracee of any thread of the
// calling process, and never sleeps: a status with TID 0 says that it has not
// exited. ECHILD: no thread of this process traces it.
//
// It looks first. A waitid sees the stops of tracees whatever it asks for
// (kernel/exit.c, wait_task_stopped: "traditionally we see ptrace'd stopped
// tasks regardless of options"), and a stop that is taken away here would never
// come to its tracer's notice.
func ReapExit(tid int) (WaitStatus, error) {
	ws, err := waitid(tid, unix.WEXITED|unix.WALL|unix.WNOWAIT, false)
	if err != nil || ws.TID == 0 || ws.Code == CodeTrapped || ws.Code == CodeStopped {
		return WaitStatus{}, err
	}
	return waitid(tid, unix.WEXITED|unix.WALL, false)
}

// HasChildren reports whether the calling thread is the parent or the tracer
// of anybody: an exited child of it would be reported at every look for ever.
func HasChildren() bool {
	_, err := waitid(0, waitOwn|unix.WCONTINUED|unix.WNOWAIT, false)
	return err != unix.ECHILD
}

func waitid(tid int, flags uintptr, block bool) (WaitStatus, error) {
	// The layout of siginfo_t for SIGCHLD on 64-bit architectures.
	var si struct {
		signo, errno, code, _ int32
		pid, uid, status      int32
		_                     [100]byte
	}
	idtype := uintptr(unix.P_PID)
	if tid == 0 {
		idtype = unix.P_ALL
	}
	var errno unix.Errno
	if block {
		_, _, errno = unix.Syscall6(unix.SYS_WAITID, idtype, uintptr(tid), uintptr(unsafe.Pointer(&si)), flags, 0, 0)
	} else {
		_, _, errno = unix.RawSyscall6(unix.SYS_WAITID, idtype, uintptr(tid), uintptr(unsafe.Pointer(&si)), flags|unix.WNOHANG, 0, 0)
	}
	if errno != 0 {
		return WaitStatus{}, errno
	}
	return WaitStatus{TID: int(si.pid), Code: int(si.code), Status: int(si.status)}, nil
}
