package doctor

import (
	"sync"

	"massattach/procfs"
)

// Linux is the system that the program runs on.
type Linux struct {
	// Program is the one whose main calls [Probe] under the name [ProbeName]; ""
	// is the one that runs.
	Program string

	fs     procfs.FS
	once   sync.Once
	filter Filter
	deaf   bool // the filter has something against AskAccess
}

// ProbeName is the name under which [Linux.Program] is started to find out what
// a seccomp filter does, which may be to kill who asks.
const ProbeName = "massattach-probe"

// What a probe says, a line each.
const (
	probePasses  = "ptrace passes"
	probeRefuses = "ptrace is refused"
	probeAccess  = "access is answered"
)
