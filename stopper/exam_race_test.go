package stopper

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"syscall"
	"testing"
	"time"

	"massattach/internal/bpf"
	"massattach/procfs"
)

// fakeThread is a thread as the kernel sees it. Whatever is read of it carries its
// epoch, which changes with each instruction that it runs.
type fakeThread struct {
	tid, epoch int
	start      uint64
	running    bool
	asleep     bool // not running, and in no queue
	ended      bool
	runs       uint64 // counted when it is put on a CPU
	switches   uint64 // counted when it leaves
	ran        time.Duration
}

func (t *fakeThread) wake()  { t.asleep = false }
func (t *fakeThread) run()   { t.runs++; t.running, t.asleep = true, false; t.epoch++ }
func (t *fakeThread) leave() { t.epoch++; t.running, t.asleep = false, true; t.switches++; t.ran += 7 }

// fakeWorld has one thread, and the one that gets its number when it has ended. Its
// script is what happens before the nth read of anything.
type fakeWorld struct {
	thread  *fakeThread
	account bool // schedstat has one
	reads   int
	script  map[int][]func(*fakeWorld)
	picked  uint64 // the start of the thread that was
	short   bool   // the iterator's second pass lacks the thread
	compat  bool   // it runs a 32-bit program
	passes  int
}

func (w *fakeWorld) step() {
	for _, do := range w.script[w.reads] {
		do(w)
	}
	w.reads++
}

// The things that happen.
func wakes(w *fakeWorld)  { w.thread.wake() }
func runs(w *fakeWorld)   { w.thread.run() }
func leaves(w *fakeWorld) { w.thread.leave() }

// picks has the scheduler count that the thread is put on a CPU, which it is only
// with lands.
func picks(w *fakeWorld) { w.thread.asleep = false; w.thread.runs++ }
func lands(w *fakeWorld) { w.thread.running = true; w.thread.epoch++ }

// blocks takes a running thread out of the queue; before it has left the CPU it is
// woken, and picked again: that is no switch, and not counted.
func blocks(w *fakeWorld)  { w.thread.run(); w.thread.asleep = true }
func resumes(w *fakeWorld) { w.thread.asleep = false; w.thread.epoch++ }

func ends(w *fakeWorld) {
	w.thread.epoch++
	w.thread.ended = true
}

// reborn has the number given to another, which looks the same but for what it is.
func reborn(w *fakeWorld) {
	old := *w.thread
	ends(w)
	old.start, old.epoch, old.ran = old.start+1, old.epoch+100, old.ran+1
	w.thread = &old
}

// execs has another thread take the number, and all that belongs to it: who has
// opened the one sees the other. Its run count is the same by chance.
func execs(w *fakeWorld) {
	w.thread.epoch += 50
	w.thread.ran += 3
}

func (w *fakeWorld) Open(tid int) (subject, error) {
	w.step()
	if w.thread.ended || tid != w.thread.tid {
		return nil, fs.ErrNotExist
	}
	return &fakeSubject{w, w.thread}, nil
}

func (w *fakeWorld) Pick(sel procfs.Selection) ([]procfs.ID, error) {
	w.step()
	if sel.TIDs != nil && !slices.Contains(sel.TIDs, w.thread.tid) {
		return nil, nil
	}
	w.picked = w.thread.start
	return []procfs.ID{{TID: w.thread.tid, Start: w.thread.start}}, nil
}

func (w *fakeWorld) NumThreads() (int, error) { return 1, nil }
func (w *fakeWorld) Names() namer             { return w }
func (w *fakeWorld) Syscall(_, nr int) string { return fmt.Sprint(nr) }
func (w *fakeWorld) Compat(int) bool          { return w.compat }
func (w *fakeWorld) Close() error             { return nil }

// All is one pass of the iterator. What belongs to one record is read at several
// moments, in the order of the program.
func (w *fakeWorld) All() iter.Seq2[bpf.Task, error] {
	return func(yield func(bpf.Task, error) bool) {
		w.passes++
		var r bpf.Task
		t := w.thread // that one, even if it ends meanwhile
		if t.ended {
			return
		}
		if w.passes == 1 {
			w.picked = t.start
		}
		for _, read := range []func(t *fakeThread){
			func(t *fakeThread) {
				r.TID, r.State, r.Start = t.tid, 'S', time.Duration(t.start)
				if w.account {
					r.Runs = t.runs
				}
			},
			func(t *fakeThread) { r.Queued = !t.asleep },
			func(t *fakeThread) { r.OnCPU = t.running },
			func(t *fakeThread) { r.Ran = t.ran },
			func(t *fakeThread) { r.Comm = fmt.Sprint(t.epoch) },
			func(t *fakeThread) { r.Args[0], r.PC = uint64(t.epoch), 1 },
		} {
			w.step()
			read(t)
		}
		if w.passes == 2 && w.short {
			return
		}
		if t.ended {
			r.State = 'X'
		}
		yield(r, nil)
	}
}

// fakeSubject is a thread that was opened.
type fakeSubject struct {
	w *fakeWorld
	t *fakeThread
}

func (s *fakeSubject) look() error {
	s.w.step()
	if s.t.ended {
		return syscall.ESRCH
	}
	return nil
}

func (s *fakeSubject) Schedstat() (procfs.Schedstat, error) {
	err := s.look()
	if !s.w.account {
		return procfs.Schedstat{}, err
	}
	return procfs.Schedstat{Run: s.t.ran, Runs: s.t.runs}, err
}

func (s *fakeSubject) Syscall() (procfs.Syscall, error) {
	err := s.look()
	if s.t.running || !s.t.asleep {
		return procfs.Syscall{Running: true, Nr: -1}, err
	}
	return procfs.Syscall{Args: [6]uint64{uint64(s.t.epoch)}, PC: 1}, err
}

func (s *fakeSubject) Stat() (procfs.Stat, error) {
	err := s.look()
	return procfs.Stat{TID: s.t.tid, Comm: fmt.Sprint(s.t.epoch), State: 'S', StartTime: s.t.start}, err
}

func (s *fakeSubject) Status() (procfs.Status, error) {
	err := s.look()
	return procfs.Status{VoluntarySwitches: s.t.switches}, err
}

func (s *fakeSubject) Wchan() (string, error) { return fmt.Sprint(s.t.epoch), s.look() }

// ReadAt reads by number, whoever has it.
func (s *fakeSubject) ReadAt(buf []byte, _ uint64) error {
	s.w.step()
	buf[0] = byte(s.w.thread.epoch)
	return nil
}

func (s *fakeSubject) Close() error { return nil }

// outcome is what an exam has come to.
type outcome struct {
	verdict  Verdict
	seen     []int // epochs, of what was answered without an error
	stranger bool  // another one than was picked
}

// examine looks at the thread several times, and says what it has seen.
func (w *fakeWorld) examine(t *testing.T, all bool, it tasks) (o outcome) {
	t.Helper()
	x := &Examiner{people: w, means: MeansProc}
	if it != nil {
		x.means, x.tasks = MeansIterator, it
	}
	look := func(e *Exam) error {
		o.verdict = e.Verdict
		if e.Verdict != Coherent {
			return nil
		}
		var epoch int
		_, err := fmt.Sscan(e.Comm, &epoch)
		o.seen = append(o.seen, epoch, int(e.Call.Args[0]))
		for range 2 {
			var b [1]byte
			if err == nil {
				if err = e.ReadAt(b[:], 0); err == nil {
					o.seen = append(o.seen, int(b[0]))
				}
			}
		}
		if err == nil {
			var id procfs.ID
			id, err = e.ID()
			o.stranger = err == nil && all && id.Start != w.picked
		}
		if err != nil {
			o.verdict = e.Verdict
		}
		return err
	}
	var err error
	if all {
		err = x.ExamineAll(context.Background(), procfs.Selection{Comm: "*"}, look)
	} else if err = x.Examine(context.Background(), w.thread.tid, look); isVerdict(err) {
		err = nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// At each moment of an exam, by each means, each thing happens that can, and where
// it takes two, at each two moments: what was seen is never of two.
func TestExamRaces(t *testing.T) {
	const reads = 26
	type happening struct{ first, second func(*fakeWorld) }
	all := map[string]happening{
		"runs":            {runs, leaves},
		"ends":            {ends, nil},
		"another's":       {reborn, nil},
		"execs":           {execs, nil},
		"runs, another's": {runs, reborn},
		"wakes, runs":     {wakes, runs},
		"picked, runs":    {picks, lands},
		"blocks, runs":    {blocks, resumes},
	}
	counts := make(map[Verdict]int)
	var missed []string
	try := func(name string, account, many, iterator, short bool, do map[int][]func(*fakeWorld)) {
		if name == "execs" && !account {
			return // the switches of another thread may be as many: no kernel without an account is that unlucky twice
		}
		w := &fakeWorld{
			thread:  &fakeThread{tid: 7, start: 5, runs: 3, switches: 3, epoch: 1, asleep: true},
			account: account, script: do, short: short,
		}
		var it tasks
		if iterator {
			it = w
		}
		o := w.examine(t, many, it)
		counts[o.verdict]++
		if len(slices.Compact(slices.Clone(o.seen))) > 1 {
			missed = append(missed, fmt.Sprintf("%s: account %v, many %v, iterator %v, short %v: %v", name, account, many, iterator, short, o.seen))
		}
		if o.stranger {
			missed = append(missed, fmt.Sprintf("%s: account %v, iterator %v: a stranger", name, account, iterator))
		}
	}
	for name, h := range all {
		for i := range reads {
			for j := i; j < reads; j++ {
				if h.second == nil && j > i {
					break
				}
				for mode := range 16 {
					account, many, iterator, short := mode&1 > 0, mode&2 > 0, mode&4 > 0, mode&8 > 0
					if iterator && !many || short && !iterator {
						continue
					}
					do := map[int][]func(*fakeWorld){i: {h.first}}
					if h.second != nil {
						do[j] = append(do[j], h.second)
					}
					try(name, account, many, iterator, short, do)
				}
			}
		}
	}
	for _, m := range missed {
		t.Error(m)
	}
	for _, v := range []Verdict{Coherent, Ran, OnCPU, Gone} {
		if counts[v] == 0 {
			t.Errorf("never %q: %v", v, counts)
		}
	}
}

// Who is undisturbed is coherent, by each means.
func TestExamUndisturbed(t *testing.T) {
	for mode := range 16 {
		account, many, iterator, short := mode&1 > 0, mode&2 > 0, mode&4 > 0, mode&8 > 0
		w := &fakeWorld{
			thread:  &fakeThread{tid: 7, start: 5, runs: 3, switches: 3, epoch: 1, asleep: true},
			account: account, short: short,
		}
		var it tasks
		if iterator {
			it = w
		}
		if o := w.examine(t, many, it); o.verdict != Coherent || !slices.Equal(o.seen, []int{1, 1, 1, 1}) {
			t.Errorf("%d: %+v", mode, o)
		}
	}
}

// The iterator is no use for a 32-bit program: it is an error for who wants it, and
// else goes by /proc.
func TestExamCompat(t *testing.T) {
	w := &fakeWorld{thread: &fakeThread{tid: 7, runs: 3, epoch: 1, asleep: true}, account: true, compat: true}
	x := &Examiner{people: w, means: MeansIterator, tasks: w}
	never := func(*Exam) error { t.Error("called"); return nil }
	if err := x.ExamineAll(t.Context(), procfs.Selection{}, never); !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
	if tids, ok := x.selectQuickly(procfs.Selection{State: "S"}); ok {
		t.Error(tids)
	}
	x.means = MeansBest
	n := 0
	if err := x.ExamineAll(t.Context(), procfs.Selection{}, func(e *Exam) error { n++; return e.Check() }); err != nil || n != 1 {
		t.Errorf("%d, %v", n, err)
	}
	if err := x.Close(); err != nil {
		t.Error(err)
	}
	if err := x.ExamineAll(t.Context(), procfs.Selection{}, never); !errors.Is(err, fs.ErrClosed) {
		t.Error(err)
	}
}

// Who is missing in a pass, because that ended before its time, is examined all the
// same, also if the dead make up for the number.
func TestExamMissing(t *testing.T) {
	for _, died := range []int{0, 1} {
		w := &fakeWorld{thread: &fakeThread{tid: 7, runs: 3, epoch: 1, asleep: true}, account: true}
		x := &Examiner{people: w, means: MeansIterator, tasks: &cutShort{died: died}}
		n := 0
		err := x.ExamineAll(t.Context(), procfs.Selection{}, func(e *Exam) error {
			if e.TID == 7 && e.Verdict == Coherent {
				n++
			}
			return nil
		})
		if err != nil || n != 1 {
			t.Errorf("%d have died: %d, %v", died, n, err)
		}
		if tids, ok := x.selectQuickly(procfs.Selection{State: "S", Comm: "*"}); !ok || !slices.Contains(tids, 7) {
			t.Errorf("%d have died: %v, %v", died, tids, ok)
		}
	}
}

// cutShort lists some that have died since, and nobody else.
type cutShort struct{ died, passes int }

func (c *cutShort) All() iter.Seq2[bpf.Task, error] {
	return func(yield func(bpf.Task, error) bool) {
		if c.passes++; c.passes%2 == 0 {
			return
		}
		for i := range c.died {
			yield(bpf.Task{TID: 100 + i, State: 'S', Runs: 5}, nil)
		}
	}
}

func (*cutShort) Close() error { return nil }

// An error that is no verdict is told, and makes nothing coherent.
func TestExamDenied(t *testing.T) {
	x := &Examiner{people: denied{new(fakeWorld)}, means: MeansProc}
	never := func(*Exam) error { t.Error("called"); return nil }
	if err := x.Examine(t.Context(), 7, never); !errors.Is(err, fs.ErrPermission) {
		t.Error(err)
	}
	if err := x.ExamineAll(t.Context(), procfs.Selection{}, never); !errors.Is(err, fs.ErrPermission) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := x.Examine(ctx, 7, never); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := x.ExamineAll(ctx, procfs.Selection{}, never); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

type denied struct{ *fakeWorld }

func (denied) Pick(procfs.Selection) ([]procfs.ID, error) { return []procfs.ID{{TID: 7}}, nil }
func (denied) Names() namer                               { return &fakeWorld{} }
func (denied) Open(int) (subject, error) {
	return deniedSubject{&fakeSubject{&fakeWorld{account: true}, &fakeThread{runs: 1}}}, nil
}

type deniedSubject struct{ *fakeSubject }

func (deniedSubject) Syscall() (procfs.Syscall, error) { return procfs.Syscall{}, syscall.EACCES }
