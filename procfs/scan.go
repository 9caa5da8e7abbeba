package procfs

import "strings"

// listPasses is how often candidates passes the list at most.
const listPasses = 4

// scan is one go over the threads of a process with one selection.
type scan struct {
	p    *Process
	sel  Selection
	what Detail // for the caller
	pre  Detail // for Func
	all  Detail // those two, and what the fields of sel ask about

	nr        int  // of sel.Syscall
	named     bool // it is a name, of the native ABI
	names     *Names
	undecided error // the first reason why a thread could not be judged
}

func (p *Process) newScan(sel Selection, what Detail) (*scan, error) {
	if err := sel.Validate(); err != nil {
		return nil, err
	}
	s := &scan{p: p, sel: sel, what: what, pre: sel.Reads, names: p.Names()}
	if s.pre == 0 {
		s.pre = DetailAll
	}
	if sel.Func == nil {
		s.pre = 0
	}
	s.all = s.what | s.pre
	if sel.Comm != "" {
		s.all |= DetailComm
	}
	if sel.State != "" {
		s.all |= DetailState
	}
	if sel.Syscall != "" {
		s.all |= DetailSyscall
	}
	if sel.Syscall != "" && sel.Syscall != NoSyscall {
		s.nr, s.named, _ = parseSyscallName(sel.Syscall)
	}
	return s, nil
}

// candidates appends the threads to look at: those that are picked by number, if
// any are, without listing the others; else all.
func (s *scan) candidates(dst []int) ([]int, error) {
	if s.sel.TIDs == nil {
		return s.list(dst)
	}
	seen := make(map[int]bool, len(s.sel.TIDs))
	for _, tid := range s.sel.TIDs {
		if seen[tid] {
			continue
		}
		seen[tid] = true
		err := s.p.exists(tid)
		if err == nil {
			dst = append(dst, tid)
		} else if !gone(err) {
			return dst, s.p.fail("look-up", tid, err)
		}
	}
	return dst, nil
}

// list appends all threads, in spite of deaths during a pass.
//
// A pass has holes only if threads that it had listed were gone before it ended
// (the package's caveats), and those are missing from the next pass. So a pass
// that is contained in the next one had no holes, and the next one, which has
// all of it and some of those born since, is the answer. The order of the list
// is that of births, which makes this a comparison along both.
//
// (The length of a pass is no test: the dead that it still lists make up for the
// living that they hide, one for one.)
func (s *scan) list(dst []int) ([]int, error) {
	old := len(dst)
	dst, err := s.p.AppendTIDs(dst)
	if err != nil {
		return dst[:old], err
	}
	for range listPasses - 1 {
		end := len(dst)
		dst, err = s.p.AppendTIDs(dst)
		if gone(err) {
			return dst[:end], nil // it was there for a pass: its end is no error
		}
		if err != nil {
			return dst[:old], err
		}
		last, next := dst[old:end], dst[end:]
		whole := contained(last, next)
		if !whole {
			next = s.adopt(last, next)
		}
		dst = append(dst[:old], next...) // moves down, or grows by a copy
		if whole {
			break
		}
	}
	return dst, nil
}

// contained says whether b has all of a, in the same order.
func contained(a, b []int) bool {
	for _, tid := range b {
		if len(a) == 0 {
			break
		}
		if a[0] == tid {
			a = a[1:]
		}
	}
	return len(a) == 0
}

// adopt appends those of last to next that are not in there and live all the
// same: hidden by holes in next.
func (s *scan) adopt(last, next []int) []int {
	listed := make(map[int]bool, len(next))
	for _, tid := range next {
		listed[tid] = true
	}
	for _, tid := range last {
		if !listed[tid] && s.p.exists(tid) == nil {
			next = append(next, tid)
		}
	}
	return next
}

// keep moves the picked ones of tids to the front.
func (s *scan) keep(tids []int) ([]int, error) {
	if !s.sel.Looks() {
		return tids, nil
	}
	kept := tids[:0]
	for _, tid := range tids {
		_, picked, err := s.look(tid)
		if err != nil {
			return kept, err
		}
		if picked {
			kept = append(kept, tid)
		}
	}
	return kept, s.undecided
}

// look reads one thread and judges it: the files of the selection's fields first,
// the cheap ones before the dear, and no further than it takes for a no. The
// error is one that would meet the other threads as well.
func (s *scan) look(tid int) (Thread, bool, error) {
	l := look{scan: s, Thread: Thread{TID: tid}}
	ok := l.filter() && l.load(s.pre) &&
		(s.sel.Func == nil || s.sel.Func(l.Thread)) && l.load(s.what)
	return l.Thread, ok && l.err == nil, l.err
}

// look is the state of one look at one thread.
type look struct {
	Thread
	*scan
	call   Syscall
	tried  Detail // read, or found unreadable
	denial error  // why something is unreadable
	err    error  // ends the scan
}

// filter judges the fields of the selection, but for Func.
func (l *look) filter() bool {
	sel := &l.sel
	if sel.Comm != "" && !(l.needs(DetailComm) && matchGlob(sel.Comm, l.Comm)) {
		return false
	}
	if sel.State != "" && !(l.needs(DetailState) && strings.IndexByte(sel.State, l.State) >= 0) {
		return false
	}
	return sel.Syscall == "" || l.needs(DetailSyscall) && l.syscallAgrees()
}

// needs is load for a detail that the verdict hangs on.
func (l *look) needs(d Detail) bool {
	if !l.load(d) {
		return false
	}
	if l.Unreadable&d != 0 {
		if l.undecided == nil {
			l.undecided = l.denial
		}
		return false
	}
	return true
}

func (l *look) syscallAgrees() bool {
	if l.sel.Syscall == NoSyscall {
		return l.call.Nr < 0
	}
	return l.call.Nr == l.nr && !(l.named && l.names.Compat(l.TID))
}

// load reads those of the details that have not been tried. It is false when the
// thread is gone, or when err is set.
func (l *look) load(d Detail) bool {
	d &^= l.tried
	if d&DetailComm != 0 && l.all&DetailState != 0 {
		d |= DetailState // stat has the name as well
	}
	if d&DetailState != 0 {
		st, err := l.p.Stat(l.TID)
		if !l.took(DetailState|DetailComm, err) {
			return false
		}
		l.Comm, l.State, l.Start = st.Comm, st.State, st.StartTime
	} else if d&DetailComm != 0 {
		comm, err := l.p.Comm(l.TID)
		if !l.took(DetailComm, err) {
			return false
		}
		l.Comm = comm
	}
	if d&DetailSyscall != 0 {
		call, err := l.p.Syscall(l.TID)
		if !l.took(DetailSyscall, err) {
			return false
		}
		l.call = call
		if err == nil {
			l.Syscall = l.names.Syscall(l.TID, call.Nr)
		}
	}
	if d&DetailWchan != 0 {
		wchan, err := l.p.Wchan(l.TID)
		if !l.took(DetailWchan, err) {
			return false
		}
		l.Wchan = wchan
	}
	return true
}

// took sorts the errors of a read: gone is a no, unreadable is something to know
// about the thread, all others end the scan.
func (l *look) took(d Detail, err error) bool {
	l.tried |= d
	switch {
	case err == nil:
		return true
	case gone(err):
		return false
	case unreadable(err):
		l.Unreadable |= d & l.all
		l.denial = err
		return true
	}
	l.err = err
	return false
}
