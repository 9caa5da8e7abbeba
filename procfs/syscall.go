package procfs

import "bytes"

// Syscall is task/TID/syscall: what a thread does in the kernel. proc_pid_syscall(5),
// lib/syscall.c task_current_syscall.
//
// It is one of three things:
//
//   - Running: the thread is on a CPU or waits for one. The kernel looks no
//     further, so it may be in a system call or not. The rest is 0, Nr -1.
//   - Nr -1: it is blocked, but in no system call: a page fault, or a stop on the
//     way back to user mode. SP and PC are where it left user mode. Both are 0
//     for one that has ended.
//   - Nr 0 and more: it is blocked in that system call.
//
// When the last two are read the thread was off the CPU at that moment (the
// kernel waits for that, wait_task_inactive).
type Syscall struct {
	Running bool
	Nr      int
	Args    [6]uint64
	SP, PC  uint64
}

// Name is the name of the call in the native ABI of this build, see
// [SyscallName]; "" if the thread is in none or Running.
//
// The number does not say which ABI it is of. For a 32-bit program on a 64-bit
// kernel this is the wrong name; [Process.Threads] looks what the program is.
func (s Syscall) Name() string {
	if s.Running || s.Nr < 0 {
		return ""
	}
	return SyscallName(s.Nr)
}

func parseSyscall(b []byte) (Syscall, error) {
	bad := Syscall{Nr: -1}
	line, _, whole := bytes.Cut(b, []byte("\n"))
	if !whole {
		return bad, ErrFormat // the last number may be cut off
	}
	if string(line) == "running" {
		return Syscall{Running: true, Nr: -1}, nil
	}
	var s Syscall
	field, rest, _ := bytes.Cut(line, []byte(" "))
	nr, ok := parseInt(field)
	if !ok {
		return bad, ErrFormat
	}
	s.Nr = max(nr, -1)
	hex := func(dst *uint64) {
		field, rest, _ = bytes.Cut(rest, []byte(" "))
		n, isHex := parse0x(field)
		ok = ok && isHex
		*dst = n
	}
	if s.Nr >= 0 {
		for i := range s.Args {
			hex(&s.Args[i])
		}
	}
	hex(&s.SP)
	hex(&s.PC)
	if !ok || len(rest) > 0 {
		return bad, ErrFormat
	}
	return s, nil
}
