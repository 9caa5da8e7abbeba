package stopper_test

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"runtime"
	"slices"
	"testing"
	"time"

	"massattach/attacher"
	"massattach/internal/bpf"
	"massattach/internal/target"
	"massattach/procfs"
	"massattach/stopper"
)

// means are the ways to examine many threads that work here.
func means(t testing.TB) []stopper.Means {
	all := []stopper.Means{stopper.MeansProc}
	switch err := bpf.TasksSupported(); {
	case err == nil:
		all = append(all, stopper.MeansIterator)
	case mustHave("tasks"):
		t.Fatal(err)
	default:
		t.Log(err)
	}
	return all
}

func newExaminer(t testing.TB, pid int, m stopper.Means) *stopper.Examiner {
	t.Helper()
	x, err := stopper.NewExaminer(pid, &stopper.ExamineOptions{Means: m})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	})
	return x
}

func startTarget(t testing.TB, spec target.Spec) *target.Target {
	t.Helper()
	p, err := target.Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// pairs are threads that write two words and sleep a moment, again and again. While
// one sleeps the words are the same, and so are two arguments of its call.
type pairs struct {
	tids []int
	at   map[int]uint64

	coherent, ran, onCPU int
	torn                 int // words that did not match, of those that ran
}

func newPairs(t *testing.T, p *target.Target) *pairs {
	t.Helper()
	kinds, err := p.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ps := &pairs{tids: kinds[target.KindPair], at: make(map[int]uint64)}
	for _, tid := range ps.tids {
		a, err := p.Thread(t.Context(), tid)
		if err != nil || a.Pair == 0 {
			t.Fatal(a, err)
		}
		ps.at[tid] = a.Pair
	}
	return ps
}

// look reads the words of a thread with some time between, by f, and says whether
// they belong together, and to the call.
func (ps *pairs) look(e *stopper.Exam, round int, f func([]byte, uint64) error) (matched bool, err error) {
	var a, b [8]byte
	at := ps.at[e.TID]
	err = f(a[:], at)
	spin(time.Duration(round%50) * time.Microsecond)
	err = errors.Join(err, f(b[:], at+8))
	first, second := binary.NativeEndian.Uint64(a[:]), binary.NativeEndian.Uint64(b[:])
	return first == second && e.Call.Args[4] == first && e.Call.Args[5] == first, err
}

func spin(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
	}
}

// Threads that block for a moment, again and again: whatever was seen of one that
// has not run belongs together, words of its memory and arguments of its call. And
// who looks without regard to that would see words that do not.
func TestExamineSound(t *testing.T) {
	p := startTarget(t, target.Spec{Pair: 5})
	ps := newPairs(t, p)
	want := size(2_000, 100_000)
	for _, m := range means(t) {
		t.Run(string(m), func(t *testing.T) {
			*ps = pairs{tids: ps.tids, at: ps.at}
			x := newExaminer(t, p.PID(), m)
			for round := 0; ps.coherent < want; round++ {
				if round > 100*want {
					t.Fatalf("%+v", ps)
				}
				// A few at a time: those who come last run before it is their turn.
				from := round % (len(ps.tids) - 2)
				sel := procfs.Selection{TIDs: ps.tids[from : from+3]}
				err := x.ExamineAll(t.Context(), sel, func(e *stopper.Exam) error {
					round++
					return ps.take(t, e, round)
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			t.Logf("%d coherent, %d ran (%d of them with words that did not match), %d on a CPU", ps.coherent, ps.ran, ps.torn, ps.onCPU)
			if ps.ran == 0 || ps.torn == 0 {
				t.Error("nobody ran between two looks: it proves nothing")
			}
		})
	}
	a, err := p.Account(t.Context())
	if err != nil || a.EINTR != 0 || a.Early != 0 {
		t.Errorf("%d EINTR, %d early, %v", a.EINTR, a.Early, err)
	}
}

func (ps *pairs) take(t *testing.T, e *stopper.Exam, round int) error {
	switch e.Verdict {
	case stopper.OnCPU:
		ps.onCPU++
		return nil
	case stopper.Ran:
		ps.ran++
		return nil
	case stopper.Gone:
		t.Errorf("thread %d: %s", e.TID, e.Verdict)
		return nil
	}
	if e.Syscall() != "clock_nanosleep" || e.Comm != target.KindPair || e.Call.PC == 0 || e.Call.SP == 0 {
		t.Errorf("%+v: %s", e, e.Syscall())
	}
	matched, err := ps.look(e, round, e.ReadAt)
	switch {
	case err == nil && matched:
		ps.coherent++
	case err == nil:
		t.Errorf("thread %d: words that do not belong together: %+v", e.TID, e)
	case errors.Is(err, stopper.ErrRan):
		ps.ran++
		if !matched {
			ps.torn++
		}
	default:
		t.Error(err)
	}
	return err
}

// The same of one thread at a time, looked at by other means than the Exam's, which
// is judged when the function returns.
func TestExamineOneSound(t *testing.T) {
	p := startTarget(t, target.Spec{Pair: 5})
	ps := newPairs(t, p)
	x := newExaminer(t, p.PID(), stopper.MeansProc)
	process, err := procfs.FS{}.Open(p.PID())
	if err != nil {
		t.Fatal(err)
	}
	defer process.Close()
	tasks := make(map[int]*procfs.Task)
	for _, tid := range ps.tids {
		if tasks[tid], err = process.Task(tid); err != nil {
			t.Fatal(err)
		}
		defer tasks[tid].Close()
	}
	want := size(2_000, 100_000)
	for round := 0; ps.coherent < want && round < 100*want; round++ {
		tid := ps.tids[round%len(ps.tids)]
		matched := false
		err := x.Examine(t.Context(), tid, func(e *stopper.Exam) (err error) {
			matched, err = ps.look(e, round, tasks[tid].ReadAt)
			return err
		})
		switch {
		case err == nil && matched:
			ps.coherent++
		case err == nil:
			t.Errorf("thread %d: words that do not belong together", tid)
		case errors.Is(err, stopper.ErrRan):
			ps.ran++
			if !matched {
				ps.torn++
			}
		case errors.Is(err, stopper.ErrOnCPU):
			ps.onCPU++
		default:
			t.Fatal(err)
		}
	}
	t.Logf("%d coherent, %d ran (%d of them with words that did not match), %d on a CPU", ps.coherent, ps.ran, ps.torn, ps.onCPU)
	if ps.coherent < want || ps.torn == 0 {
		t.Error("it proves nothing")
	}
}

// All threads, by either means: the same that /proc says of them.
func TestExamineAll(t *testing.T) {
	p := startTarget(t, target.Spec{Epoll: 300, Sem: 20, Sleep: 20, Read: 20, Futex: 100, Spin: 1, CPUs: []int{runtime.NumCPU() - 1}})
	kinds, err := p.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range means(t) {
		t.Run(string(m), func(t *testing.T) {
			x := newExaminer(t, p.PID(), m)
			seen := make(map[int]stopper.Exam)
			if err := x.ExamineAll(t.Context(), procfs.Selection{}, func(e *stopper.Exam) error {
				if _, twice := seen[e.TID]; twice {
					t.Errorf("thread %d comes twice", e.TID)
				}
				seen[e.TID] = *e
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if len(seen) != p.Threads() {
				t.Errorf("%d of %d threads", len(seen), p.Threads())
			}
			if e := seen[kinds[target.KindSpin][0]]; e.Verdict != stopper.OnCPU || e.Comm != target.KindSpin || e.State != 'R' || !e.Call.Running || e.Call.PC != 0 {
				t.Errorf("%+v", e)
			}
			for _, kind := range []string{target.KindEpoll, target.KindSem, target.KindSleep, target.KindRead, target.KindFutex} {
				for _, tid := range kinds[kind] {
					sameAsProc(t, p.PID(), seen[tid])
				}
			}
		})
	}
}

func sameAsProc(t *testing.T, pid int, e stopper.Exam) {
	t.Helper()
	process, err := procfs.FS{}.Open(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer process.Close()
	call, err := process.Syscall(e.TID)
	if err != nil {
		t.Fatal(err)
	}
	st, err := process.Stat(e.TID)
	if err != nil {
		t.Fatal(err)
	}
	if e.Verdict != stopper.Coherent || e.Call != call || e.Comm != st.Comm || e.State != st.State {
		t.Errorf("%+v\n%+v\n%+v", e, call, st)
	}
}

// Selections pick the same by either means.
func TestExamineSelections(t *testing.T) {
	p := startTarget(t, target.Spec{Epoll: 40, Sem: 7, Read: 5, Futex: 1})
	kinds, err := p.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.End(t.Context(), p.PID()); err != nil { // a zombie leader
		t.Fatal(err)
	}
	for _, m := range means(t) {
		x := newExaminer(t, p.PID(), m)
		quickly := 0
		for _, tc := range []struct {
			sel  procfs.Selection
			want []int
		}{
			{procfs.Selection{Comm: "sem"}, kinds[target.KindSem]},
			{procfs.Selection{Comm: "ep*", State: "SD"}, kinds[target.KindEpoll]},
			{procfs.Selection{Syscall: "read", Comm: "read"}, kinds[target.KindRead]},
			{procfs.Selection{Syscall: "semop"}, kinds[target.KindSem]},
			{procfs.Selection{TIDs: kinds[target.KindSem][:3]}, kinds[target.KindSem][:3]},
			{procfs.Selection{TIDs: []int{}}, nil},
			{procfs.Selection{State: "T"}, nil},
			{procfs.Selection{State: "Z"}, []int{p.PID()}},
			{procfs.Selection{Func: func(t procfs.Thread) bool { return t.TID == kinds[target.KindRead][1] }}, kinds[target.KindRead][1:2]},
		} {
			var got []int
			err := x.ExamineAll(t.Context(), tc.sel, func(e *stopper.Exam) error {
				got = append(got, e.TID)
				if want := stopper.Coherent; e.TID == p.PID() {
					if e.Verdict != stopper.Gone || e.State != 'Z' {
						t.Errorf("a zombie: %+v", e)
					}
				} else if e.Verdict != want {
					t.Errorf("%+v", e)
				}
				return nil
			})
			slices.Sort(got)
			if selected, ok := stopper.SelectQuickly(x, tc.sel); ok {
				slices.Sort(selected)
				if m != stopper.MeansIterator || !slices.Equal(selected, tc.want) {
					t.Errorf("%s: select %+v: %v, want %v", m, tc.sel, selected, tc.want)
				}
				quickly++
			}
			if err != nil || !slices.Equal(got, tc.want) {
				t.Errorf("%s: %+v: %v, want %v, %v", m, tc.sel, got, tc.want, err)
			}
		}
		if err := x.ExamineAll(t.Context(), procfs.Selection{State: "?"}, nil); err == nil {
			t.Error("no such state")
		}
		if m == stopper.MeansIterator && quickly == 0 {
			t.Error("it selects nobody quickly")
		}
	}
}

// While threads come and go each that stays is examined.
func TestExamineChurn(t *testing.T) {
	p := startTarget(t, target.Spec{Epoll: 200, Churn: 2, Births: target.Births{Rate: 500, Life: 2 * time.Millisecond}})
	kinds, err := p.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range means(t) {
		x := newExaminer(t, p.PID(), m)
		for range size(50, 1000) {
			seen := make(map[int]stopper.Verdict)
			if err := x.ExamineAll(t.Context(), procfs.Selection{}, func(e *stopper.Exam) error {
				if _, twice := seen[e.TID]; twice {
					t.Errorf("thread %d comes twice", e.TID)
				}
				seen[e.TID] = e.Verdict
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			for _, tid := range kinds[target.KindEpoll] {
				if seen[tid] != stopper.Coherent {
					t.Fatalf("%s: thread %d: %q", m, tid, seen[tid])
				}
			}
		}
	}
}

// Beside a session: held threads can be looked at as well, and nobody is woken.
func TestExamineInSession(t *testing.T) {
	needRepair(t)
	s := newScene(t, target.Spec{Epoll: 20, Sem: 5, Spin: 1}, attacher.Options{})
	kinds := s.kinds()
	tid := kinds[target.KindEpoll][0]
	look := func() (call procfs.Syscall, name, wchan string) {
		err := s.stopper.Examine(t.Context(), tid, func(e *stopper.Exam) (err error) {
			call, name = e.Call, e.Syscall()
			if err := e.ReadAt(make([]byte, 16), e.Call.SP-16); err != nil {
				return err
			}
			wchan, err = e.Wchan()
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return call, name, wchan
	}
	if call, name, wchan := look(); call.Nr < 0 || name == "" || wchan == "" {
		t.Errorf("%+v, %q, %q", call, name, wchan)
	}
	before, _, _ := look()
	h := s.arrest(stopper.Request{})
	held, _, _ := look()
	if held.SP != before.SP {
		t.Errorf("%+v, then %+v", before, held)
	}
	// The spinning one does not run now.
	if err := s.stopper.Examine(t.Context(), kinds[target.KindSpin][0], func(e *stopper.Exam) error { return nil }); err != nil {
		t.Error(err)
	}
	s.resume(h)
	n := 0
	err := s.stopper.ExamineAll(t.Context(), procfs.Selection{Comm: "sem"}, func(e *stopper.Exam) error {
		if n++; n == 1 { // an arrest meanwhile, by a selection
			s.resume(s.arrest(stopper.Request{Selection: procfs.Selection{Comm: "epoll"}}))
		}
		return e.Check()
	})
	if err != nil || n != 5 {
		t.Errorf("%d, %v", n, err)
	}
	s.undisturbed()
	s.end()
	if err := s.stopper.Examine(t.Context(), tid, nil); !errors.Is(err, attacher.ErrClosed) {
		t.Error(err)
	}
}

func TestExamineErrors(t *testing.T) {
	p := startTarget(t, target.Spec{Epoll: 2, Spin: 1})
	kinds, err := p.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	pid, tid := p.PID(), kinds[target.KindEpoll][0]
	never := func(*stopper.Exam) error { t.Error("called"); return nil }
	if err := stopper.Examine(t.Context(), pid, kinds[target.KindSpin][0], never); !errors.Is(err, stopper.ErrOnCPU) {
		t.Error(err)
	}
	if err := stopper.Examine(t.Context(), pid, 1, never); !errors.Is(err, stopper.ErrGone) || !errors.Is(err, fs.ErrNotExist) {
		t.Error(err) // a thread, but another process's
	}
	if err := stopper.Examine(t.Context(), 1<<30, 1, never); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if _, ok := errors.AsType[*procfs.NotLeaderError](stopper.Examine(t.Context(), tid, tid, never)); !ok {
		t.Error("a thread is no process")
	}
	mine := errors.New("mine")
	if err := stopper.Examine(t.Context(), pid, tid, func(*stopper.Exam) error { return mine }); !errors.Is(err, mine) {
		t.Error(err)
	}
	err = stopper.Examine(t.Context(), pid, tid, func(e *stopper.Exam) error {
		if err := e.ReadAt(make([]byte, 8), 16); !errors.Is(err, errFault) {
			t.Error(err)
		}
		if err := e.ReadAt(make([]byte, 8), 1<<63); !errors.Is(err, errFault) {
			t.Error(err)
		}
		return e.Check()
	})
	if err != nil {
		t.Error(err)
	}
	calls := 0
	if err := stopper.ExamineAll(t.Context(), pid, procfs.Selection{}, func(*stopper.Exam) error { calls++; return mine }); !errors.Is(err, mine) || calls != 1 {
		t.Error(calls, err)
	}
	// One that ends under the look.
	err = stopper.Examine(t.Context(), pid, tid, func(e *stopper.Exam) error {
		if err := p.End(t.Context(), tid); err != nil {
			t.Fatal(err)
		}
		if err := e.ReadAt(make([]byte, 8), e.Call.SP-8); !errors.Is(err, stopper.ErrGone) {
			t.Error(err)
		}
		return nil
	})
	if !errors.Is(err, stopper.ErrGone) {
		t.Error(err)
	}
}
