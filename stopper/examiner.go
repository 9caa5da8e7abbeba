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
// verdict is: of one that is not Coherent there is little to see. By the iterator all
// verdicts are made before f is first called. What f reads by the methods of the Exam
// is checked by those; for what it sees by other means it calls Check afterwards. f
// must not call ExamineAll or Close.
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

// selectQuickly lists the threads that sel picks, as [procfs.Process.Select] does, by
// the iterator; false where that is not loaded, or at work.
func (x *Examiner) selectQuickly(sel procfs.Selection) (tids []int, ok bool) {
	if !sel.Looks() || sel.Func != nil || sel.Validate() != nil || !x.scanning.TryLock() {
		return nil, false
	}
	defer x.scanning.Unlock()
	if x.tasks == nil {
		return nil, false
	}
	records, _, rest, err := x.passes(x.tasks, sel, x.people.Names())
	for _, t := range records {
		tids = append(tids, t.TID)
	}
	if err == nil && len(rest) > 0 {
		sel.TIDs = rest
		var ids []procfs.ID
		ids, err = x.people.Pick(sel)
		for _, id := range ids {
			tids = append(tids, id.TID)
		}
	}
	return tids, err == nil
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
const worthwhile = 2000

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
