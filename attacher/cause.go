package attacher

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// Cause says why a thread could not be seized.
type Cause string

// The causes of a refusal, as they stand in reports.
const (
	CauseAlreadyTraced Cause = "already-traced"
	CauseOtherUser     Cause = "other-user"
	CauseNoCapability  Cause = "no-capability"
	CauseYama          Cause = "yama"
	CauseUserNamespace Cause = "user-namespace"
	CauseSeccomp       Cause = "seccomp"
	CauseNotDumpable   Cause = "not-dumpable"
	CauseKernelThread  Cause = "kernel-thread"
	CauseSelf          Cause = "self"
	CauseUnknown       Cause = "unknown"
)

// Facts is what can be read about a thread that SEIZE refused, and about us:
// what the kernel's __ptrace_may_access and ptrace_attach go by
// (kernel/ptrace.c), and the security modules after them.
type Facts struct {
	TID          int
	State        byte // of the thread, as in stat; 0 when it could not be read
	KernelThread bool
	Self         bool // a thread of the calling process
	TracesUs     bool // its process traces the calling one

	TracerTID  int    // the thread that traces it, 0 for nobody
	TracerPID  int    // the process of that thread, 0 when unknown
	TracerComm string // its name

	UID, OurUID int
	SameUser    bool // all of its real, effective, saved uids and gids are our real ones
	Privileged  bool // we have CAP_SYS_PTRACE
	MoreCaps    bool // it has capabilities that we lack
	SameUserNS  bool // it lives in our user namespace
	Dumpable    bool
	Yama        int  // kernel.yama.ptrace_scope, -1 without Yama
	Seccomp     bool // a seccomp filter is on us
}

// explain names the cause of errno on a thread that is not gone. It is pure;
// the order is that of the kernel's own checks, so that what would still
// stand in the way comes last.
func explain(errno error, f Facts) (c Cause, detail, hint string) {
	switch {
	case f.Self:
		return CauseSelf, "it is a thread of this very process", "a process can't trace itself: run massattach as a process of its own"
	case f.TracesUs:
		return CauseUnknown, "it traces this very process", "two processes that trace each other stop for ever: leave it alone, or end its trace first"
	case f.KernelThread:
		return CauseKernelThread, "it is a kernel thread", "kernel threads can't be traced: leave it out"
	case f.TracerTID != 0:
		who := fmt.Sprintf("thread %d", f.TracerTID)
		if f.TracerPID != 0 {
			who = fmt.Sprintf("%d (%s)", f.TracerPID, f.TracerComm)
		}
		return CauseAlreadyTraced, "already traced by " + who, "a thread has one tracer at a time: end " + who + " first"
	case !errors.Is(errno, syscall.EPERM) && !errors.Is(errno, syscall.EACCES):
		return CauseUnknown, "", ""
	case !f.Privileged && !f.SameUserNS:
		return CauseUserNamespace, "it lives in another user namespace", "run massattach in that namespace (nsenter -U -t PID), or with CAP_SYS_PTRACE in the parent one"
	case !f.Privileged && !f.SameUser:
		return CauseOtherUser, fmt.Sprintf("it belongs to user %d, and you are user %d", f.UID, f.OurUID), "run it as that user or as root: sudo massattach …"
	case !f.Privileged && f.MoreCaps:
		return CauseNoCapability, "it has capabilities that you lack", "add CAP_SYS_PTRACE: sudo massattach …, or docker run --cap-add SYS_PTRACE"
	case !f.Privileged && !f.Dumpable:
		return CauseNotDumpable, "it is not dumpable (it changed its user, or asked by prctl PR_SET_DUMPABLE)", "run it as root: sudo massattach …"
	case f.Yama == 3:
		return CauseYama, "kernel.yama.ptrace_scope is 3: nobody may attach until the next boot", "boot with kernel.yama.ptrace_scope=0, 1 or 2"
	case f.Yama > 0 && !f.Privileged:
		return CauseYama, fmt.Sprintf("kernel.yama.ptrace_scope is %d", f.Yama), "sudo massattach …, or sudo sysctl kernel.yama.ptrace_scope=0"
	case !f.SameUserNS:
		return CauseUserNamespace, "it lives in another user namespace", "run massattach in that namespace or in a parent of it"
	case f.Seccomp:
		return CauseSeccomp, "a seccomp filter on this process refuses ptrace", "allow it: docker run --cap-add SYS_PTRACE, or a seccomp profile with ptrace"
	case !f.Privileged:
		return CauseNoCapability, "this process lacks CAP_SYS_PTRACE over it", "sudo massattach …"
	}
	return CauseUnknown, "", "see doctor's list of what can be in the way; a security module (SELinux, AppArmor) may have logged it: dmesg"
}

// Failure is a thread that could not be seized.
type Failure struct {
	TID    int
	Errno  syscall.Errno
	Cause  Cause
	Detail string // a clause for people, "already traced by 71 (strace)"
	Hint   string // what to try, "" when there is nothing
}

// DeniedError says that no thread of a process could be attached. It wraps
// the kernel's errno, so that errors.Is(err, fs.ErrPermission) holds where it
// was EPERM or EACCES.
type DeniedError struct {
	PID     int
	Failure Failure // the first one
	Threads int     // how many were refused
}

func (e *DeniedError) Error() string {
	s := fmt.Sprintf("attach %d: seize thread %d: %v", e.PID, e.Failure.TID, e.Failure.Errno)
	if e.Failure.Detail != "" {
		s += ": " + e.Failure.Detail
	}
	return s
}

func (e *DeniedError) Unwrap() error { return e.Failure.Errno }

// ErrGone says that there is no such process, or that it ended before its
// first thread was seized.
var ErrGone = fmt.Errorf("no such process: %w", fs.ErrNotExist)
