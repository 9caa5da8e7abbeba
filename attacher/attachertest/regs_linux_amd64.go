package attachertest

import "massattach/attacher"

// regsOf lays a frame out as PTRACE_GETREGSET shows it, and frameOf reads one
// (internal/sys has the other direction for real tracees).
func regsOf(f attacher.Frame) (r attacher.Regs) {
	r.Orig_rax, r.Rax = uint64(f.Nr), uint64(f.Result)
	r.Rdi, r.Rsi, r.Rdx, r.R10, r.R8, r.R9 = f.Args[0], f.Args[1], f.Args[2], f.Args[3], f.Args[4], f.Args[5]
	r.Rip, r.Rsp, r.Cs = f.PC, f.SP, 0x33
	return r
}

func frameOf(r *attacher.Regs) attacher.Frame {
	return attacher.Frame{
		Nr: max(int(int64(r.Orig_rax)), -1), Result: int64(r.Rax),
		Args: [6]uint64{r.Rdi, r.Rsi, r.Rdx, r.R10, r.R8, r.R9},
		PC:   r.Rip, SP: r.Rsp,
	}
}
