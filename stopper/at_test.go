package stopper_test

import (
	"context"
	"errors"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"

	"massattach/attacher"
	"massattach/attacher/attachertest"
	"massattach/stopper"
)

// at begins to collect the events that threads are held at; each is checked to
// stand still.
func (f *fake) at(m attacher.EventMask) (ctxEnd func(), got func() []attacher.Event) {
	f.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	held, err := f.At(ctx, m)
	must(f.t, err)
	var events []attacher.Event
	done := make(chan struct{})
	go func() {
		defer close(done)
		for h := range held {
			tid := h.Event().TID
			if f.m.State(tid) != 't' || !slices.Equal(h.TIDs(), []int{tid}) {
				f.t.Errorf("%+v: state %c, %v are held", h.Event(), f.m.State(tid), h.TIDs())
			}
			e := h.Event()
			events = append(events, attacher.Event{Kind: e.Kind, TID: e.TID, OldTID: e.OldTID, Signal: e.Signal})
		}
	}()
	return func() { cancel(); <-done }, func() []attacher.Event { synctest.Wait(); return events }
}

func (f *fake) saw(got []attacher.Event, want ...attacher.Event) {
	f.t.Helper()
	if !slices.Equal(got, want) {
		f.t.Errorf("events %+v, want %+v", got, want)
	}
}

func TestAtSignal(t *testing.T) {
	onFake(t, 3, attacher.Options{}, func(f *fake) {
		f.m.Handle(syscall.SIGUSR1, attachertest.Handler)
		end, events := f.at(attacher.EventSignal)
		f.m.Signal(101, syscall.SIGUSR1)
		f.saw(events(), attacher.Event{Kind: attacher.EventSignal, TID: 101, Signal: syscall.SIGUSR1})
		f.areStopped()
		if a := f.m.Account(); len(a.Handled) != 1 {
			t.Errorf("handled %v", a.Handled)
		}
		end()
		f.m.Signal(101, syscall.SIGUSR1)
		if len(events()) != 1 {
			t.Errorf("events after the end: %+v", events())
		}
	})
}

func TestAtBirth(t *testing.T) {
	onFake(t, 3, attacher.Options{Follow: attacher.FollowClone}, func(f *fake) {
		end, events := f.at(attacher.EventBirth)
		born := f.m.Spawn(101)
		f.saw(events(), attacher.Event{Kind: attacher.EventBirth, TID: born})
		f.areStopped()
		end()
	})
}

func TestAtExec(t *testing.T) {
	onFake(t, 4, attacher.Options{Share: 2}, func(f *fake) {
		end, events := f.at(attacher.EventExec)
		f.m.Exec(102)
		f.saw(events(), attacher.Event{Kind: attacher.EventExec, TID: 100, OldTID: 102})
		f.areStopped()
		end()
	})
}

func TestAtGroupStop(t *testing.T) {
	onFake(t, 2, attacher.Options{}, func(f *fake) {
		end, events := f.at(attacher.EventGroupStop)
		f.m.Kill(100, syscall.SIGSTOP)
		got := events()
		slices.SortFunc(got, func(a, b attacher.Event) int { return a.TID - b.TID })
		f.saw(got, attacher.Event{Kind: attacher.EventGroupStop, TID: 100, Signal: syscall.SIGSTOP},
			attacher.Event{Kind: attacher.EventGroupStop, TID: 101, Signal: syscall.SIGSTOP})
		must(t, f.arrest(stopper.Request{}).Resume()) // it is no event that they report again
		if len(events()) != 2 {
			t.Errorf("events %+v", events())
		}
		f.m.Kill(100, syscall.SIGCONT)
		f.areStopped()
		end()
	})
}

func TestAtNotSupported(t *testing.T) {
	onFake(t, 2, attacher.Options{}, func(f *fake) {
		for _, m := range []attacher.EventMask{0, attacher.EventExit, attacher.EventExit | attacher.EventExec, attacher.EventBirth} {
			if _, err := f.At(context.Background(), m); !errors.Is(err, stopper.ErrNotSupported) {
				t.Errorf("%#x: %v", m, err)
			}
		}
	})
}

// The loop is left in the middle, and the session ends: who is held runs on.
func TestAtBreak(t *testing.T) {
	onFake(t, 4, attacher.Options{}, func(f *fake) {
		f.m.Handle(syscall.SIGUSR1, attachertest.Handler)
		held, err := f.At(context.Background(), attacher.EventSignal)
		must(t, err)
		for _, tid := range f.m.Threads() {
			f.m.Signal(tid, syscall.SIGUSR1)
		}
		f.areStopped(100, 101, 102, 103)
		for range held {
			break
		}
		f.areStopped()
		held, err = f.At(context.Background(), attacher.EventSignal)
		must(t, err)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range held {
			}
		}()
		must(t, f.session.Close())
		<-done
	})
}
