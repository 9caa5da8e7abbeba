package procfs

// Names names the system calls of one process's threads. It asks once what kind of
// program the process runs, and is for one goroutine at a time.
type Names struct {
	p   *Process
	abi abi // once somebody was asked
}

// Names answers one.
func (p *Process) Names() *Names { return &Names{p: p} }

// Syscall is the name of the call number nr that thread tid is in: as of
// [SyscallName], but syscall_NUMBER in a 32-bit program, and "" for a negative one.
func (n *Names) Syscall(tid, nr int) string {
	switch {
	case nr < 0:
		return ""
	case n.Compat(tid):
		return syscallNumber(nr)
	}
	return SyscallName(nr)
}

// Compat says whether the process runs a 32-bit program, in which the names of
// this build are wrong. It asks thread after thread, as they come, until one knows:
// a zombie leader does not.
func (n *Names) Compat(tid int) bool {
	if n.abi == abiUnknown {
		n.abi = n.p.abi(tid)
	}
	return n.abi == abiCompat
}
