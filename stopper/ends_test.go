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
	"massattach/stopper"
)

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
