package bpf

import (
	"math/bits"
	"time"
)

// Task is what the kernel knows of a thread, at one moment.
type Task struct {
	TID   int
	Comm  string
	State byte // as in /proc/TID/stat: R, S, D, T, t, X, Z, P, I
	OnCPU bool
	// Queued: it is in a run queue, whatever its state is.
	Queued bool
	// Call is the number of the system call that the thread is in, -1 in none;
	// then Args mean nothing. PC and SP are those of user mode. Of a thread
	// that is on a CPU all of these are of its last way into the kernel.
	Call   int
	Args   [6]uint64
	PC, SP uint64
	// Blocked and Pending are sets of signals, signal 1 in bit 0; Pending those
	// of the thread alone.
	Blocked, Pending uint64
	Start            time.Duration // since the boot
	// Ran, Waited and Runs are how long and how often it has been on a CPU,
	// and how long it waited for one, as in /proc/TID/schedstat. Runs was read
	// first: a thread that is neither OnCPU nor Queued in this record and has the
	// same Runs in a later one has not run in between, and all that is here is
	// of one moment.
	Ran, Waited time.Duration
	Runs        uint64
	// Voluntary and Involuntary are how often it has left the CPU.
	Voluntary, Involuntary uint64
}

// Off says whether the thread was off the CPU, and not about to come back.
func (t Task) Off() bool { return !t.OnCPU && !t.Queued }

// Of task_struct.__state and exit_state (include/linux/sched.h, Linux 6.1).
const (
	taskReport     = 0x7f // TASK_REPORT
	taskIdle       = 0x402
	taskRTLockWait = 0x1000
)

// stateLetter is task_state_to_char (include/linux/sched.h).
func stateLetter(state, exit uint32) byte {
	index := bits.Len32((state | exit) & taskReport)
	switch {
	case state&taskIdle == taskIdle:
		return 'I'
	case state&taskRTLockWait != 0:
		return 'D'
	}
	return "RSDTtXZP"[index]
}
