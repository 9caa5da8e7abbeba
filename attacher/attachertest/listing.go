package attachertest

import (
	"io/fs"
	"os"
	"path"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"massattach/attacher"
	"massattach/procfs"
)

// Running is that of a machine that has nothing else to do.
func (m *Machine) Running() (int, error) { return 1, nil }

// process is the machine's /proc/PID: [attacher.Process].
type process struct {
	m   *Machine
	g   *group
	pid int

	listing atomic.Bool
	closed  bool // below the machine's lock
}

var _ attacher.Process = (*process)(nil)

// Open opens a process: [attacher.Proc]. It stays with that process.
func (m *Machine) Open(pid int) (attacher.Process, error) {
	if err := m.enter(0, "open", pid); err != nil {
		return nil, &procfs.Error{Op: "open", PID: pid, Err: err}
	}
	defer m.unlock()
	if g := m.groups[pid]; g != nil {
		return &process{m: m, g: g, pid: pid}, nil
	}
	var err error = syscall.ENOENT
	if t := m.tasks[pid]; t != nil {
		err = &procfs.NotLeaderError{TID: pid, TGID: t.g.pid}
	}
	return nil, &procfs.Error{Op: "open", PID: pid, Err: err}
}

// LastPID is the last field of /proc/loadavg.
func (m *Machine) LastPID() (int, error) {
	if err := m.enter(0, "lastpid", 0); err != nil {
		return 0, err
	}
	defer m.unlock()
	m.asked = m.last
	return m.last, nil
}

// Numbers says that a turn takes a minute, as it does with a large kernel.pid_max. After
// Reuse the next number is the one that it would have been without, and the number may be
// the one that LastPID has answered: that there has been a whole turn, in no time, is told
// by a 0.
func (m *Machine) Numbers() (last int, turn time.Duration, err error) {
	if err := m.enter(0, "numbers", 0); err != nil {
		return 0, 0, err
	}
	defer m.unlock()
	if !m.turned {
		turn = time.Minute
	}
	return m.last, turn, nil
}

// enter is the way into a call about thread tid, or the process with 0.
func (p *process) enter(op string, tid int) (*task, error) {
	err := p.m.enter(0, op, tid)
	if err != nil {
		return nil, &procfs.Error{Op: op, PID: p.pid, TID: tid, Err: err}
	}
	t := p.m.tasks[tid]
	if !p.closed && len(p.g.threads) > 0 && (tid == 0 || t != nil && t.g == p.g) {
		return t, nil
	}
	err = syscall.ENOENT
	if p.closed {
		err = fs.ErrClosed
	}
	p.m.unlock()
	return nil, &procfs.Error{Op: op, PID: p.pid, TID: tid, Err: err}
}

// Chunks lists the threads as getdents64 does, a call a chunk: proc_task_readdir
// of fs/proc/base.c. Between two calls the kernel keeps the number of the
// thread that comes next, and how many came before; when that thread is gone
// it counts anew from the leader, and so passes over living ones if others
// before it have died as well.
func (p *process) Chunks(yield func(tids []int) error) error { return p.Newest(0, yield) }

// Newest is Chunks after a lseek, which counts from the leader.
func (p *process) Newest(skip int, yield func(tids []int) error) error {
	if !p.listing.CompareAndSwap(false, true) {
		return &procfs.Error{Op: "list", PID: p.pid, Err: procfs.ErrListing}
	}
	defer p.listing.Store(false)
	chunk := make([]int, 0, 16)
	for done, next := skip, 0; ; {
		if _, err := p.enter("list", 0); err != nil {
			return err
		}
		threads := p.g.threads
		i := done // first_tid
		if next != 0 {
			if t := p.m.tasks[next]; t != nil && t.g == p.g {
				i = slices.Index(threads, t)
			}
		}
		size := p.m.ChunkSize
		if size <= 0 {
			size = 1000
		}
		chunk = chunk[:0]
		for ; i < len(threads) && len(chunk) < size; i++ {
			chunk = append(chunk, threads[i].tid)
		}
		next = 0
		if i < len(threads) {
			next = threads[i].tid
		}
		done += len(chunk)
		p.m.unlock()
		if len(chunk) == 0 {
			return nil
		}
		if err := yield(chunk); err != nil {
			return err
		}
	}
}

func (p *process) NumThreads() (int, error) {
	if _, err := p.enter("threads", 0); err != nil {
		return 0, err
	}
	defer p.m.unlock()
	return len(p.g.threads), nil
}

func (p *process) Has(tid int) bool {
	if _, err := p.enter("has", tid); err != nil {
		return false
	}
	p.m.unlock()
	return true
}

// Status is task/TID/status.
func (p *process) Status(tid int) (procfs.Status, error) {
	t, err := p.enter("status", tid)
	if err != nil {
		return procfs.Status{}, err
	}
	defer p.m.unlock()
	parent := 1
	if p.g.parent.Ours {
		parent = os.Getpid()
	}
	st := procfs.Status{
		Name: t.comm, State: t.state(), Tgid: p.pid, Pid: tid, PPid: parent,
		TracerPid: t.tracerID(), Threads: len(p.g.threads),
		SigBlk: t.blocked, SigPnd: mask(t.pending), ShdPnd: mask(p.g.shared),
		VoluntarySwitches: t.switches,
		NSpid:             []int{tid}, NStgid: []int{p.pid},
		NoNewPrivs: -1, Kthread: 0,
	}
	for s := syscall.Signal(1); s <= 64; s++ {
		switch {
		case p.g.action[s] == Ignore:
			st.SigIgn |= bit(s)
		case p.g.handles(s):
			st.SigCgt |= bit(s)
		}
	}
	return st, nil
}

func mask(queue []*signal) (set uint64) {
	for _, q := range queue {
		set |= bit(q.no)
	}
	return set
}

// Facts is what SetFacts has set, and what the machine knows: the state and
// the tracer. Nothing else stands in the way of SEIZE here.
func (p *process) Facts(tid int) (attacher.Facts, error) {
	t, err := p.enter("facts", tid)
	if err != nil {
		return attacher.Facts{}, err
	}
	defer p.m.unlock()
	f, ok := p.m.facts[tid]
	if !ok {
		f = attacher.Facts{UID: 1000, OurUID: 1000, SameUser: true, SameUserNS: true, Dumpable: true, Yama: -1}
	}
	f.TID, f.State = tid, t.state()
	if t.tracer != nil {
		f.TracerTID = t.tracer.id
		if t.tracer.foreign != "" {
			f.TracerPID, f.TracerComm = t.tracer.id, t.tracer.foreign
		}
	}
	return f, nil
}

// SetFacts says what there is to be read of the thread tid when SEIZE refuses
// it (which is up to Before).
func (m *Machine) SetFacts(tid int, f attacher.Facts) {
	defer m.lock()()
	m.facts[tid] = f
}

// Select lists the threads that sel picks. Comm is a pattern of path.Match
// here.
func (p *process) Select(sel procfs.Selection, dst []int) ([]int, error) {
	if err := sel.Validate(); err != nil {
		return dst, err
	}
	if !p.listing.CompareAndSwap(false, true) {
		return dst, &procfs.Error{Op: "select", PID: p.pid, Err: procfs.ErrListing}
	}
	defer p.listing.Store(false)
	if _, err := p.enter("select", 0); err != nil {
		return dst, err
	}
	var all []procfs.Thread
	for _, t := range p.g.threads {
		th := procfs.Thread{TID: t.tid, Comm: t.comm, State: t.state(), Start: t.start}
		if t.where == inCall && t.program != nil {
			th.Syscall = procfs.SyscallName(t.program.Nr)
		}
		all = append(all, th)
	}
	p.m.unlock()
	for _, th := range all {
		if picks(sel, th) {
			dst = append(dst, th.TID)
		}
	}
	return dst, nil
}

func picks(sel procfs.Selection, th procfs.Thread) bool {
	if sel.TIDs != nil && !slices.Contains(sel.TIDs, th.TID) {
		return false
	}
	if sel.Comm != "" {
		if ok, _ := path.Match(sel.Comm, th.Comm); !ok {
			return false
		}
	}
	if sel.State != "" && !slices.Contains([]byte(sel.State), th.State) {
		return false
	}
	switch sel.Syscall {
	case "", th.Syscall:
	case procfs.NoSyscall:
		if th.Syscall != "" {
			return false
		}
	default:
		return false
	}
	return sel.Func == nil || sel.Func(th)
}

func (p *process) Close() error {
	defer p.m.lock()()
	p.closed = true
	return nil
}

// SetName names the thread tid.
func (m *Machine) SetName(tid int, comm string) {
	defer m.lock()()
	if t := m.tasks[tid]; t != nil {
		t.comm = comm
	}
}
