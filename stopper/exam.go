package stopper

import (
	"errors"
	"io/fs"
	"syscall"

	"massattach/procfs"
)

// Verdict is what is to be thought of an exam.
type Verdict string

const (
	// Coherent: the thread has not run since before the first look at it. All that
	// was seen of it belongs to one moment.
	Coherent Verdict = "coherent"
	// Ran: it did.
	Ran Verdict = "ran"
	// OnCPU: it is on a CPU, or waits for one. There is nothing to see then but
	// its name and its state.
	OnCPU Verdict = "on-cpu"
	// Gone: it has ended.
	Gone Verdict = "gone"
)

// ErrRan says that the thread has run meanwhile: what was seen of it is to be
// discarded. It may be examined anew.
var ErrRan = errors.New("it ran meanwhile")

// ErrOnCPU says that the thread can't be examined: it is on a CPU, or waits for
// one.
var ErrOnCPU = errors.New("it is on a CPU, or waits for one")

// ErrGone says that the thread has ended, or that there was none. It answers to
// fs.ErrNotExist.
var ErrGone error = goneError{}

type goneError struct{}

func (goneError) Error() string        { return "it has ended" }
func (goneError) Is(target error) bool { return target == fs.ErrNotExist }

// Err is the error that says the same; nil for Coherent.
func (v Verdict) Err() error {
	switch v {
	case Ran:
		return ErrRan
	case OnCPU:
		return ErrOnCPU
	case Gone:
		return ErrGone
	}
	return nil
}

// Exam is a look, or several, at a thread that stays where it is: nobody stops it,
// and nobody keeps it from running. What the fields say, and what the methods answer
// without an error, is of one moment: of this thread, which has not run since the
// exam began. It ends when the function returns that it was handed to.
//
// That is about the thread and what only it changes. Other threads run on and write
// to the memory that they share, and the kernel may still complete a read into it.
type Exam struct {
	TID     int
	Verdict Verdict
	Comm    string // the name, as it is
	State   byte   // one of procfs.States
	// Call is the system call that it is blocked in, its arguments, and where it
	// left user mode. When the verdict is not Coherent it is Running, or empty
	// with a Nr of -1.
	Call procfs.Syscall

	people people
	namer  namer
	start  uint64  // of the thread that was picked, 0: of none
	task   subject // nil until it is needed
	mark   mark
}

// tries is how often an exam begins anew with a thread that ran.
const tries = 3

// begin looks at the thread. The verdict says what came of it.
func (e *Exam) begin() error {
	for range tries {
		if err := e.settle(e.look()); err != nil || e.Verdict != Ran {
			return err
		}
	}
	return nil
}

// settle makes a verdict of what went wrong, if it is one.
func (e *Exam) settle(err error) error {
	switch {
	case err == nil:
		e.Verdict = Coherent
		return nil
	case errors.Is(err, ErrRan):
		e.Verdict = Ran
	case errors.Is(err, ErrOnCPU):
		e.Verdict = OnCPU
	case vanished(err):
		e.Verdict = Gone
	default:
		return err
	}
	if e.Call = (procfs.Syscall{Nr: -1}); e.Verdict == OnCPU {
		e.Call.Running = true
	}
	return nil
}

// look is the protocol: the run count; the system call, for which the kernel waits
// until the thread is off the CPU (lib/syscall.c, wait_task_inactive); all else; and
// the same run count. That counts each time that a thread is put on a CPU, when it
// is, and so the thread can't have run since it was off.
func (e *Exam) look() error {
	if err := e.open(); err != nil {
		return err
	}
	var err error
	if e.mark, err = marked(e.task); err != nil {
		return err
	}
	call, err := e.task.Syscall()
	if err != nil {
		return err
	}
	e.Call = inUser(call)
	st, err := e.task.Stat()
	if err != nil {
		return err
	}
	if e.start != 0 && st.StartTime != e.start {
		return ErrGone // this one has its number
	}
	e.Comm, e.State = st.Comm, st.State
	switch {
	case st.State == 'Z' || st.State == 'X':
		return ErrGone
	case e.Call.Running:
		return ErrOnCPU
	}
	return e.mark.check(e.task)
}

// inUser is the call of a thread that has a user mode to come back to. Kernel threads
// have none, and their empty registers look like a call of number 0.
func inUser(call procfs.Syscall) procfs.Syscall {
	if call.PC == 0 && call.SP == 0 {
		call = procfs.Syscall{Running: call.Running, Nr: -1}
	}
	return call
}

func (e *Exam) open() (err error) {
	if e.task == nil {
		e.task, err = e.people.Open(e.TID)
	}
	return err
}

func (e *Exam) close() {
	if e.task != nil {
		_ = e.task.Close() // it was only read
		e.task = nil
	}
}

// Check says whether the thread has not run since the exam began: nil, or [ErrRan],
// [ErrGone], [ErrOnCPU]. Who looks at it by other means than this type's calls it
// afterwards.
func (e *Exam) Check() error {
	if e.Verdict != Coherent {
		return e.Verdict.Err()
	}
	err := e.open()
	if err == nil {
		err = e.mark.check(e.task)
	}
	if err = e.settle(err); err != nil {
		return err
	}
	return e.Verdict.Err()
}

// ID tells the thread from another one that is given its number later.
func (e *Exam) ID() (id procfs.ID, err error) {
	err = e.during(func() error {
		st, err := e.task.Stat()
		id = st.ID()
		return err
	})
	return id, err
}

// Syscall is the name of Call; "" in none. In a 32-bit program it is
// syscall_NUMBER, see [procfs.Names].
func (e *Exam) Syscall() string { return e.namer.Syscall(e.TID, e.Call.Nr) }

// Wchan is the name of the kernel function that the thread waits in; "" if it waits
// in none, or the kernel does not let us see.
func (e *Exam) Wchan() (wchan string, err error) {
	err = e.during(func() error {
		var err error
		if wchan, err = e.task.Wchan(); errors.Is(err, errors.ErrUnsupported) {
			err = nil
		}
		return err
	})
	return wchan, err
}

// ReadAt reads len(buf) bytes of the thread's memory at addr, such as its stack from
// Call.SP on. Without an error buf has all of them, and the thread has not run up to
// then. EFAULT: there is nothing at addr, or not so much.
func (e *Exam) ReadAt(buf []byte, addr uint64) error {
	return e.during(func() error {
		err := e.task.ReadAt(buf, addr)
		if errors.Is(err, syscall.EIO) || errors.Is(err, syscall.EINVAL) {
			return syscall.EFAULT
		}
		return err
	})
}

// during does one look, which is worth nothing if the thread has run.
func (e *Exam) during(look func() error) error {
	if err := e.Verdict.Err(); err != nil {
		return err
	}
	err := e.open()
	if err == nil {
		err = look()
	}
	if cerr := e.Check(); cerr != nil {
		return cerr
	}
	return err
}

// mark is what tells whether a thread has run: where the kernel keeps the account,
// how often and how long it has (a coincidence of all three, of the thread that
// takes the leader's number at an exec, is none to reckon with); else how often it
// has left a CPU.
type mark struct {
	runs     procfs.Schedstat
	switches uint64
}

func marked(s subject) (m mark, err error) {
	m.runs, err = s.Schedstat()
	if err != nil && !errors.Is(err, errors.ErrUnsupported) || m.runs.Runs > 0 {
		return m, err
	}
	m.runs = procfs.Schedstat{}
	m.switches, err = switches(s)
	return m, err
}

func switches(s subject) (uint64, error) {
	st, err := s.Status()
	return st.VoluntarySwitches + st.NonvoluntarySwitches, err
}

// check says whether the thread, which was off the CPU since m, has run.
func (m mark) check(s subject) error {
	if m.runs.Runs > 0 {
		now, err := s.Schedstat()
		if err == nil && now != m.runs {
			err = ErrRan
		}
		return err
	}
	// Leaving the CPU is counted when it leaves: so it has to be off first.
	call, err := s.Syscall()
	if err == nil && call.Running {
		err = ErrRan
	}
	if err != nil {
		return err
	}
	n, err := switches(s)
	if err == nil && n != m.switches {
		err = ErrRan
	}
	return err
}

// vanished says whether err is that of a thread which is not there.
func vanished(err error) bool { return errors.Is(err, fs.ErrNotExist) || gone(err) }
