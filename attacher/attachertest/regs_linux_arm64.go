package attachertest

import "massattach/attacher"

// regsOf lays a frame out as PTRACE_GETREGSET shows it, and frameOf reads one
// (internal/sys has the other direction for real tracees). x0 is the first
// argument and the result.
func regsOf(f attacher.Frame) (r attacher.Regs) {
	r.Regs[8], r.Regs[0] = uint64(f.Nr), uint64(f.Result)
	copy(r.Regs[1:6], f.Args[1:])
	r.Pc, r.Sp = f.PC+4, f.SP
	return r
}

func frameOf(r *attacher.Regs) attacher.Frame {
	f := attacher.Frame{Nr: int(int64(r.Regs[8])), Result: int64(r.Regs[0]), PC: r.Pc - 4, SP: r.Sp}
	copy(f.Args[1:], r.Regs[1:6])
	return f
}
