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

// Facts is what can be read about a thread that SEIZE refused, or that is to be
// seized, and about us: what the kernel's ptrace_attach and __ptrace_may_access
// go by (kernel/ptrace.c), and the security modules after them.
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
	Privileged  bool // we have CAP_SYS_PTRACE over it, that is, in its user namespace
	MoreCaps    bool // it has capabilities that we lack
	SameUserNS  bool // it lives in our user namespace
	Dumpable    bool
	Descendant  bool // it descends from us; looked up only where Yama asks
	Yama        int  // kernel.yama.ptrace_scope, -1 without Yama

	Seccomp bool // a seccomp filter is on us
	// Filtered and Access are the kernel's own word, for who has asked it: see
	// [Filtered] and [AskAccess].
	Filtered bool // the filter refuses ptrace itself
	Access   Access
}

// ended says that the thread has.
func (f Facts) ended() bool { return f.State == 'Z' || f.State == 'X' }

// Access is what the kernel says about the right to attach to a thread
// (__ptrace_may_access with PTRACE_MODE_ATTACH_REALCREDS): all that depends on
// users, capabilities, namespaces and security modules, and nothing that
// depends on the thread, its tracer among them.
type Access uint8

const (
	AccessUnknown Access = iota // nobody has asked, or there was no answer
	AccessGranted
	AccessDenied
)

// nobody is a number that no thread has: a SEIZE of it fails with ESRCH, if it
// comes as far as the kernel's search for the thread.
const nobody = -1

// refusesNobody says that a SEIZE of nobody did not come that far.
func refusesNobody(err error) bool { return err != nil && !errors.Is(err, syscall.ESRCH) }

// Again stands in a [Obstacle.Command] for the command that was refused.
const Again = "massattach …"

// Obstacle is one thing that keeps a SEIZE from a thread.
type Obstacle struct {
	Cause   Cause
	Detail  string // a clause for people, "already traced by 71 (strace)"
	Advice  string // what to try, in words
	Command string // the same to type, "" when there is no such command; see [Again]
}

// Hint is the advice and the command.
func (o Obstacle) Hint() string {
	switch {
	case o.Command == "":
		return o.Advice
	case o.Advice == "":
		return o.Command
	}
	return o.Advice + ": " + o.Command
}

// Obstacles foresees a SEIZE: what would keep it from the thread that f is
// about, in the order of the kernel's own checks; nil when nothing does. The
// first is what a refusal is explained by, the others would still stand in the
// way. It is pure.
//
// A thread that has ended is refused as well, which is no obstacle: nobody
// wants to attach to it. Without the kernel's word (Access) it is as good as
// the facts are: what only a security module knows is not among them.
func (f Facts) Obstacles() []Obstacle {
	all := f.barred()
	switch f.Access {
	case AccessGranted:
	case AccessDenied:
		denied := f.denied()
		if denied == nil {
			denied = []Obstacle{f.guess()}
		}
		all = append(all, denied...)
	default:
		all = append(all, f.denied()...)
	}
	return all
}

// Refused explains why the kernel denies a look at the thread f is about, for which
// it takes the right to attach and no more: at its memory, or at the system call
// that it is in. Who traces it has nothing to do with that. It is pure.
func (f Facts) Refused() Obstacle {
	if all := f.denied(); all != nil {
		return all[0]
	}
	return f.guess()
}

// explain names the cause of errno on a thread that is not gone. It is pure.
func explain(errno error, f Facts) Obstacle {
	if all := f.barred(); all != nil {
		return all[0]
	}
	if !errors.Is(errno, syscall.EPERM) && !errors.Is(errno, syscall.EACCES) {
		return Obstacle{Cause: CauseUnknown}
	}
	if all := f.denied(); all != nil {
		return all[0]
	}
	return f.guess()
}

// barred is what keeps everybody from the thread, whatever he may do, and what
// keeps us from ptrace as such. The kernel looks for a tracer last; who sees one
// will want to know of it first.
func (f Facts) barred() (all []Obstacle) {
	add := func(c Cause, detail, advice, command string) {
		all = append(all, Obstacle{c, detail, advice, command})
	}
	if f.Self {
		add(CauseSelf, "it is a thread of this very process", "a process can't trace itself: run massattach as a process of its own", "")
	}
	if f.TracesUs {
		add(CauseUnknown, "it traces this very process", "two processes that trace each other stop for ever: leave it alone, or end its trace first", "")
	}
	if f.Filtered {
		add(CauseSeccomp, "a seccomp filter on this process refuses ptrace", "allow it by a seccomp profile with ptrace, or", "docker run --cap-add SYS_PTRACE …")
	}
	if f.KernelThread {
		add(CauseKernelThread, "it is a kernel thread", "kernel threads can't be traced: leave it out", "")
	}
	switch {
	case f.TracesUs:
	case f.TracerTID != 0:
		who, end := fmt.Sprintf("thread %d", f.TracerTID), f.TracerTID
		if f.TracerPID != 0 {
			who, end = fmt.Sprintf("%d (%s)", f.TracerPID, f.TracerComm), f.TracerPID
		}
		add(CauseAlreadyTraced, "already traced by "+who, "a thread has one tracer at a time: end "+who+" first", fmt.Sprintf("kill %d", end))
	case f.State == 't':
		// Its tracer's number is 0 to who is outside of that one's namespace.
		add(CauseAlreadyTraced, "already traced by a process of another PID namespace", "a thread has one tracer at a time: end that one first", "")
	}
	return all
}

// denied is why __ptrace_may_access denies us access, as far as the facts tell.
func (f Facts) denied() (all []Obstacle) {
	if !f.Privileged {
		all = f.unprivileged()
	}
	if f.Yama >= 3 {
		// No capability helps.
		all = append(all, Obstacle{
			CauseYama, fmt.Sprintf("kernel.yama.ptrace_scope is %d: nobody may attach until the next boot", f.Yama),
			"set kernel.yama.ptrace_scope to 0, 1 or 2 in /etc/sysctl.d, and boot", "",
		})
	}
	return all
}

// unprivileged is what is in the way of who lacks CAP_SYS_PTRACE over the thread.
func (f Facts) unprivileged() (all []Obstacle) {
	// Root without the capability is in a container, where sudo is no help.
	advice, command := "run it as root", "sudo "+Again
	if f.OurUID == 0 {
		advice, command = "add CAP_SYS_PTRACE", "docker run --cap-add SYS_PTRACE …"
	}
	add := func(c Cause, detail, advice string) {
		all = append(all, Obstacle{c, detail, advice, command})
	}
	if !f.SameUserNS {
		all = append(all, Obstacle{
			CauseUserNamespace, "it lives in another user namespace, where this process has no CAP_SYS_PTRACE",
			"run it as root outside of containers", "sudo " + Again,
		})
	}
	switch {
	case f.SameUser:
	case f.OurUID == 0:
		add(CauseNoCapability, fmt.Sprintf("it belongs to user %d, and you are root without CAP_SYS_PTRACE", f.UID), advice)
	default:
		add(CauseOtherUser, fmt.Sprintf("it belongs to user %d, and you are user %d", f.UID, f.OurUID), "run it as that user or as root")
	}
	if f.MoreCaps {
		add(CauseNoCapability, "it has capabilities that you lack", advice)
	}
	if !f.Dumpable {
		add(CauseNotDumpable, "it is not dumpable (it changed its user, or asked by prctl PR_SET_DUMPABLE)", advice)
	}
	switch {
	case f.Yama == 1 && !f.Descendant:
		add(CauseYama, "kernel.yama.ptrace_scope is 1: it takes CAP_SYS_PTRACE to attach to what is no child of one's own",
			advice+", or loosen Yama with sysctl kernel.yama.ptrace_scope=0")
	case f.Yama == 2:
		add(CauseYama, "kernel.yama.ptrace_scope is 2: it takes CAP_SYS_PTRACE to attach",
			advice+", or loosen Yama with sysctl kernel.yama.ptrace_scope=0")
	}
	return all
}

// guess is what is left when the facts tell nothing.
func (f Facts) guess() Obstacle {
	if !f.Privileged {
		return Obstacle{CauseNoCapability, "this process lacks CAP_SYS_PTRACE over it", "run it as root", "sudo " + Again}
	}
	return Obstacle{CauseUnknown, "the kernel refuses it, and nothing that can be read says why", "a security module (SELinux, AppArmor) may have logged it", "sudo dmesg | tail"}
}

// Failure is a thread that could not be seized.
type Failure struct {
	TID    int
	Errno  syscall.Errno
	Cause  Cause
	Detail string // a clause for people, "already traced by 71 (strace)"
	Hint   string // what to try, "" when there is nothing
}

func failure(tid int, errno syscall.Errno, o Obstacle) Failure {
	return Failure{TID: tid, Errno: errno, Cause: o.Cause, Detail: o.Detail, Hint: o.Hint()}
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

// ErrForeignProc says that the proc file system has the numbers of another PID
// namespace than the caller's (a host's, mounted in a container), which are
// those of others where ptrace takes them.
var ErrForeignProc = errors.New("proc file system of another PID namespace")
