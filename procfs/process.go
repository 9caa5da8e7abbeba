package procfs

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"sync"
	"sync/atomic"
)

// listBuffer is the size of the buffer for one getdents64. A thread takes 24 or
// 32 bytes of it: a chunk has some 250.
//
// The size is free between 1 KiB and 256 KiB (BenchmarkListBuffer: no difference
// above the noise), and a small one hands out the first threads earlier: with
// 32 KiB they come after 2 ms of a first pass, which makes 2 to 3 µs a thread.
const listBuffer = 8 << 10

// Process is a process whose threads can be listed and read. It keeps one
// descriptor open, of PID/task, and so stays with the process that it was opened
// for: when that has ended everything answers fs.ErrNotExist, whoever has its
// number by then. Open makes one; the zero value is a closed one.
//
// The methods that read a thread may be called by any number of goroutines at a
// time, and so may Close. Listing has one buffer and one position in the
// directory: AppendTIDs, Chunks, Newest, Select and Threads are for one goroutine at a
// time; a second one gets ErrListing.
type Process struct {
	pid int

	mu   sync.RWMutex // held for reading while dir is in use, for writing to close it
	dir  int
	open bool

	listing atomic.Bool // protects what follows
	buf     []byte      // of getdents
	tids    []int       // of a chunk
}

// ErrListing is given to who lists a process that is being listed.
var ErrListing = errors.New("a listing is under way")

// Open opens the process with the number pid.
//
// If there is none the error answers to fs.ErrNotExist; if pid is the number of
// another process's thread, to errors.As with a *NotLeaderError.
func (f FS) Open(pid int) (*Process, error) {
	p, err := f.open(pid)
	if err != nil {
		return nil, &Error{Op: "open", PID: pid, Err: err}
	}
	return p, nil
}

func (f FS) open(pid int) (*Process, error) {
	dir, err := openDir(f.path(strconv.Itoa(pid) + "/task"))
	if gone(err) && gone(existsAt(atCWD, f.path(""))) {
		// Not a missing process, and not to be taken for one.
		return nil, fmt.Errorf("no proc file system at %s", f.path(""))
	}
	if err != nil {
		return nil, err
	}
	p := &Process{pid: pid, dir: dir, open: true}
	// TID/task of any thread lists the whole process, but dies with that thread.
	st, err := p.Status(pid)
	switch {
	case err != nil:
		if e, ok := errors.AsType[*Error](err); ok {
			err = e.Err
		}
	case st.Tgid <= 0:
		err = ErrFormat
	case st.Tgid != pid:
		err = &NotLeaderError{TID: pid, TGID: st.Tgid}
	}
	if err != nil {
		_ = p.Close() // cannot fail
		return nil, err
	}
	return p, nil
}

// Close gives the descriptor back. Calls that are under way finish; later ones
// answer fs.ErrClosed, but for Close itself. It always returns nil.
func (p *Process) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open {
		closeFD(p.dir)
		p.open = false
	}
	return nil
}

// PID is the number that the process was opened by.
func (p *Process) PID() int { return p.pid }

// NumThreads is how many threads the process has, a zombie leader included, at
// the cost of one fstat(2). At 0 the process is gone, which is an error that
// answers to fs.ErrNotExist.
func (p *Process) NumThreads() (int, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	err := fs.ErrClosed
	n := 0
	if p.open {
		n, err = subdirs(p.dir)
	}
	if err == nil && n == 0 {
		err = errGone
	}
	if err == nil && n < 0 {
		err = fmt.Errorf("link counts of this file system: %w", errors.ErrUnsupported)
	}
	if err != nil {
		return 0, p.fail("count threads", 0, err)
	}
	return n, nil
}

// Has says whether tid is a thread of the process, a zombie included, at the
// cost of one fstatat(2). In doubt it is: only a clear no is one.
func (p *Process) Has(tid int) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return !p.open || !gone(existsAt(p.dir, strconv.Itoa(tid)))
}

// AppendTIDs appends the threads of the process to dst, in one pass, and returns
// the extended slice; with an error, as far as the pass came.
//
// A pass is no snapshot: see the caveats of the package. It allocates nothing
// but what dst has to grow.
func (p *Process) AppendTIDs(dst []int) ([]int, error) {
	if err := p.startList(0); err != nil {
		return dst, err
	}
	defer p.listing.Store(false)
	for {
		n, err := p.nextList()
		if n == 0 || err != nil {
			return dst, err
		}
		dst = appendNumbers(dst, p.buf[:n])
	}
}

// Chunks is AppendTIDs that hands the threads over as the kernel gives them, some
// 250 at a time, so that a caller can set to work on the first ones before the
// last ones are known.
//
// tids is valid only until yield returns. An error of yield ends the pass and is
// returned as it is. yield may read threads, but not list.
func (p *Process) Chunks(yield func(tids []int) error) error { return p.Newest(0, yield) }

// Newest is Chunks without the first threads of the list, as many as skip says.
// The list is in the order of their birth (kernel/fork.c, copy_process; an exec
// gives its thread the leader's place): where nobody has ended, who was born
// since a pass that has found n threads comes after n. The kernel walks over those
// that are skipped, and makes no entries of them.
func (p *Process) Newest(skip int, yield func(tids []int) error) error {
	if err := p.startList(skip); err != nil {
		return err
	}
	defer p.listing.Store(false)
	for {
		n, err := p.nextList()
		if n == 0 || err != nil {
			return err
		}
		p.tids = appendNumbers(p.tids[:0], p.buf[:n])
		if len(p.tids) == 0 {
			continue // "." and ".." alone
		}
		if err := yield(p.tids); err != nil {
			return err
		}
	}
}

// startList begins a pass at the thread number skip of the list. Who calls it
// clears p.listing at the end, if it succeeded.
func (p *Process) startList(skip int) error {
	if !p.listing.CompareAndSwap(false, true) {
		return p.fail("list threads", 0, ErrListing)
	}
	if p.buf == nil {
		p.buf = make([]byte, listBuffer)
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	err := fs.ErrClosed
	if p.open {
		err = seekThread(p.dir, skip)
	}
	if err != nil {
		p.listing.Store(false)
		return p.fail("list threads", 0, err)
	}
	return nil
}

// nextList fills p.buf and says how far; 0 is the end. The lock is not held
// between two calls: yield may read threads, and Close need not wait for it.
func (p *Process) nextList() (int, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if !p.open {
		return 0, p.fail("list threads", 0, fs.ErrClosed)
	}
	n, err := getdents(p.dir, p.buf)
	if err != nil {
		return 0, p.fail("list threads", 0, err)
	}
	return n, nil
}

func (p *Process) fail(op string, tid int, err error) error {
	return &Error{Op: op, PID: p.pid, TID: tid, Err: err}
}
