package attacher

import (
	"time"

	"massattach/procfs"
)

// Proc is what the package reads of /proc; [procfs.FS] by [ProcFS], or a fake.
type Proc interface {
	// Open opens a process by its pid; an error that is fs.ErrNotExist says
	// that there is none.
	Open(pid int) (Process, error)
	// LastPID moves whenever a thread or process is born anywhere.
	LastPID() (int, error)
	// Numbers is LastPID, and in how short a time all numbers that are free may have
	// been given once.
	Numbers() (last int, turn time.Duration, err error)
	// Running is how many threads of the machine run or wait for a CPU.
	Running() (int, error)
}

// Process is one process in /proc. Its methods may be called from several
// threads, but for Chunks, Newest and Select, which are for one at a time. A thread
// that is gone is fs.ErrNotExist.
type Process interface {
	// Chunks lists the threads once, handing over some at a time; the slice
	// is the callee's again when yield returns.
	Chunks(yield func(tids []int) error) error
	// Newest is Chunks without the first threads of the list, as many as skip
	// says. The list is in the order of their birth.
	Newest(skip int, yield func(tids []int) error) error
	// NumThreads is how many threads the process has now.
	NumThreads() (int, error)
	// Has says whether tid is a thread of the process, a zombie included.
	Has(tid int) bool
	Status(tid int) (procfs.Status, error)
	// Facts gathers what may explain why SEIZE refused tid.
	Facts(tid int) (Facts, error)
	// Select lists the threads that sel selects.
	Select(sel procfs.Selection, dst []int) ([]int, error)
	Close() error
}
