package stopper

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"sync"

	"massattach/attacher"
	"massattach/internal/bpf"
	"massattach/procfs"
)

// Means is by what many threads are examined.
type Means string

const (
	// MeansBest is the iterator for many threads, where it works; else /proc.
	MeansBest Means = ""
	// MeansProc is /proc: some 30 µs a thread.
	MeansProc Means = "proc"
	// MeansIterator is a BPF program that the kernel runs on each thread: some 2 µs.
	// It takes Linux 6.1, CAP_BPF and CAP_PERFMON; to load it takes some 50 ms, once.
	MeansIterator Means = "iterator"
)

// ExamineOptions are those of an [Examiner]; nil is the zero value, and that the
// default.
type ExamineOptions struct {
	// FS is where proc is mounted.
	FS procfs.FS
	// Means is by what many threads are examined. With MeansIterator it is an
	// error if that does not work. A selection with a Func is always by /proc.
	Means Means
}

// Examiner examines threads of one process: it looks at what they do without
// stopping or waking any. It needs no session, and nobody notices. It takes the
// right to trace the process. Its methods may be called from any goroutine.
type Examiner struct {
	pid    int
	people people
	means  Means

	scanning sync.Mutex // one goroutine at a time
	closed   bool
	tasks    tasks      // nil until it is loaded
	loadErr  error      // why it can't be
	records  []bpf.Task // has room for those of a pass
}

// tasks is a [bpf.Tasks], or a fake.
type tasks interface {
	All() iter.Seq2[bpf.Task, error]
	Close() error
}

// NewExaminer prepares to examine threads of process pid. The error for one that
// does not exist answers to fs.ErrNotExist; for the number of another process's
// thread it is a *[procfs.NotLeaderError], and where /proc has the numbers of
// another PID namespace [attacher.ErrForeignProc].
func NewExaminer(pid int, o *ExamineOptions) (*Examiner, error) {
	if o == nil {
		o = new(ExamineOptions)
	}
	p, err := o.FS.Open(pid)
	if own, nerr := o.FS.OwnNamespace(); err == nil && nerr == nil && !own {
		_ = p.Close() // cannot fail
		err = attacher.ErrForeignProc
	}
	if err != nil {
		return nil, fmt.Errorf("examine %d: %w", pid, err)
	}
	return &Examiner{pid: pid, people: procPeople{p}, means: o.Means}, nil
}

// Close gives back what the examiner has. Exams that are under way fail.
func (x *Examiner) Close() error {
	x.scanning.Lock()
	defer x.scanning.Unlock()
	x.closed = true
	err := x.people.Close()
	if x.tasks != nil {
		err = errors.Join(err, x.tasks.Close())
		x.tasks = nil
	}
	return err
}

// Examine calls f with a thread that does not run. Its error is f's; or [ErrRan]:
// the thread ran before f returned, what was seen is to be discarded; or [ErrOnCPU]
// or [ErrGone], and f was not called. It answers to fs.ErrPermission for who may not
// trace the process.
//
// Nothing waits for the thread: when ctx has ended f is not called.
func (x *Examiner) Examine(ctx context.Context, tid int, f func(*Exam) error) error {
	e := Exam{TID: tid, people: x.people, namer: x.people.Names()}
	defer e.close()
	err := ctx.Err()
	if err == nil {
		err = e.begin()
	}
	if err == nil {
		err = e.Verdict.Err()
	}
	if err == nil {
		if err = f(&e); err == nil {
			err = e.Check()
		}
	}
	if err != nil {
		return fmt.Errorf("examine thread %d of %d: %w", tid, x.pid, err)
	}
	return nil
}

// ExamineAll calls f once for each thread that sel picks, by one scan, whatever its
// verdict is: of one that is not Coherent there is little to see. It is of the time
// at which f is called; what f reads by the methods of the Exam is checked by those,
// and for what it sees by other means it calls Check afterwards.
//
// An error of f ends it and is returned, but for those of a verdict. When ctx ends
// first its error is returned.
func (x *Examiner) ExamineAll(ctx context.Context, sel procfs.Selection, f func(*Exam) error) error {
	if err := x.examineAll(ctx, sel, f); err != nil {
		return fmt.Errorf("examine %d: %w", x.pid, err)
	}
	return nil
}

func (x *Examiner) examineAll(ctx context.Context, sel procfs.Selection, f func(*Exam) error) error {
	if err := sel.Validate(); err != nil {
		return err
	}
	x.scanning.Lock()
	defer x.scanning.Unlock()
	if x.closed {
		return fs.ErrClosed
	}
	it, err := x.iterator(sel)
	if err != nil {
		return err
	}
	namer := x.people.Names()
	show := func(e *Exam) error {
		if err := f(e); err != nil && !isVerdict(err) {
			return err
		}
		return ctx.Err()
	}
	if it != nil {
		err := x.sweep(ctx, it, sel, namer, show)
		if !x.unfit(err) {
			return err
		}
	}
	return x.walk(ctx, sel, namer, show)
}

// Select lists the threads that sel picks, as [procfs.Process.Select] does, by the
// examiner's means.
func (x *Examiner) Select(sel procfs.Selection) ([]int, error) {
	tids, err := x.pick(sel)
	if err != nil {
		err = fmt.Errorf("select threads of %d: %w", x.pid, err)
	}
	return tids, err
}

func (x *Examiner) pick(sel procfs.Selection) (tids []int, err error) {
	if err := sel.Validate(); err != nil {
		return nil, err
	}
	x.scanning.Lock()
	defer x.scanning.Unlock()
	if x.closed {
		return nil, fs.ErrClosed
	}
	var it tasks
	if sel.Looks() {
		if it, err = x.iterator(sel); err != nil {
			return nil, err
		}
	}
	if it != nil {
		records, _, rest, err := x.passes(it, sel, x.people.Names())
		if err != nil && !x.unfit(err) {
			return nil, err
		}
		if err == nil {
			sel.TIDs = rest
		}
		for _, t := range records {
			tids = append(tids, t.TID)
		}
	}
	ids, err := x.people.Pick(sel)
	for _, id := range ids {
		tids = append(tids, id.TID)
	}
	return tids, err
}

func isVerdict(err error) bool {
	return errors.Is(err, ErrRan) || errors.Is(err, ErrOnCPU) || errors.Is(err, ErrGone)
}

// walk examines one thread after the other by /proc.
func (x *Examiner) walk(ctx context.Context, sel procfs.Selection, namer namer, show func(*Exam) error) error {
	ids, undecided := x.people.Pick(sel)
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return err
		}
		e := Exam{TID: id.TID, start: id.Start, people: x.people, namer: namer}
		err := e.begin()
		if err == nil {
			err = show(&e)
		}
		e.close()
		if err != nil {
			return err
		}
	}
	return undecided
}

// worthwhile is from how many threads on it pays to load the iterator.
const worthwhile = 1000

// iterator answers the iterator if that is the way to examine; it loads it then.
func (x *Examiner) iterator(sel procfs.Selection) (tasks, error) {
	if x.means == MeansProc || sel.Func != nil { // who may ask for anything
		return nil, nil
	}
	if x.means == MeansBest {
		n, err := x.people.NumThreads()
		if sel.TIDs != nil {
			n = len(sel.TIDs)
		}
		if err != nil || n < worthwhile && (x.tasks == nil || sel.TIDs != nil) || x.loadErr != nil {
			return nil, nil
		}
	}
	if x.tasks == nil && x.loadErr == nil {
		t, err := bpf.OpenTasks(x.pid)
		if err == nil {
			x.tasks = t
		}
		x.loadErr = err
	}
	if x.means == MeansIterator {
		return x.tasks, x.loadErr
	}
	return x.tasks, nil
}

// Examine is [Examiner.Examine], for once.
func Examine(ctx context.Context, pid, tid int, f func(*Exam) error) error {
	return examining(pid, func(x *Examiner) error { return x.Examine(ctx, tid, f) })
}

// ExamineAll is [Examiner.ExamineAll], for once.
func ExamineAll(ctx context.Context, pid int, sel procfs.Selection, f func(*Exam) error) error {
	return examining(pid, func(x *Examiner) error { return x.ExamineAll(ctx, sel, f) })
}

func examining(pid int, f func(*Examiner) error) error {
	x, err := NewExaminer(pid, nil)
	if err != nil {
		return err
	}
	return errors.Join(f(x), x.Close())
}

// Examine is [Examiner.Examine] for a thread of the session's process, whether it is
// held or not. One that is held does not run: of it the error is never [ErrRan].
func (st *Stopper) Examine(ctx context.Context, tid int, f func(*Exam) error) error {
	x, err := st.examiner()
	if err != nil {
		return err
	}
	return x.Examine(ctx, tid, f)
}

// ExamineAll is [Examiner.ExamineAll] for the session's process.
func (st *Stopper) ExamineAll(ctx context.Context, sel procfs.Selection, f func(*Exam) error) error {
	x, err := st.examiner()
	if err != nil {
		return err
	}
	return x.ExamineAll(ctx, sel, f)
}

// examiner answers the one of the session, which is closed with it.
func (st *Stopper) examiner() (*Examiner, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	x, err := st.exam, error(nil)
	if x == nil {
		x, err = NewExaminer(st.session.PID(), nil)
	}
	// Looked at after the number was, which may be another's by now.
	switch {
	case st.session.IsClosed():
		err = attacher.ErrClosed
	case isOver(st.session.Ended()):
		err = attacher.ErrGone
	}
	if st.exam == nil && x != nil {
		if err != nil {
			_ = x.Close()
			return nil, st.failed(err)
		}
		st.exam = x
		go func() {
			select {
			case <-st.session.Closed():
			case <-st.session.Ended():
			}
			_ = x.Close()
		}()
	}
	if err != nil {
		return nil, st.failed(err)
	}
	return x, nil
}

// pick is the session's Select, by the iterator if that is loaded.
func (st *Stopper) pick(sel procfs.Selection) ([]int, error) {
	st.mu.Lock()
	x := st.exam
	st.mu.Unlock()
	if x != nil {
		if tids, err := x.Select(sel); err == nil {
			return tids, nil
		}
	}
	return st.session.Select(sel)
}

func isOver(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
