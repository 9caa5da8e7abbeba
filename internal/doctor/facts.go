package doctor

import (
	"massattach/attacher"
	"massattach/stopper/notify"
)

// System is what the doctor reads: a *[Linux], or a fake.
type System interface {
	// Machine looks at the machine, and at this process.
	Machine() Machine
	// Target looks at a process. An error that is fs.ErrNotExist says that there
	// is none, or that it has ended and is waited for.
	Target(pid int) (Target, error)
	// Stopped looks for processes whose leader is stopped, or held by a tracer.
	Stopped() []Stopped
}

// Machine is what there is to know of the machine, and of this process on it.
type Machine struct {
	Release string // of the kernel, "6.18.44"
	Repairs bool   // interrupted calls can be repaired on this architecture
	// OwnProc: /proc has the numbers of our own PID namespace, which are those
	// that ptrace takes.
	OwnProc bool

	UID           int
	Caps          uint64 // effective
	InitialUserNS bool   // and they count everywhere
	Nice          bool   // a better nice value is to be had
	Yama          int    // kernel.yama.ptrace_scope, -1 without Yama
	LSMs          string // the security modules, "" when that can't be read
	Seccomp       bool   // a seccomp filter is on us
	Filter        Filter // and this is what it does

	BTF    bool             // the kernel has its types in /sys/kernel/btf/vmlinux
	Births error            // why follow mode event doesn't work, nil when it does
	Tasks  error            // the same of the BPF task iterator
	Notify []notify.Support // the mechanisms of notify style, the best first

	Cgroup Cgroup // ours
	Limits []Limit
}

// Filter is what a seccomp filter does to who traces.
type Filter uint8

const (
	FilterPasses  Filter = iota // it lets ptrace through
	FilterRefuses               // it has it fail
	FilterKills                 // it ends who asks
)

// Limit bounds how many threads there may be.
type Limit struct {
	Name  string
	Max   int
	Used  int
	Raise string // a command
}

// Cgroup is the control group of a process, as far as a freezer has it.
type Cgroup struct {
	Path   string // "" when unknown; "/" for none in particular
	Frozen bool
	Thaw   string // a command
}

// Target is what there is to know of a process.
type Target struct {
	PID, NSPID int // NSPID: in its own PID namespace
	Comm       string
	Groups     []Group // its threads
	Cgroup     Cgroup
	Stopped    []Stopped // of its threads
}

// Group is threads of a process of which the same is to be said.
type Group struct {
	Facts attacher.Facts // of the first one
	N     int
}

// ended says whether its threads are zombies.
func (g Group) ended() bool { return g.Facts.State == 'Z' || g.Facts.State == 'X' }

// Stopped is threads of a process that stand still because somebody said so.
type Stopped struct {
	PID     int
	Comm    string
	Threads int
	State   byte // 'T' by a stop signal, without a tracer; 't' by a tracer
	Tracer  Tracer
}

// Tracer is who holds them.
type Tracer struct {
	PID, TID int    // PID 0: unknown
	Comm     string // of the process
	State    byte   // of the thread, 0 when it is gone
	Moved    bool   // it has run while we looked, or can't be seen
}
