package stopper_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"massattach/attacher"
	"massattach/attacher/attachertest"
	"massattach/procfs"
	"massattach/stopper"
	"massattach/stopper/notify"
)

// fake is a simulated process that is attached to, and its stopper.
type fake struct {
	*stopper.Stopper
	t       *testing.T
	m       *attachertest.Machine
	session *attacher.Session
	before  atomic.Pointer[func(op string, tid int) error]
}

// hook has before called ahead of every call, nil for nothing.
func (f *fake) hook(before func(op string, tid int) error) {
	if before == nil {
		f.before.Store(nil)
		return
	}
	f.before.Store(&before)
}

// onFake runs a test on a process 100 of n threads in a bubble.
func onFake(t *testing.T, n int, o attacher.Options, f func(*fake)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := attachertest.New(100, n)
		s := attachFake(t, m, o)
		defer s.session.Close() // whatever happens, or the bubble never ends
		f(s)
		must(t, s.session.Close())
		must(t, m.Quiet())
	})
}

func attachFake(t *testing.T, m *attachertest.Machine, o attacher.Options) *fake {
	t.Helper()
	f := &fake{t: t, m: m}
	m.Before = func(op string, tid int) error {
		if before := f.before.Load(); before != nil {
			return (*before)(op, tid)
		}
		return nil
	}
	o.Kernel, o.Proc = m, m
	o.Trace = &attacher.Trace{Mistaken: func(err error) { t.Error(err) }}
	var err error
	f.session, err = attacher.Attach(context.Background(), 100, &o)
	must(t, err)
	f.Stopper, err = stopper.New(f.session, &stopper.Options{
		OpenNotify: func(pid int, _ string) (notify.Mechanism, error) { return m.Notify(pid), nil },
	})
	must(t, err)
	return f
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (f *fake) arrest(r stopper.Request) *stopper.Held {
	f.t.Helper()
	if r.Within == 0 {
		r.Within = time.Hour // of the bubble: it must not last for ever
	}
	h, err := f.Arrest(context.Background(), r)
	must(f.t, err)
	return h
}

func some(tids ...int) stopper.Request {
	return stopper.Request{Selection: procfs.Selection{TIDs: tids}}
}

// stopped are the threads that are in a ptrace-stop.
func (f *fake) stopped() (tids []int) {
	for _, tid := range f.m.Threads() {
		if f.m.State(tid) == 't' {
			tids = append(tids, tid)
		}
	}
	return tids
}

// areStopped fails unless those, and no others, are in a ptrace-stop.
func (f *fake) areStopped(want ...int) {
	f.t.Helper()
	synctest.Wait()
	if got := f.stopped(); !slices.Equal(got, want) {
		f.t.Fatalf("stopped are %v, want %v", got, want)
	}
}

// once has f done at the first call op on a thread.
func (f *fake) once(op string, do func(tid int)) {
	var done atomic.Bool
	f.hook(func(o string, tid int) error {
		if o == op && !done.Swap(true) {
			do(tid)
		}
		return nil
	})
}

// permutations of 0 to n-1.
func permutations(n int) (all [][]int) {
	if n == 0 {
		return [][]int{nil}
	}
	for _, p := range permutations(n - 1) {
		for i := range n {
			all = append(all, slices.Insert(slices.Clone(p), i, n-1))
		}
	}
	return all
}

// subsets of 0 to n-1, but for the empty one.
func subsets(n int) (all [][]int) {
	for set := 1; set < 1<<n; set++ {
		var s []int
		for i := range n {
			if set&(1<<i) != 0 {
				s = append(s, i)
			}
		}
		all = append(all, s)
	}
	return all
}

// Two and three holders of all subsets of three threads, which let go in every
// order: a thread stands still as long as one of them holds it, and no longer.
func TestHoldersExhaustively(t *testing.T) {
	onFake(t, 3, attacher.Options{}, func(f *fake) {
		all := subsets(3)
		for _, a := range all {
			for _, b := range all {
				for _, order := range permutations(2) {
					f.holders([][]int{a, b}, order)
				}
				for _, c := range all {
					for _, order := range permutations(3) {
						f.holders([][]int{a, b, c}, order)
					}
				}
			}
		}
	})
}

func (f *fake) holders(sets [][]int, order []int) {
	f.t.Helper()
	held := make([]*stopper.Held, len(sets))
	want := func() (tids []int) {
		for i := range 3 {
			for j, set := range sets {
				if held[j] != nil && slices.Contains(set, i) {
					tids = append(tids, 100+i)
					break
				}
			}
		}
		return tids
	}
	for j, set := range sets {
		var r stopper.Request
		if len(set) < 3 { // who holds three holds all
			r.Selection.TIDs = []int{}
			for _, i := range set {
				r.Selection.TIDs = append(r.Selection.TIDs, 100+i)
			}
		}
		held[j] = f.arrest(r)
		if got := held[j].TIDs(); len(got) != len(set) {
			f.t.Fatalf("%v of %v are held", got, set)
		}
		f.areStopped(want()...)
	}
	for _, j := range order {
		must(f.t, held[j].Resume())
		held[j] = nil
		f.areStopped(want()...)
	}
}

// A holder's context that ends lets go, of what nobody else holds.
func TestContextLetsGo(t *testing.T) {
	onFake(t, 4, attacher.Options{}, func(f *fake) {
		ctx, cancel := context.WithCancel(context.Background())
		h, err := f.Arrest(ctx, stopper.Request{})
		must(t, err)
		other := f.arrest(some(102))
		f.areStopped(100, 101, 102, 103)
		cancel()
		f.areStopped(102)
		must(t, h.Resume())
		var r attacher.Regs
		if err := h.Regs(101, &r); !errors.Is(err, stopper.ErrReleased) {
			t.Errorf("registers: %v", err)
		}
		if err := other.Regs(101, &r); !errors.Is(err, stopper.ErrNotHeld) {
			t.Errorf("registers of another: %v", err)
		}
		must(t, other.Regs(102, &r))
		must(t, other.Resume())
		f.areStopped()
	})
}

// The closure's threads run on whatever becomes of it.
func TestHoldResumes(t *testing.T) {
	onFake(t, 3, attacher.Options{}, func(f *fake) {
		wrong := errors.New("wrong")
		err := f.Hold(context.Background(), stopper.Request{}, func(h *stopper.Held) error {
			f.areStopped(100, 101, 102)
			return wrong
		})
		if !errors.Is(err, wrong) {
			t.Errorf("%v", err)
		}
		f.areStopped()
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			_ = f.Hold(context.Background(), stopper.Request{}, func(h *stopper.Held) error { panic("in the closure") })
		}()
		f.areStopped()
	})
}

// A thread that can't stop: when the time is over everybody runs on, the error
// names it, and it is let run when it comes.
func TestDeadline(t *testing.T) {
	for _, c := range []struct {
		call   attachertest.Call
		reason stopper.Reason
	}{{attachertest.Disk, stopper.Uninterruptible}, {attachertest.Vfork, stopper.Vfork}} {
		onFake(t, 4, attacher.Options{}, func(f *fake) {
			f.m.Set(102, c.call)
			_, err := f.Arrest(context.Background(), stopper.Request{Within: time.Second})
			var partial *stopper.PartialError
			if !errors.As(err, &partial) || !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("%v", err)
			}
			if partial.Requested != 4 || partial.Stopped != 3 || len(partial.Missing) != 1 {
				t.Fatalf("%+v", partial)
			}
			if m := partial.Missing[0]; m.TID != 102 || m.State != 'D' || m.Reason != c.reason {
				t.Errorf("missing: %v", m)
			}
			f.areStopped()

			r := stopper.Request{Within: time.Second, Partial: true}
			h := f.arrest(r)
			f.areStopped(100, 101, 103)
			if m := h.Missing(); len(m) != 1 || m[0].TID != 102 {
				t.Errorf("missing: %v", m)
			}
			f.m.Return(102, 0)
			f.areStopped(100, 101, 103) // it comes to its stop, and goes on
			if rep := h.Report(); rep.Requested != 4 || rep.Stopped != 3 || rep.Missed != 1 || rep.Elapsed < time.Second {
				t.Errorf("report: %+v", rep)
			}
			must(t, h.Resume())
			f.areStopped()
			f.m.Set(102, attachertest.EpollWait)
			f.m.Return(102, 0)
			must(t, f.arrest(stopper.Request{}).Resume())
		})
	}
}

// The stop of one that was given up comes after somebody else has asked for it.
func TestLateStopIsTakenUp(t *testing.T) {
	onFake(t, 3, attacher.Options{}, func(f *fake) {
		f.m.Set(101, attachertest.Disk)
		if _, err := f.Arrest(context.Background(), stopper.Request{Within: time.Second}); err == nil {
			t.Error("no error")
		}
		time.AfterFunc(time.Second, func() { f.m.Return(101, 0) })
		h := f.arrest(some(101))
		f.areStopped(101)
		must(t, h.Resume())
	})
}

// Case 76: the context ends at each call of an arrest in turn, and of the resume.
// Everybody runs on, and the next arrest works.
func TestCancelAnywhere(t *testing.T) {
	done := false
	for at := int64(1); !done; at++ {
		onFake(t, 4, attacher.Options{Share: 2}, func(f *fake) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			var calls atomic.Int64
			f.hook(func(string, int) error {
				if calls.Add(1) == at {
					cancel()
				}
				return nil
			})
			h, err := f.Arrest(ctx, stopper.Request{})
			if err == nil {
				done = ctx.Err() == nil
				synctest.Wait()
				if ctx.Err() == nil {
					f.areStopped(f.m.Threads()...)
				}
				must(t, h.Resume())
			} else if !errors.Is(err, context.Canceled) {
				t.Errorf("at call %d: %v", at, err)
			}
			f.hook(nil)
			f.areStopped()
			h = f.arrest(stopper.Request{})
			f.areStopped(f.m.Threads()...)
			must(t, h.Resume())
		})
		if at > 10_000 {
			t.Fatal("it never ends")
		}
	}
}

// Births at each call of an arrest: everybody stands still when it is over,
// however births are heard of.
func TestBirthsMeanwhile(t *testing.T) {
	for _, follow := range []attacher.Follow{attacher.FollowScan, attacher.FollowClone, attacher.FollowEvent, attacher.FollowNone} {
		t.Run(follow.String(), func(t *testing.T) {
			for at := int64(1); at < 120; at++ {
				onFake(t, 5, attacher.Options{Share: 2, Follow: follow, Settle: time.Hour}, func(f *fake) {
					var calls atomic.Int64
					f.hook(func(string, int) error {
						if n := calls.Add(1); n == at || n == at+7 {
							f.m.Spawn(0)
						}
						return nil
					})
					h := f.arrest(stopper.Request{})
					born := len(f.m.Threads()) - 5
					f.areStopped(f.m.Threads()...)
					if got := h.Report(); got.Stopped != 5+born {
						t.Errorf("%d are held, %d were born", got.Stopped, born)
					}
					must(t, h.Resume())
					f.areStopped()
				})
			}
		})
	}
}

// Case 40: one that is not the leader execs at each call of an arrest: it ends
// with the one that is left.
func TestExecMeanwhile(t *testing.T) {
	for at := int64(1); at < 120; at++ {
		share := 2 // the leader's tracer is another; or there is but one
		if at%2 == 0 {
			share = 500
		}
		onFake(t, 5, attacher.Options{Share: share}, func(f *fake) {
			var calls atomic.Int64
			f.hook(func(string, int) error {
				if calls.Add(1) == at/2 {
					f.m.Exec(103)
				}
				return nil
			})
			h := f.arrest(stopper.Request{})
			synctest.Wait()
			f.hook(nil)
			f.areStopped(f.m.Threads()...)
			if got := h.TIDs(); !slices.Equal(got, f.m.Threads()) {
				t.Errorf("at call %d: %v are held of %v", at, got, f.m.Threads())
			}
			must(t, h.Resume())
			f.areStopped()
			h = f.arrest(some(100))
			f.areStopped(100)
			must(t, h.Resume())
		})
	}
}

// One that could not be stopped goes on in the middle of a hold of all, and gives
// birth: whoever is born then is held.
func TestBirthInHold(t *testing.T) {
	for _, follow := range []attacher.Follow{attacher.FollowScan, attacher.FollowClone, attacher.FollowEvent} {
		onFake(t, 4, attacher.Options{Follow: follow}, func(f *fake) {
			f.m.Set(102, attachertest.Disk)
			h := f.arrest(stopper.Request{Within: time.Second, Partial: true})
			f.m.Set(102, attachertest.EpollWait)
			f.m.Return(102, 0)
			synctest.Wait()
			born := f.m.Spawn(102)
			if follow != attacher.FollowClone {
				time.Sleep(time.Second)
			}
			f.areStopped(100, 101, 103, born)
			if got := h.TIDs(); !slices.Equal(got, []int{100, 101, 103, born}) {
				t.Errorf("%v are held", got)
			}
			must(t, h.Resume())
			f.areStopped()
		})
	}
}

// Threads end at each call of an arrest; the leader, too, which is a zombie then
// and reports nothing until all others have ended.
func TestExitsMeanwhile(t *testing.T) {
	for _, who := range []int{100, 102} {
		for at := int64(1); at < 60; at++ {
			onFake(t, 4, attacher.Options{Share: 2}, func(f *fake) {
				var calls atomic.Int64
				f.hook(func(string, int) error {
					if calls.Add(1) == at {
						f.m.Exit(who, 0)
					}
					return nil
				})
				h := f.arrest(stopper.Request{})
				f.hook(nil)
				if n := len(f.stopped()); n != len(h.TIDs()) || n < 3 {
					t.Errorf("at call %d: %v are stopped, %v held", at, f.stopped(), h.TIDs())
				}
				must(t, h.Resume())
				f.areStopped()
			})
		}
	}
}

// Case 28: the process is killed at each call of an arrest.
func TestKillMeanwhile(t *testing.T) {
	for at := int64(1); at < 60; at++ {
		onFake(t, 4, attacher.Options{Share: 2}, func(f *fake) {
			var calls atomic.Int64
			f.hook(func(string, int) error {
				if calls.Add(1) == at {
					f.m.Kill(100, syscall.SIGKILL)
				}
				return nil
			})
			h, err := f.Arrest(context.Background(), stopper.Request{})
			switch {
			case err == nil:
				must(t, h.Resume())
			case !errors.Is(err, attacher.ErrGone):
				t.Errorf("at call %d: %v", at, err)
			}
			f.m.Kill(100, syscall.SIGKILL)
			<-f.session.Ended()
			synctest.Wait()
			if h != nil && len(h.TIDs()) != 0 {
				t.Errorf("%v are held", h.TIDs())
			}
		})
	}
}

// The session ends during a hold, and during an arrest that waits.
func TestCloseMeanwhile(t *testing.T) {
	onFake(t, 4, attacher.Options{}, func(f *fake) {
		h := f.arrest(stopper.Request{})
		must(t, f.session.Close())
		f.areStopped()
		must(t, h.Resume())
		if _, err := f.Arrest(context.Background(), stopper.Request{}); !errors.Is(err, attacher.ErrClosed) {
			t.Errorf("%v", err)
		}
	})
	onFake(t, 4, attacher.Options{}, func(f *fake) {
		f.m.Set(101, attachertest.Disk)
		closed := make(chan error)
		time.AfterFunc(time.Second, func() { closed <- f.session.Close() })
		if _, err := f.Arrest(context.Background(), stopper.Request{}); !errors.Is(err, attacher.ErrClosed) {
			t.Errorf("%v", err)
		}
		must(t, <-closed)
		f.m.Return(101, 0)
	})
}

// Case 71: a process that is stopped is arrested, and resumed: it is stopped
// still. A SIGCONT during the hold acts when that is over, as a SIGSTOP does.
func TestJobControl(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGTSTP} {
		onFake(t, 3, attacher.Options{}, func(f *fake) {
			f.m.Kill(100, sig)
			synctest.Wait()
			h := f.arrest(stopper.Request{})
			must(t, h.Resume())
			must(t, f.m.Check())
			f.arrestAgain(func() { f.m.Kill(100, syscall.SIGCONT) })
			for th := range f.session.Threads() {
				if th.JobStopped {
					t.Errorf("thread %d is stopped after SIGCONT", th.TID)
				}
			}
			f.arrestAgain(func() { f.m.Kill(100, sig) })
			for th := range f.session.Threads() {
				if !th.JobStopped {
					t.Errorf("thread %d runs after %v", th.TID, sig)
				}
			}
			f.m.Kill(100, syscall.SIGCONT)
			f.areStopped()
			want := []string{"stopped", "continued", "stopped", "continued"}
			if got := f.m.Account().Parent; !slices.Equal(got, want) {
				t.Errorf("the parent saw %v", got)
			}
		})
	}
}

// arrestAgain has something happen during a hold.
func (f *fake) arrestAgain(do func()) {
	f.t.Helper()
	h := f.arrest(stopper.Request{})
	do()
	f.areStopped(f.m.Threads()...)
	must(f.t, h.Resume())
	synctest.Wait()
}

// Case 16, 17, 23: a signal comes just before, at, and just after each call of an
// arrest; its handler runs once, after the resume.
func TestSignalMeanwhile(t *testing.T) {
	for at := int64(1); at < 60; at++ {
		onFake(t, 3, attacher.Options{}, func(f *fake) {
			f.m.Handle(syscall.SIGUSR1, attachertest.Handler)
			var calls atomic.Int64
			f.hook(func(string, int) error {
				if calls.Add(1) == at {
					f.m.Signal(101, syscall.SIGUSR1)
				}
				return nil
			})
			h := f.arrest(stopper.Request{})
			f.areStopped(100, 101, 102)
			if calls.Load() < at {
				f.m.Signal(101, syscall.SIGUSR1)
			}
			f.hook(nil)
			must(t, h.Resume())
			synctest.Wait()
			a := f.m.Account()
			if len(a.Handled) != 1 || a.EINTR != 1 {
				t.Errorf("at call %d: handled %v, %d EINTR", at, a.Handled, a.EINTR)
			}
		})
	}
}

// A call that has done something when it is woken returns that, and is counted.
func TestEarlyResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := attachertest.New(100, 3)
		m.Set(101, attachertest.Write)
		f := attachFake(t, m, attacher.Options{})
		must(t, f.arrest(stopper.Request{}).Resume())
		synctest.Wait()
		must(t, f.session.Close())
		if r := f.session.Report().Repair; r.Left != 1 || r.Repaired != 2 {
			t.Errorf("%+v", r)
		}
		if a := m.Account(); a.Early != 1 || a.Undue != 0 {
			t.Errorf("%+v", a)
		}
	})
}

// The hooks hear of each arrest and of each end of a hold.
func TestTrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := attachertest.New(100, 4)
		m.Set(101, attachertest.Disk)
		s, err := attacher.Attach(context.Background(), 100, &attacher.Options{Kernel: m, Proc: m})
		must(t, err)
		defer s.Close()
		var arrested, resumed []stopper.Report
		st, err := stopper.New(s, &stopper.Options{Trace: &stopper.Trace{
			Arrested: func(r stopper.Report) { arrested = append(arrested, r) },
			Resumed:  func(r stopper.Report) { resumed = append(resumed, r) },
		}})
		must(t, err)
		if _, err := stopper.New(s, nil); err == nil {
			t.Error("a session has taken a second stopper")
		}
		h, err := st.Arrest(context.Background(), stopper.Request{Within: time.Second, Partial: true})
		must(t, err)
		time.Sleep(time.Minute)
		must(t, h.Resume())
		must(t, h.Resume())
		if _, err := st.Arrest(context.Background(), stopper.Request{Within: time.Second}); err == nil {
			t.Error("no error")
		}
		if len(arrested) != 2 || len(resumed) != 2 || arrested[0].Missed != 1 || arrested[0].Stopped != 3 || arrested[0].Complete || resumed[0].Held != time.Minute {
			t.Errorf("arrested %+v, resumed %+v", arrested, resumed)
		}
		m.Return(101, 0)
	})
}

// Who is in such a call may be left there.
func TestPark(t *testing.T) {
	onFake(t, 4, attacher.Options{}, func(f *fake) {
		f.m.Set(101, attachertest.Write)
		f.m.SetName(102, "worker")
		h := f.arrest(stopper.Request{Park: true})
		f.areStopped(100, 102, 103)
		if got := h.Parked(); !slices.Equal(got, []int{101}) {
			t.Errorf("parked are %v", got)
		}
		must(t, h.Resume())
		h = f.arrest(stopper.Request{Park: true, Selection: procfs.Selection{Comm: "worker"}})
		f.areStopped(102)
		if got := h.Parked(); len(got) != 0 {
			t.Errorf("parked are %v", got)
		}
		must(t, h.Resume())
		if a := f.m.Account(); a.Early != 0 {
			t.Errorf("%d calls ended early", a.Early)
		}
	})
}

// A tracer that breaks lets its threads go; while all are held they are found and
// arrested again.
func TestTracerBreaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := attachertest.New(100, 6)
		f := attachFake(t, m, attacher.Options{Share: 2})
		h := f.arrest(stopper.Request{})
		f.once("regs", func(int) { panic("in the middle") })
		_ = h.Each(func(th stopper.Thread) error {
			var r attacher.Regs
			return th.Regs(&r)
		})
		time.Sleep(time.Second)
		f.areStopped(m.Threads()...)
		if got := h.TIDs(); len(got) != 6 {
			t.Errorf("%v are held", got)
		}
		must(t, h.Resume())
		f.areStopped()
		if err := f.session.Close(); err == nil {
			t.Error("nobody heard of the panic")
		}
	})
}

// What the process does during a hold of some: the others go on.
func TestSelection(t *testing.T) {
	onFake(t, 6, attacher.Options{}, func(f *fake) {
		f.m.SetName(103, "worker-3")
		f.m.SetName(104, "worker-4")
		f.m.Set(105, attachertest.Semop)
		for _, c := range []struct {
			sel  procfs.Selection
			want []int
		}{
			{procfs.Selection{Comm: "worker-*"}, []int{103, 104}},
			{procfs.Selection{TIDs: []int{101, 999}}, []int{101}},
			{procfs.Selection{Syscall: "semop"}, []int{105}},
			{procfs.Selection{State: "S", TIDs: []int{100, 101}}, []int{100, 101}},
			{procfs.Selection{Func: func(th procfs.Thread) bool { return th.TID%2 == 1 }}, []int{101, 103, 105}},
			{procfs.Selection{TIDs: []int{}}, nil},
		} {
			h := f.arrest(stopper.Request{Selection: c.sel})
			f.areStopped(c.want...)
			born := f.m.Spawn(100)
			f.areStopped(c.want...)
			f.m.Exit(born, 0)
			must(t, h.Resume())
			f.areStopped()
		}
		if _, err := f.Arrest(context.Background(), stopper.Request{Selection: procfs.Selection{Comm: "["}}); err == nil {
			t.Error("a broken pattern was taken")
		}
	})
}

// Memory of held threads is read and written.
func TestMemory(t *testing.T) {
	onFake(t, 2, attacher.Options{}, func(f *fake) {
		f.m.Poke(0x1000, []byte("hello"))
		h := f.arrest(stopper.Request{})
		b := make([]byte, 4)
		must(t, h.WriteAt(101, []byte("j"), 0x1000))
		must(t, h.ReadAt(101, b, 0x1000))
		if string(b) != "jell" {
			t.Errorf("read %q", b)
		}
		if err := h.ReadAt(101, b, 0x9000); !errors.Is(err, syscall.EFAULT) {
			t.Errorf("%v", err)
		}
		must(t, h.Resume())
	})
}
