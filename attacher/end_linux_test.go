package attacher_test

import (
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"massattach/attacher"
	"massattach/internal/target"
	"massattach/procfs"
	"massattach/threadset"

	"golang.org/x/sys/unix"
)

// Case 48: the leader ends first; the tracer goes on with the others, and the
// parent hears of the end when all have ended.
func TestLeaderEndsFirst(t *testing.T) {
	for _, traced := range []bool{false, true} {
		t.Run(fmt.Sprintf("traced=%v", traced), func(t *testing.T) {
			p := start(t, target.Spec{Epoll: 50, Parent: target.ParentWatch,
				Signals: map[int]target.Disposition{sigUSR1: target.SigHandle}})
			var s *attacher.Session
			if traced {
				s = attach(t, p.PID(), nil)
			}
			if err := p.End(t.Context(), p.PID()); err != nil {
				t.Fatal(err)
			}
			if err := p.Send(t.Context(), target.Send{Signal: sigUSR1, Kind: target.KindEpoll}); err != nil {
				t.Fatal(err)
			}
			eventually(t, "each handler ran", func() bool { return account(t, p).Runs[sigUSR1] == 50 })
			if traced {
				if _, err := p.Spawn(t.Context(), target.KindFutex, 5); err != nil {
					t.Fatal(err)
				}
				eventually(t, "the new threads are traced", func() bool { return s.Report().Events.Births == 5 })
			}
			if a := parentSaw(t, p); len(a.Events) != 0 {
				t.Errorf("the parent saw %+v", a.Events)
			}
			if err := p.Exit(t.Context(), 42); err != nil {
				t.Fatal(err)
			}
			if e, err := p.Wait(t.Context()); err != nil || e.Code != 42 {
				t.Errorf("the parent got %v, %v", e, err)
			}
			if traced {
				<-s.Ended()
				if r := detach(t, s); r.Threads.Exited != r.Threads.Attached || r.Threads.Zombie != 0 {
					t.Errorf("threads: %+v", r.Threads)
				}
			}
		})
	}
}

// Case 54: the leader ends while the session is being closed.
func TestLeaderEndsDuringDetach(t *testing.T) {
	for i := range size(8, 200) {
		p := start(t, target.Spec{Epoll: 100})
		s := attach(t, p.PID(), nil)
		ended := make(chan error, 1)
		go func() { ended <- p.End(t.Context(), p.PID()) }()
		time.Sleep(time.Duration(i%8) * 50 * time.Microsecond)
		detach(t, s)
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		free(t, p.PID())
		undisturbed(t, p)
		p.Close()
	}
}

// Case 50: exit_group with thousands attached: all are reaped, and the status
// is the one that was given.
func TestExitGroup(t *testing.T) {
	for _, follow := range following {
		p := start(t, target.Spec{Futex: size(2_000, 10_000), Spin: 1, Parent: target.ParentWatch})
		s := attach(t, p.PID(), &attacher.Options{Follow: follow})
		if err := p.Exit(t.Context(), 42); err != nil {
			t.Fatal(err)
		}
		if e, err := p.Wait(t.Context()); err != nil || e.Code != 42 || e.Signal != 0 {
			t.Errorf("the parent got %v, %v", e, err)
		}
		select {
		case <-s.Ended():
		case <-time.After(patience):
			t.Fatal("the end of the target went unnoticed")
		}
		if r := detach(t, s); r.Threads.Exited != r.Threads.Attached {
			t.Errorf("threads: %+v", r.Threads)
		}
	}
}

// Case 49: a thread waits for its child of vfork, and can't stop, when it is
// let go: asked to stop or not, both go on.
func TestVforkAtDetach(t *testing.T) {
	for _, asked := range []bool{false, true} {
		t.Run(fmt.Sprintf("asked=%v", asked), func(t *testing.T) {
			p := start(t, target.Spec{Epoll: 20})
			var waiting []target.Vfork
			for range 3 {
				v, err := p.StartVfork(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				waiting = append(waiting, v)
			}
			s := attach(t, p.PID(), nil)
			if asked {
				h := &holder{on: true}
				if err := s.SetArbiter(h); err != nil {
					t.Fatal(err)
				}
				sel := procfs.Selection{}
				for _, v := range waiting {
					sel.TIDs = append(sel.TIDs, v.TID)
				}
				interrupt(t, s, sel)
			}
			// One child ends while its parent is traced.
			if err := syscall.Kill(waiting[0].PID, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			if asked {
				eventually(t, "its parent is held", func() bool { return phases(s)[threadset.Held] == 1 })
			}
			detach(t, s)
			for _, v := range waiting {
				if err := p.EndVfork(t.Context(), v.TID); err != nil {
					t.Error(err)
				}
			}
			free(t, p.PID())
			undisturbed(t, p)
		})
	}
}

// Case 52: threads are let go while they are held, with signals pending.
func TestDetachHeldWithSignals(t *testing.T) {
	needRepair(t)
	p := start(t, target.Spec{Epoll: 100, Signals: map[int]target.Disposition{sigUSR1: target.SigHandle, 45: target.SigHandle}})
	all, err := p.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tids := all[target.KindEpoll]
	for range size(5, 50) {
		if err := p.Reset(t.Context()); err != nil {
			t.Fatal(err)
		}
		s := attach(t, p.PID(), nil)
		if err := s.SetArbiter(&holder{on: true}); err != nil {
			t.Fatal(err)
		}
		interrupt(t, s, procfs.Selection{TIDs: tids})
		eventually(t, "all are held", func() bool { return phases(s)[threadset.Held] == len(tids) })
		for _, tid := range tids {
			for _, sig := range []syscall.Signal{syscall.SIGUSR1, 45, 45} {
				if err := tgkill(p.PID(), tid, sig); err != nil {
					t.Fatal(err)
				}
			}
		}
		detach(t, s)
		eventually(t, "each handler ran", func() bool {
			a := account(t, p)
			return a.Runs[sigUSR1] == 100 && a.Runs[45] == 200
		})
		atRest(t, p, target.KindEpoll)
	}
	free(t, p.PID())
	if a := account(t, p); a.Early != 0 {
		t.Errorf("%d early returns", a.Early)
	}
}

// brokenTracer panics at one of its calls.
type brokenTracer struct {
	attacher.Tracer
	fuse *atomic.Bool
}

func (t brokenTracer) Cont(tid int, sig syscall.Signal) error {
	if t.fuse.CompareAndSwap(true, false) {
		panic("at the worst moment")
	}
	return t.Tracer.Cont(tid, sig)
}

type broken struct {
	attacher.Kernel
	fuse *atomic.Bool
}

func (k broken) Tracer() (attacher.Tracer, error) {
	t, err := k.Kernel.Tracer()
	return brokenTracer{t, k.fuse}, err
}

// Case 56: a tracer breaks in the middle of a signal. The signal is delivered
// all the same, its threads are let go and found again, and the others notice
// nothing.
func TestTracerBreaks(t *testing.T) {
	p := start(t, target.Spec{Epoll: 1_000, Signals: map[int]target.Disposition{sigUSR1: target.SigHandle}})
	var fuse atomic.Bool
	s := attach(t, p.PID(), &attacher.Options{Kernel: broken{attacher.Linux, &fuse}, Settle: -1})
	for i := range 3 {
		fuse.Store(true)
		if err := p.Send(t.Context(), target.Send{Signal: sigUSR1, TID: oneOf(t, p, target.KindEpoll, 300*i)}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the handler ran", func() bool { return account(t, p).Runs[sigUSR1] == int64(i+1) })
		if fuse.Load() {
			t.Error("nothing broke")
		}
		if _, err := p.Spawn(t.Context(), target.KindFutex, 1); err != nil { // something to look for
			t.Fatal(err)
		}
		allTraced(t, p)
	}
	if err := s.Close(); err == nil {
		t.Error("the panic was not reported")
	}
	free(t, p.PID())
	if a := account(t, p); a.EINTR != 3 || a.Early != 0 {
		t.Errorf("EINTR %d, early %d", a.EINTR, a.Early)
	}
}

// The user's limit of pending signals is used up, as by a target whose blocked
// signals pile up: the bell still wakes a tracer, as a real-time signal would not.
func TestNoRoomForSignals(t *testing.T) {
	p := start(t, target.Mix(100))
	s := attach(t, p.PID(), nil)
	var before unix.Rlimit
	if err := unix.Prlimit(0, unix.RLIMIT_SIGPENDING, nil, &before); err != nil {
		t.Fatal(err)
	}
	none := before
	none.Cur = 0
	if err := unix.Prlimit(0, unix.RLIMIT_SIGPENDING, &none, nil); err != nil {
		t.Fatal(err)
	}
	giveBack := time.AfterFunc(time.Minute, func() {
		t.Error("no tracer hears the bell")
		_ = unix.Prlimit(0, unix.RLIMIT_SIGPENDING, &before, nil)
	})
	err := s.Do(t.Context(), procfs.Selection{}, func(*attacher.Owner) error { return nil })
	if err != nil {
		t.Errorf("do: %v", err)
	}
	detach(t, s)
	giveBack.Stop()
	if err := unix.Prlimit(0, unix.RLIMIT_SIGPENDING, &before, nil); err != nil {
		t.Fatal(err)
	}
	free(t, p.PID())
	undisturbed(t, p)
}
