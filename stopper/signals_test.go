package stopper_test

import (
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"

	"massattach/attacher"
	"massattach/attacher/attachertest"
	"massattach/stopper"
)

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
