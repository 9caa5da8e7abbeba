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

// notified has a test on a process of n threads whose stopper has the fake's
// mechanism of notify style.
func notified(t *testing.T, n int, o attacher.Options, f func(*fake)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := attachertest.New(100, n)
		s := attachFake(t, m, o)
		defer s.session.Close()
		f(s)
		must(t, s.session.Close())
		must(t, m.Check())
		must(t, m.Quiet())
	})
}

// notifying is a request in notify style, of all or of some.
func notifying(tids ...int) stopper.Request {
	return stopper.Request{Style: stopper.Notify, Selection: procfs.Selection{TIDs: tids}}
}

// counts fails unless so many threads have stopped and are in the kernel.
func counts(t *testing.T, h *stopper.Held, stopped, inKernel int) {
	t.Helper()
	synctest.Wait()
	r := h.Report()
	if r.Stopped != stopped || r.InKernel != inKernel || r.Missed != 0 || r.Requested != stopped+inKernel {
		t.Fatalf("stopped %d, in kernel %d, missed %d of %d; want %d and %d", r.Stopped, r.InKernel, r.Missed, r.Requested, stopped, inKernel)
	}
	if got := len(h.TIDs()); got != stopped {
		t.Fatalf("%d threads are named as stopped, of %d", got, stopped)
	}
	if got := len(h.InKernel()); got != inKernel {
		t.Fatalf("%d threads are named as in the kernel, of %d", got, inKernel)
	}
}

// Who sleeps in the kernel sleeps on, and stops when it would return; who runs stops
// at once; and each goes on once.
func TestNotify(t *testing.T) {
	notified(t, 4, attacher.Options{}, func(f *fake) {
		f.m.Spin(101)
		h := f.arrest(notifying())
		f.areStopped(101)
		counts(t, h, 1, 3)
		if r := h.Report(); r.Style != stopper.Notify || r.Mechanism != "fake" || r.Guarantee != notify.Strict || !r.Complete {
			t.Errorf("report %+v", r)
		}
		f.m.Return(102, 7)
		f.areStopped(101, 102)
		counts(t, h, 2, 2)
		must(t, h.Resume())
		f.areStopped()
		if r := f.m.Results(102); r[7] != 1 {
			t.Errorf("the call has returned %v", r)
		}
		if a := f.m.Account(); a.EINTR != 0 {
			t.Errorf("%d calls have failed with EINTR", a.EINTR)
		}
		if r := h.Report(); r.Stopped != 2 || r.InKernel != 2 {
			t.Errorf("when it let go it had %d stopped and %d in the kernel", r.Stopped, r.InKernel)
		}
	})
}

// An interrupt holder and notify holders of all subsets of three threads, in every
// order of letting go, with two holders also when all calls return meanwhile: a thread that an interrupt holder has stopped stands still as
// long as anybody holds it; one that only notify holders hold sleeps, and can't get
// out of the kernel.
func TestMixedHoldersExhaustively(t *testing.T) {
	styles := [][]stopper.Style{
		{stopper.Notify, stopper.Interrupt}, {stopper.Interrupt, stopper.Notify}, {stopper.Notify, stopper.Notify},
		{stopper.Notify, stopper.Interrupt, stopper.Notify}, {stopper.Interrupt, stopper.Notify, stopper.Notify},
		{stopper.Notify, stopper.Notify, stopper.Interrupt}, {stopper.Interrupt, stopper.Notify, stopper.Interrupt},
	}
	for _, wake := range []bool{false, true} {
		notified(t, 3, attacher.Options{}, func(f *fake) {
			for _, style := range styles {
				if wake && len(style) > 2 {
					continue
				}
				var sets func(done [][]int)
				sets = func(done [][]int) {
					if len(done) < len(style) {
						for _, s := range subsets(3) {
							sets(append(slices.Clone(done), s))
						}
						return
					}
					for _, order := range permutations(len(style)) {
						f.mixed(style, done, order, wake)
					}
				}
				sets(nil)
			}
		})
	}
}

// mixed has holders hold sets of threads and let go in an order; with wake all calls
// return when all hold.
func (f *fake) mixed(style []stopper.Style, sets [][]int, order []int, wake bool) {
	f.t.Helper()
	held := make([]*stopper.Held, len(sets))
	wants := func(i int) (any bool) {
		for j, set := range sets {
			any = any || held[j] != nil && slices.Contains(set, i)
		}
		return any
	}
	still := make(map[int]bool)
	check := func() {
		f.t.Helper()
		var want []int
		for i := range 3 {
			if still[i] = still[i] && wants(i); still[i] {
				want = append(want, 100+i)
			}
		}
		f.areStopped(want...)
		for j, set := range sets {
			if held[j] == nil {
				continue
			}
			n := 0
			for _, i := range set {
				if still[i] {
					n++
				}
			}
			counts(f.t, held[j], n, len(set)-n)
		}
	}
	for j, set := range sets {
		r := stopper.Request{Style: style[j]}
		if len(set) < 3 {
			r.Selection.TIDs = []int{}
			for _, i := range set {
				r.Selection.TIDs = append(r.Selection.TIDs, 100+i)
			}
		}
		held[j] = f.arrest(r)
		for _, i := range set {
			still[i] = still[i] || style[j] == stopper.Interrupt
		}
		check()
	}
	if wake {
		for i := range 3 {
			still[i] = f.m.Return(100+i, 1) && wants(i) || still[i]
		}
		check()
	}
	for _, j := range order {
		must(f.t, held[j].Resume())
		held[j] = nil
		check()
	}
}

// A thread that blocks every signal of ours is interrupted, and counted.
func TestMute(t *testing.T) {
	notified(t, 3, attacher.Options{}, func(f *fake) {
		for _, tid := range []int{101, 102} {
			f.m.Block(tid, syscall.SIGURG, syscall.SIGWINCH, syscall.SIGCHLD)
		}
		f.m.Spin(101)
		h := f.arrest(notifying())
		f.areStopped(101)
		counts(t, h, 1, 2)
		f.m.Return(102, 1) // mute, and only found out now
		time.Sleep(10 * time.Millisecond)
		f.areStopped(101, 102)
		counts(t, h, 2, 1)
		if r := h.Report(); r.BestEffort != 2 {
			t.Errorf("%d threads count as best effort, want 2", r.BestEffort)
		}
		must(t, h.Resume())
		f.areStopped()
	})
}

// A call that is over when its thread stops for us has not been ended by that, were
// it the kind of call that a stop may end early.
func TestEndedByItself(t *testing.T) {
	notified(t, 2, attacher.Options{}, func(f *fake) {
		f.m.Set(101, attachertest.Write)
		h := f.arrest(notifying())
		f.m.Return(101, 1)
		f.areStopped(101)
		must(t, h.Resume())
		if r := f.session.Report().Repair; r != (attacher.RepairReport{}) {
			t.Errorf("there was something to repair: %+v", r)
		}
	})
}

// A signal of the target's own that comes during the hold is delivered once, after
// it: also one of the number of ours, which is pending behind the stop of an
// interrupt holder and swallows it.
func TestMergedSignal(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGUSR1, syscall.SIGWINCH, syscall.SIGURG} {
		notified(t, 2, attacher.Options{}, func(f *fake) {
			for _, s := range []syscall.Signal{sig, syscall.SIGURG, syscall.SIGCHLD} {
				f.m.Handle(s, attachertest.Handler)
			}
			f.m.Handle(syscall.SIGWINCH, attachertest.Handler)
			h := f.arrest(notifying())
			both := f.arrest(stopper.Request{})
			f.areStopped(100, 101)
			f.m.Queue(101, sig, 7)
			must(t, both.Resume())
			f.areStopped(100, 101)
			must(t, h.Resume())
			f.areStopped()
			a := f.m.Account()
			want := []attachertest.Delivery{{TID: 101, Signal: sig, Code: -1, Value: 7}}
			if !slices.Equal(a.Handled, want) {
				t.Errorf("%v: handled %v, merged %d; want %v", sig, a.Handled, a.Merged, want)
			}
			if sig == syscall.SIGWINCH && a.Merged != 1 {
				t.Errorf("%d were merged: the test shows nothing", a.Merged)
			}
		})
	}
}

// Signals of the target's own to threads that are held in notify style, asleep and
// stopped.
func TestSignalInNotifyHold(t *testing.T) {
	notified(t, 3, attacher.Options{}, func(f *fake) {
		f.m.Handle(syscall.SIGUSR1, attachertest.Handler)
		f.m.Spin(101)
		h := f.arrest(notifying())
		f.m.Queue(101, syscall.SIGUSR1, 1)
		f.m.Queue(102, syscall.SIGUSR1, 2)
		f.areStopped(101, 102)
		counts(t, h, 2, 1)
		must(t, h.Resume())
		f.areStopped()
		if a := f.m.Account(); len(a.Handled) != 2 || a.Undue != 0 {
			t.Errorf("handled %v, undue EINTR %d", a.Handled, a.Undue)
		}
	})
}

// The tool is killed at every step of an arrest in notify style and its release:
// nothing is left stopped, and no signal is lost.
func TestKillInNotify(t *testing.T) {
	for step := range 60 {
		synctest.Test(t, func(t *testing.T) {
			m := attachertest.New(100, 3)
			f := attachFake(t, m, attacher.Options{})
			defer f.session.Close()
			m.Handle(syscall.SIGUSR1, attachertest.Handler)
			m.Spin(101)
			var n atomic.Int64
			f.hook(func(string, int) error {
				if n.Add(1) == int64(step) {
					m.KillTool()
				}
				return nil
			})
			r := notifying()
			r.Within = time.Second
			if h, err := f.Arrest(t.Context(), r); err == nil {
				m.Queue(102, syscall.SIGUSR1, 1)
				m.Return(100, 1)
				synctest.Wait()
				_ = h.Resume()
			} else {
				m.Queue(102, syscall.SIGUSR1, 1)
			}
			synctest.Wait()
			m.KillTool()
			synctest.Wait()
			if a := m.Account(); len(a.Handled) != 1 || len(a.Lost) != 0 {
				t.Errorf("step %d: handled %v, lost %v", step, a.Handled, a.Lost)
			}
			must(t, m.Quiet())
			must(t, m.Check())
		})
	}
}

// Case 76: the context ends at each call of an arrest in notify style in turn, and of
// the resume. Nobody is left armed or stopped, and the next arrest works.
func TestCancelAnywhereInNotify(t *testing.T) {
	done := false
	for at := int64(1); !done; at++ {
		notified(t, 4, attacher.Options{Share: 2}, func(f *fake) {
			f.m.Spin(101)
			f.m.Block(103, syscall.SIGURG, syscall.SIGWINCH, syscall.SIGCHLD)
			f.m.Spin(103)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			var calls atomic.Int64
			f.hook(func(string, int) error {
				if calls.Add(1) == at {
					cancel()
				}
				return nil
			})
			h, err := f.Arrest(ctx, notifying())
			if err == nil {
				done = ctx.Err() == nil
				must(t, h.Resume())
			} else if !errors.Is(err, context.Canceled) {
				t.Errorf("at call %d: %v", at, err)
			}
			f.hook(nil)
			f.free(100, 102)
		})
		if at > 10_000 {
			t.Fatal("it never ends")
		}
	}
}

// free fails unless nobody has stopped, and those that sleep return when they are
// woken; and unless the next arrest works.
func (f *fake) free(asleep ...int) {
	f.t.Helper()
	f.areStopped()
	f.returns(asleep...)
	f.areStopped()
	h := f.arrest(notifying())
	must(f.t, h.Resume())
	f.areStopped()
}

// returns wakes threads that are armed for nobody.
func (f *fake) returns(tids ...int) {
	f.t.Helper()
	for _, tid := range tids {
		if f.m.Sealed(tid) {
			f.t.Errorf("thread %d is armed", tid)
		}
		if !f.m.Return(tid, 1) {
			f.t.Errorf("thread %d does not sleep", tid)
		}
	}
}

// slow is a mechanism by which one thread never gets on.
type slow struct {
	notify.Mechanism
	tid int
}

func (s slow) Look() (notify.Look, error) {
	l, err := s.Mechanism.Look()
	l.Pending = append(l.Pending, s.tid)
	return l, err
}

// slowed is a process of 4 threads whose stopper has such a mechanism.
func slowed(t *testing.T, tid int) (*fake, *slow) {
	t.Helper()
	m := attachertest.New(100, 4)
	s, err := attacher.Attach(t.Context(), 100, &attacher.Options{Kernel: m, Proc: m})
	must(t, err)
	f, mechanism := &fake{t: t, m: m, session: s}, &slow{m.Notify(100), tid}
	f.Stopper, err = stopper.New(s, &stopper.Options{
		OpenNotify: func(int, string) (notify.Mechanism, error) { return mechanism, nil },
	})
	must(t, err)
	return f, mechanism
}

// A deadline ends while one is on a CPU in the kernel: the error names it, and nobody
// is left armed or stopped; or all are held but that one, which is armed no more.
func TestDeadlineWhilePending(t *testing.T) {
	for _, partial := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f, _ := slowed(t, 102)
			m, s := f.m, f.session
			defer s.Close()
			m.Spin(101)
			r := notifying()
			r.Within, r.Partial = time.Second, partial
			h, err := f.Arrest(t.Context(), r)
			if partial {
				must(t, err)
				f.areStopped(101)
				if r := h.Report(); r.Stopped != 1 || r.InKernel != 2 || r.Missed != 1 || r.Complete || r.Missing[0].TID != 102 {
					t.Errorf("%+v", r)
				}
				f.returns(102)
				f.areStopped(101)
				must(t, h.Resume())
			} else {
				var e *stopper.PartialError
				if !errors.As(err, &e) || len(e.Missing) != 1 || e.Missing[0].TID != 102 || e.Stopped != 3 {
					t.Fatalf("%v", err)
				}
			}
			f.areStopped()
			f.returns(100, 103)
			f.areStopped()
			must(t, s.Close())
			must(t, m.Check())
			must(t, m.Quiet())
		})
	}
}

// Who was in the kernel for somebody who has let go is not known to be for the next, also
// where it has been waited for all the time: it may be anywhere since.
func TestInKernelForTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, mechanism := slowed(t, 0) // nobody
		m, s := f.m, f.session
		defer s.Close()
		m.Set(102, attachertest.Disk)
		waiting := make(chan error)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			_, err := f.Arrest(ctx, stopper.Request{})
			waiting <- err
		}()
		synctest.Wait()
		first := f.arrest(notifying())
		counts(t, first, 3, 1)
		must(t, first.Resume())

		mechanism.tid = 102 // on a CPU in the kernel, say
		r := notifying()
		r.Within, r.Partial = time.Second, true
		h := f.arrest(r)
		if r := h.Report(); r.Stopped != 3 || r.InKernel != 0 || r.Missed != 1 || r.Missing[0].TID != 102 {
			t.Errorf("%+v", r)
		}
		must(t, h.Resume())
		cancel()
		if err := <-waiting; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		m.Return(102, 0)
		f.areStopped()
		must(t, s.Close())
		must(t, m.Check())
		must(t, m.Quiet())
	})
}

// The end of a session, and that of the process, end the watch over a hold that
// nobody has let go.
func TestCloseInNotifyHold(t *testing.T) {
	for _, ends := range []bool{false, true} {
		notified(t, 3, attacher.Options{}, func(f *fake) {
			f.arrest(notifying())
			if ends {
				f.m.Kill(100, syscall.SIGKILL)
				<-f.session.Ended()
			}
			must(t, f.session.Close()) // or the bubble never ends
		})
	}
}

// A call that was under way in the kernel gives birth while all are held: the newborn
// is found in every follow mode, stopped and counted, and the guarantee is gone; but
// one that is born a tracee stops before its first instruction.
func TestLateBirth(t *testing.T) {
	for _, follow := range []attacher.Follow{attacher.FollowScan, attacher.FollowClone, attacher.FollowEvent, attacher.FollowNone} {
		notified(t, 3, attacher.Options{Follow: follow}, func(f *fake) {
			h := f.arrest(notifying())
			born := f.m.Spawn(101)
			time.Sleep(50 * time.Millisecond)
			late, guarantee := 1, notify.BestEffort
			if follow == attacher.FollowClone {
				late, guarantee = 0, notify.Strict
				f.areStopped(101, born) // its creator has been let out of the event
			} else {
				f.areStopped(born)
			}
			r := h.Report()
			if r.Requested != 4 || r.Missed != 0 {
				t.Errorf("%v: %+v", follow, r)
			}
			if r.LateBirths != late || r.Guarantee != guarantee {
				t.Errorf("%v: %d late births, %s", follow, r.LateBirths, r.Guarantee)
			}
			must(t, h.Resume())
			f.areStopped()
		})
	}
}

// The leader alone is held when another thread execs, and has its number from then on:
// that one is held in its place, before the new program begins.
func TestExecTakesHeldLeader(t *testing.T) {
	for _, style := range []stopper.Style{stopper.Notify, stopper.Interrupt} {
		notified(t, 3, attacher.Options{}, func(f *fake) {
			r := notifying(100)
			r.Style = style
			h := f.arrest(r)
			f.m.Exec(101)
			f.areStopped(100)
			counts(t, h, 1, 0)
			must(t, h.Resume())
			f.areStopped()
		})
	}
}
