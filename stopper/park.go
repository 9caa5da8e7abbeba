package stopper

import (
	"massattach/internal/sys"
	"massattach/procfs"
)

// parked are the calls of [Request.Park], by name.
var parked = func() map[string]bool {
	m := make(map[string]bool)
	for _, nr := range sys.CutShort() {
		m[procfs.SyscallName(nr)] = true
	}
	return m
}()

// park has sel leave out whoever is blocked in such a call, and collects them.
func park(sel procfs.Selection, left *[]int) procfs.Selection {
	pick := sel.Func
	if pick == nil {
		sel.Reads = procfs.DetailSyscall
	} else if sel.Reads != 0 {
		sel.Reads |= procfs.DetailSyscall
	}
	sel.Func = func(t procfs.Thread) bool {
		if pick != nil && !pick(t) {
			return false
		}
		if parked[t.Syscall] {
			*left = append(*left, t.TID)
			return false
		}
		return true
	}
	return sel
}
