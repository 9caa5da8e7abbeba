package stopper_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"massattach/attacher"
	"massattach/attacher/attachertest"
	"massattach/procfs"
	"massattach/stopper"
)

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

// Who stops in notify style was not woken for it: that a call has done only a part is
// its own affair.
func TestPartialResult(t *testing.T) {
	notified(t, 2, attacher.Options{}, func(f *fake) {
		f.m.Set(101, attachertest.Write)
		h := f.arrest(notifying())
		f.m.Return(101, 1)
		f.areStopped(101)
		must(t, h.Resume())
		must(t, f.session.Close())
		if r := f.session.Report().Repair; r != (attacher.RepairReport{}) {
			t.Errorf("%+v", r)
		}
	})
}
