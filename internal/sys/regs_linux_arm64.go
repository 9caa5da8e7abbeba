package sys

import "errors"

// CanRestart says whether [Restart] can mend an interrupted call from its
// registers alone. On arm64 it can't: x0 holds the result and the first
// argument is gone (the kernel keeps it in orig_x0, which ptrace does not
// show), and writing -ERESTARTNOHAND into x0 makes the program see 514
// (measured on Linux 5.10 to 7.2).
const CanRestart = false

// Result reads the result register of a stopped tracee.
func Result(tid int) (int64, error) {
	var r Regs
	err := GetRegs(tid, &r)
	return int64(r.Regs[0]), err
}

// SetResult writes the result register of a stopped tracee.
func SetResult(tid int, v int64) error {
	var r Regs
	if err := GetRegs(tid, &r); err != nil {
		return err
	}
	r.Regs[0] = uint64(v)
	return SetRegs(tid, &r)
}

// Restart answers errors.ErrUnsupported: see [CanRestart].
func Restart(tid int) error { return errors.ErrUnsupported }

// svc is the instruction that enters the kernel, svc #0.
const svcSize = 4

func frame(r *Regs) Frame {
	return Frame{
		Nr:     int(int64(r.Regs[8])),
		Result: int64(r.Regs[0]),
		Args:   [6]uint64{0, r.Regs[1], r.Regs[2], r.Regs[3], r.Regs[4], r.Regs[5]},
		PC:     r.Pc - svcSize,
		SP:     r.Sp,
	}
}

// CallRegs are the registers of a thread that is in system call nr, as far as these
// say.
func CallRegs(nr int, args [6]uint64, pc, sp uint64) Regs {
	r := Regs{Pc: pc, Sp: sp}
	copy(r.Regs[:], args[:])
	r.Regs[8] = uint64(nr)
	return r
}
