// Package sys is where massattach meets Linux below golang.org/x/sys: every
// use of unsafe, every raw system call and every file that differs between
// architectures is here, and nothing else is.
//
// The functions are thin: they make one system call, retry nothing, and
// answer the kernel's errno (a [syscall.Errno]) as it is. Only the package
// attacher calls the ptrace requests, from its one file kernel_linux.go; a
// test walks the imports.
//
// On anything but linux/amd64 and linux/arm64 the package builds and each
// function answers [errors.ErrUnsupported].
package sys

// Options of PTRACE_SEIZE and events of ptrace stops, from
// include/uapi/linux/ptrace.h.
const (
	OptionTraceClone = 1 << EventClone
	OptionTraceExec  = 1 << EventExec
	OptionTraceExit  = 1 << EventExit

	EventFork  = 1
	EventVfork = 2
	EventClone = 3
	EventExec  = 4
	EventExit  = 6
	EventStop  = 128
)

// Codes of a child's siginfo, from include/uapi/asm-generic/siginfo.h.
const (
	CodeExited  = 1 // CLD_EXITED
	CodeKilled  = 2 // CLD_KILLED
	CodeDumped  = 3 // CLD_DUMPED
	CodeTrapped = 4 // CLD_TRAPPED
	CodeStopped = 5 // CLD_STOPPED
)

// Results that the kernel keeps to itself: at a ptrace stop they stand in the
// result register, the program never sees them (include/linux/errno.h).
const (
	ErestartNoHand = 514 // restart, unless a handler runs
)

// WaitStatus is what waitid(2) says of one thread: the fields si_pid, si_code
// and si_status of its siginfo. TID 0 says that nobody had anything to report.
type WaitStatus struct {
	TID    int
	Code   int
	Status int
}

// Frame is what a ptrace stop shows of the system call that a thread is
// leaving, in the terms that amd64 and arm64 share.
type Frame struct {
	// Nr is the number of the call, -1 when the thread is not leaving one
	// that may still be restarted (it was in user mode, or came through
	// rt_sigreturn).
	Nr int
	// Result is the signed value of the result register.
	Result int64
	Args   [6]uint64
	PC, SP uint64
	// Compat says that the thread runs a 32-bit ABI: its call numbers are
	// not those of this package's table.
	Compat bool
}

// SiginfoSize is the size of the kernel's siginfo_t, SI_MAX_SIZE.
const SiginfoSize = 128

// Siginfo is a siginfo_t as the kernel lays it out.
type Siginfo [SiginfoSize]byte
