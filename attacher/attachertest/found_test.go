package attachertest_test

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
	"massattach/threadset"
)

// What the simulation has found, each once more without it.

// session attaches to m, and fails when a thread moves as no thread can.
func session(t *testing.T, m *attachertest.Machine, o attacher.Options, a attacher.Arbiter) *attacher.Session {
	t.Helper()
	o.Kernel, o.Proc = m, m
	o.Trace = &attacher.Trace{Mistaken: func(err error) { t.Error(err) }}
	s, err := attacher.Attach(context.Background(), 100, &o)
	must(t, err)
	if a != nil {
		must(t, s.SetArbiter(a))
	}
	return s
}

// over ends a session, and looks at what is left.
func over(t *testing.T, m *attachertest.Machine, s *attacher.Session) {
	t.Helper()
	must(t, s.Close())
	must(t, m.Quiet())
}

// eachTID has f called by the owners of all threads.
func eachTID(t *testing.T, s *attacher.Session, f func(*attacher.Owner, int) error) {
	t.Helper()
	must(t, s.Do(context.Background(), procfs.Selection{}, func(o *attacher.Owner) error {
		for _, tid := range o.TIDs() {
			if err := f(o, tid); err != nil {
				t.Errorf("thread %d: %v", tid, err)
			}
		}
		return nil
	}))
}

func phase(s *attacher.Session, tid int) threadset.Phase {
	for th := range s.Threads() {
		if th.TID == tid {
			return th.Phase
		}
	}
	return threadset.Exited
}

// verdict is an arbiter that answers itself to everything, until it changes.
type verdict struct{ atomic.Int32 }

func (v *verdict) Decide(int, attacher.Stop) attacher.Verdict { return attacher.Verdict(v.Load()) }

func always(v attacher.Verdict) *verdict {
	a := new(verdict)
	a.Store(int32(v))
	return a
}

// decide is an arbiter.
type decide func(attacher.Stop) attacher.Verdict

func (d decide) Decide(_ int, s attacher.Stop) attacher.Verdict { return d(s) }

// A thread that nobody has interrupted is to be held at a signal, and is not
// any more at the stop that follows.
func TestHoldAtSignalOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := attachertest.New(100, 3)
		m.Handle(syscall.SIGUSR1, attachertest.Handler)
		s := session(t, m, attacher.Options{}, decide(func(s attacher.Stop) attacher.Verdict {
			if s.Kind == attacher.StopSignal {
				return attacher.Hold
			}
			return attacher.Pass
		}))
		m.Signal(101, syscall.SIGUSR1)
		synctest.Wait()
		if p := phase(s, 101); p != threadset.Running {
			t.Errorf("it is %v", p)
		}
		over(t, m, s)
	})
}

// The threads of a tracer that broke are found again although nobody was born
// since.
func TestFoundAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := attachertest.New(100, 5)
		m.Handle(syscall.SIGUSR1, attachertest.Handler)
		broken := false
		m.Before = func(op string, _ int) error {
			if op == "cont" && !broken {
				broken = true
				panic("in the middle")
			}
			return nil
		}
		s := session(t, m, attacher.Options{}, nil)
		m.Signal(101, syscall.SIGUSR1)
		time.Sleep(time.Second)
		for _, tid := range m.Threads() {
			if m.TracerOf(tid) == 0 {
				t.Errorf("thread %d is not traced any more", tid)
			}
		}
		complains(t, s.Close(), "in the middle")
		must(t, m.Quiet())
	})
}

// A signal of our own that is dropped has interrupted a call.
func TestDropRepairs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := attachertest.New(100, 3)
		s := session(t, m, attacher.Options{}, always(attacher.Drop))
		m.Cookie(101, syscall.SIGURG, cookie)
		synctest.Wait()
		over(t, m, s)
	})
}

// A thread that was held in a group-stop is interrupted as soon as it listens,
// and a SIGCONT has come meanwhile.
func TestInterruptAfterListen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := attachertest.New(100, 3)
		a := always(attacher.Hold)
		s := session(t, m, attacher.Options{}, a)
		m.Kill(100, syscall.SIGSTOP)
		synctest.Wait()
		m.Kill(100, syscall.SIGCONT)
		a.Store(int32(attacher.Pass))
		eachTID(t, s, func(o *attacher.Owner, tid int) error {
			if err := o.Resume(tid); err != nil {
				return err
			}
			return o.Interrupt(tid)
		})
		synctest.Wait()
		for _, tid := range m.Threads() {
			if p := phase(s, tid); p != threadset.Running {
				t.Errorf("thread %d is %v", tid, p)
			}
		}
		over(t, m, s)
	})
}

// Threads that are held in a group-stop are killed at the moment that they are
// to listen again.
func TestResumeOfTheKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := attachertest.New(100, 3)
		m.Before = func(op string, _ int) error {
			if op == "listen" {
				m.Kill(100, syscall.SIGKILL)
			}
			return nil
		}
		a := always(attacher.Hold)
		s := session(t, m, attacher.Options{}, a)
		m.Kill(100, syscall.SIGSTOP)
		synctest.Wait()
		a.Store(int32(attacher.Pass))
		must(t, s.Do(context.Background(), procfs.Selection{}, func(o *attacher.Owner) error {
			for _, tid := range o.TIDs() {
				if err := o.Resume(tid); err != syscall.ESRCH {
					t.Errorf("thread %d: %v", tid, err)
				}
			}
			return nil
		}))
		<-s.Ended()
		over(t, m, s)
		if got := m.Account().Parent; !slices.Equal(got, []string{"stopped", "killed 9"}) {
			t.Errorf("the parent saw %v", got)
		}
	})
}

// A thread that is being asked to stop gives birth first, and that stop takes
// the place of the one that was asked for.
func TestInterruptBeforeBirth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := attachertest.New(100, 3)
		m.Manual = true
		s := session(t, m, attacher.Options{Follow: attacher.FollowClone}, decide(func(s attacher.Stop) attacher.Verdict {
			if s.TID == 101 && s.Kind == attacher.StopTrap {
				return attacher.Hold
			}
			return attacher.Pass
		}))
		m.Spawn(101)
		eachTID(t, s, func(o *attacher.Owner, tid int) error {
			if tid != 101 {
				return nil
			}
			return o.Interrupt(tid)
		})
		for len(m.Runnable()) > 0 {
			m.Run(m.Runnable()[0])
			synctest.Wait()
		}
		if p := phase(s, 101); p != threadset.Held {
			t.Errorf("it is %v", p)
		}
		m.Manual = false
		over(t, m, s)
	})
}

// A thread that is held at a birth has been asked to stop; it is resumed, and
// then a SIGCONT traps it.
func TestHoldAtBirth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := attachertest.New(100, 3)
		m.Before = func(op string, tid int) error {
			if op == "interrupt" && tid == 101 {
				m.Spawn(101)
			}
			return nil
		}
		s := session(t, m, attacher.Options{Follow: attacher.FollowClone}, decide(func(s attacher.Stop) attacher.Verdict {
			if s.Kind == attacher.StopClone {
				return attacher.Hold
			}
			return attacher.Pass
		}))
		eachTID(t, s, (*attacher.Owner).Interrupt)
		synctest.Wait()
		eachTID(t, s, (*attacher.Owner).Resume)
		synctest.Wait()
		m.Kill(100, syscall.SIGCONT)
		synctest.Wait()
		for th := range s.Threads() {
			if th.Phase != threadset.Running {
				t.Errorf("thread %d is %v", th.TID, th.Phase)
			}
		}
		over(t, m, s)
	})
}

// A thread is killed at the moment that it is resumed, and then asked to stop.
func TestInterruptOfTheKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := attachertest.New(100, 3)
		m.Before = func(op string, _ int) error {
			if op == "cont" {
				m.Kill(100, syscall.SIGKILL)
			}
			return nil
		}
		s := session(t, m, attacher.Options{}, always(attacher.Hold))
		eachTID(t, s, (*attacher.Owner).Interrupt)
		synctest.Wait()
		must(t, s.Do(context.Background(), procfs.Selection{}, func(o *attacher.Owner) error {
			for _, tid := range o.TIDs() {
				_ = o.Resume(tid)
				_ = o.Interrupt(tid)
			}
			return nil
		}))
		over(t, m, s)
	})
}

// aTID is a number that a test tells its hooks.
type aTID struct{ v atomic.Int64 }

func (a *aTID) set(tid int) { a.v.Store(int64(tid)) }
func (a *aTID) get() int    { return int(a.v.Load()) }

// The list can't be read at the moment that somebody was born.
func TestListFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := attachertest.New(100, 3)
		var born aTID
		failed := false
		m.Before = func(op string, _ int) error {
			if op == "list" && born.get() > 0 && !failed {
				failed = true
				return syscall.EMFILE
			}
			return nil
		}
		s := session(t, m, attacher.Options{}, nil)
		born.set(m.Spawn(0))
		time.Sleep(time.Second)
		if m.TracerOf(born.get()) == 0 {
			t.Error("it was never found")
		}
		over(t, m, s)
	})
}

// The attach is given up at a moment when a stranger has been seized by mistake,
// and there is nobody left of the target.
func TestGivenUpBesideStranger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := attachertest.New(100, 3)
		ctx, cancel := context.WithCancel(t.Context())
		m.Before = func(op string, tid int) error {
			switch {
			case op == "seize" && tid == 101:
				m.Kill(100, syscall.SIGKILL)
				m.Reuse(101)
			case op == "status" && tid == 101:
				cancel()
			}
			return nil
		}
		s, err := attacher.Attach(ctx, 100, &attacher.Options{Kernel: m, Proc: m, Follow: attacher.FollowNone})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		if err == nil {
			_ = s.Close()
		}
		must(t, m.Quiet())
	})
}
