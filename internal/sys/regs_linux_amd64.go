package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// userRax is the offset of rax in struct user (sys/user.h).
const userRax = 80

// userCS64 is the code segment of 64-bit user mode (__USER_CS); compat tasks
// have another.
const userCS64 = 0x33

// CanRestart says whether [Restart] can mend an interrupted call from its
// registers alone.
const CanRestart = true

// Result reads the result register of a stopped tracee, and nothing else
// (PTRACE_PEEKUSER): the one question that is asked at every stop.
func Result(tid int) (int64, error) {
	var v int64
	err := request(unix.PTRACE_PEEKUSR, tid, userRax, uintptr(unsafe.Pointer(&v)))
	return v, err
}

// SetResult writes the result register of a stopped tracee, and nothing else
// (PTRACE_POKEUSER): compilers rely on every other register over a system
// call.
func SetResult(tid int, v int64) error {
	return request(unix.PTRACE_POKEUSR, tid, userRax, uintptr(v))
}

// Restart makes the call that a stopped tracee is leaving with EINTR begin
// anew when the tracee is resumed, unless a handler runs first: then it
// returns EINTR as it would have. (arch/x86/kernel/signal.c,
// arch_do_signal_or_restart and handle_signal read rax only after the stop.)
func Restart(tid int) error { return SetResult(tid, -ErestartNoHand) }

func frame(r *Regs) Frame {
	f := Frame{
		Nr:     int(int64(r.Orig_rax)),
		Result: int64(r.Rax),
		Args:   [6]uint64{r.Rdi, r.Rsi, r.Rdx, r.R10, r.R8, r.R9},
		PC:     r.Rip,
		SP:     r.Rsp,
		Compat: r.Cs != userCS64,
	}
	if f.Nr < 0 {
		f.Nr = -1
	}
	return f
}

// CallRegs are the registers of a thread that is in system call nr, as far as these
// say.
func CallRegs(nr int, args [6]uint64, pc, sp uint64) Regs {
	return Regs{
		Orig_rax: uint64(nr), Rip: pc, Rsp: sp,
		Rdi: args[0], Rsi: args[1], Rdx: args[2], R10: args[3], R8: args[4], R9: args[5],
	}
}
