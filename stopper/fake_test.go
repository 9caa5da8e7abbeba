package stopper_test

import (
	"context"
	"slices"
	"sync/atomic"
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
