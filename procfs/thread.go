package procfs

import "iter"

// Detail is a set of things to know about a thread.
type Detail uint8

const (
	DetailTID     Detail = 1 << iota // always known
	DetailComm                       // Comm
	DetailState                      // State and Start
	DetailSyscall                    // Syscall
	DetailWchan                      // Wchan

	DetailAll = DetailTID | DetailComm | DetailState | DetailSyscall | DetailWchan
)

// Thread is what is known of a thread at one moment; the files are read one
// after the other, and it may have moved between them.
type Thread struct {
	TID   int
	Comm  string // the name, as it is
	State byte   // one of [States]
	Start uint64 // clock ticks since boot, see ID

	// Syscall is the call that the thread is blocked in, as of SyscallName; ""
	// when it is in user mode, or on a CPU, where the kernel does not tell. In
	// a 32-bit program it is syscall_NUMBER: its numbers are those of another
	// ABI, and the names here are the native one's.
	Syscall string
	// Wchan is the kernel function that it waits in; "" if it does not wait, or
	// if the kernel does not let us see.
	Wchan string

	// Unreadable are the details that were asked for and denied (Syscall takes
	// the right to trace), or that this kernel has not. Their fields are empty.
	Unreadable Detail
}

// Threads yields the threads that sel picks with the details in what. Each file
// is read at most once a thread, when its turn comes; vanished threads are left
// out, and details that cannot be read end up in Thread.Unreadable. Each range
// over it is a scan of its own, listed as by [Process.Select].
//
// An error is yielded once, last, with a zero Thread: the scan could not go on,
// or threads could not be judged because something that the selection asks
// about cannot be read.
//
// The loop may list and read the process as it likes.
func (p *Process) Threads(sel Selection, what Detail) iter.Seq2[Thread, error] {
	return func(yield func(Thread, error) bool) {
		s, err := p.newScan(sel, what)
		if err != nil {
			yield(Thread{}, err)
			return
		}
		tids, err := s.candidates(nil)
		if err != nil {
			yield(Thread{}, err)
			return
		}
		for _, tid := range tids {
			t, picked, err := s.look(tid)
			if err != nil {
				yield(Thread{}, err)
				return
			}
			if picked && !yield(t, nil) {
				return
			}
		}
		if s.undecided != nil {
			yield(Thread{}, s.undecided)
		}
	}
}
