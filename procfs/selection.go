package procfs

import (
	"fmt"
	"strings"
)

// States are the letters that a thread's state can be: fs/proc/array.c,
// task_state_array. R runs or would like to, S sleeps, D sleeps and can't be
// woken by a signal, T is stopped, t is stopped by a tracer, X is dead, Z is a
// zombie, P parked, I an idle kernel thread. x, K and W are from older kernels.
const States = "RSDTtXZPIxKW"

// NoSyscall is the value of [Selection.Syscall] for threads that are not blocked
// in a system call: on a CPU or waiting for one (the kernel does not say then
// whether they are in a call), or blocked outside of any.
const NoSyscall = "none"

// Selection picks threads of a process. The zero value picks all; what is set
// has to agree all together.
type Selection struct {
	// TIDs picks by number. Those that the process does not have are left out.
	TIDs []int
	// Comm is a pattern for the name, as in path.Match, but that * and ? match
	// a slash, too.
	Comm string
	// State is one of the letters of States, or several: "D", "RD".
	State string
	// Syscall is the name of the system call that the thread is blocked in, of
	// the native ABI of this build; or syscall_NUMBER for one of any ABI; or
	// NoSyscall. Names never match the threads of a 32-bit program.
	Syscall string
	// Func, if any, is asked last, about threads that all the others picked.
	Func func(Thread) bool
	// Reads is what Func looks at. Only that is filled in for it (and what the
	// selection has read anyway); 0 is everything. TID is always there: a Func
	// that needs no more says DetailTID and no file is opened for it.
	Reads Detail
}

// All says whether this is a selection that picks all threads without a look at
// any.
func (s Selection) All() bool { return s.TIDs == nil && !s.Looks() }

// Looks says whether it takes a look at a thread to decide, because its number does
// not yet.
func (s Selection) Looks() bool {
	return s.Comm != "" || s.State != "" || s.Syscall != "" || s.Func != nil
}

// Validate says what is wrong with the selection: a broken pattern, a letter
// that is no state, a system call that this architecture does not have, a thread
// number below 1. Everything that takes a Selection begins with it.
func (s Selection) Validate() error {
	for _, tid := range s.TIDs {
		if tid <= 0 {
			return fmt.Errorf("procfs: selection: %d is no thread number", tid)
		}
	}
	if err := validGlob(s.Comm); err != nil {
		return fmt.Errorf("procfs: selection: comm %q: %w", s.Comm, err)
	}
	for _, c := range s.State {
		if !strings.ContainsRune(States, c) {
			return fmt.Errorf("procfs: selection: state %q: %q is none of %s", s.State, c, States)
		}
	}
	if s.Syscall != "" && s.Syscall != NoSyscall {
		if _, _, ok := parseSyscallName(s.Syscall); !ok {
			return fmt.Errorf("procfs: selection: no system call %q here", s.Syscall)
		}
	}
	return nil
}

// Matcher answers a function that judges a thread by what is known of it, for who
// knows it from elsewhere: by all that s asks about but Func. nr is the number of
// the call that the thread is blocked in, negative for none, and one of the native
// ABI. The selection has to be a valid one.
func (s Selection) Matcher() func(tid int, comm string, state byte, nr int) bool {
	call, _, _ := parseSyscallName(s.Syscall)
	wanted := make(map[int]bool, len(s.TIDs))
	for _, tid := range s.TIDs {
		wanted[tid] = true
	}
	return func(tid int, comm string, state byte, nr int) bool {
		switch {
		case s.TIDs != nil && !wanted[tid],
			s.Comm != "" && !matchGlob(s.Comm, comm),
			s.State != "" && strings.IndexByte(s.State, state) < 0:
			return false
		case s.Syscall == NoSyscall:
			return nr < 0
		}
		return s.Syscall == "" || nr == call
	}
}

// Select appends the threads that sel picks to dst. One scan decides: each
// thread is looked at once, and only the files that the selection asks about are
// read; none for the zero selection. Threads that vanish meanwhile are left out.
//
// The list is passed twice, or up to four times while threads end, so that
// deaths do not hide the living (see the caveats of the package).
//
// Where a file that the selection asks about cannot be read (Syscall takes the
// right to trace), those threads are not picked, and the scan ends with an error
// that says so, along with the others.
func (p *Process) Select(sel Selection, dst []int) ([]int, error) {
	s, err := p.newScan(sel, 0)
	if err != nil {
		return dst, err
	}
	old := len(dst)
	dst, err = s.candidates(dst)
	if err != nil {
		return dst[:old], err
	}
	kept, err := s.keep(dst[old:])
	return dst[:old+len(kept)], err
}

// Filter is Select among tids instead of all threads: it moves those that sel
// picks to the front and returns them. Threads that the process does not have
// are left out, unless sel picks by number alone.
func (p *Process) Filter(sel Selection, tids []int) ([]int, error) {
	s, err := p.newScan(sel, 0)
	if err != nil {
		return tids[:0], err
	}
	if sel.TIDs != nil {
		wanted := make(map[int]bool, len(sel.TIDs))
		for _, tid := range sel.TIDs {
			wanted[tid] = true
		}
		kept := tids[:0]
		for _, tid := range tids {
			if wanted[tid] {
				kept = append(kept, tid)
			}
		}
		tids = kept
	}
	return s.keep(tids)
}
