package attacher_test

import (
	"syscall"
	"testing"
	"time"

	"massattach/internal/target"
	"massattach/threadset"

	"golang.org/x/sys/unix"
)

// parentSaw answers what the target's parent was told.
func parentSaw(t *testing.T, p *target.Target) target.ParentAccount {
	t.Helper()
	a, err := p.ParentEvents(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func tgkill(pid, tid int, sig syscall.Signal) error { return unix.Tgkill(pid, tid, sig) }

func kill(t *testing.T, p *target.Target, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(p.PID(), sig); err != nil {
		t.Fatal(err)
	}
}

// stoppedNow says whether job control has all of the target stopped: in state
// T, or t for a thread that is traced.
func stoppedNow(t *testing.T, p *target.Target) bool {
	l := lookAt(t, p.PID())
	return l.states['T']+l.states['t'] == l.threads
}

func runningNow(t *testing.T, p *target.Target) bool {
	l := lookAt(t, p.PID())
	return l.states['T']+l.states['t'] == 0
}

// Case 31, 32, 37, 68: the parent, blocked in waitid, sees each change of a
// seized child once.
func TestGroupStop(t *testing.T) {
	p := start(t, target.Spec{Epoll: 50, Futex: 50, Parent: target.ParentWatch})
	rounds := size(20, 100)
	signals := []syscall.Signal{syscall.SIGSTOP, syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU}
	for i := range rounds {
		s := attach(t, p.PID(), nil)
		if sig := signals[i%len(signals)]; true {
			kill(t, p, sig)
			eventually(t, "the parent sees it stopped", func() bool { return parentSaw(t, p).Stopped == i+1 })
			eventually(t, "it is stopped", func() bool { return stoppedNow(t, p) })
			if ev := parentSaw(t, p).Events; ev[len(ev)-1].Status != int(sig) {
				t.Errorf("stopped by %d, the parent saw %+v", sig, ev[len(ev)-1])
			}
		}
		eventually(t, "all threads listen", func() bool {
			listening := 0
			for th := range s.Threads() {
				if th.Phase == threadset.Listening && th.JobStopped {
					listening++
				}
			}
			return listening == s.Report().Threads.Attached
		})
		kill(t, p, syscall.SIGCONT)
		eventually(t, "the parent sees it go on", func() bool { return parentSaw(t, p).Continued == i+1 })
		eventually(t, "it runs", func() bool { return runningNow(t, p) })
		if r := detach(t, s); r.Events.GroupStops != 1 {
			t.Errorf("%d group-stops", r.Events.GroupStops)
		}
	}
	a := parentSaw(t, p)
	if a.Stopped != rounds || a.Continued != rounds || a.Exited != 0 || len(a.Events) != 2*rounds {
		t.Errorf("the parent saw %d stops and %d continues in %d rounds", a.Stopped, a.Continued, rounds)
	}
}

// Case 33, 35: attached while stopped, let go while stopped.
func TestAttachStopped(t *testing.T) {
	p := start(t, target.Spec{Epoll: 20, Futex: 20, Parent: target.ParentWatch})
	for i := range size(5, 20) {
		kill(t, p, syscall.SIGSTOP)
		eventually(t, "it is stopped", func() bool { return stoppedNow(t, p) && parentSaw(t, p).Stopped == i+1 })
		s := attach(t, p.PID(), nil)
		time.Sleep(10 * time.Millisecond)
		if !stoppedNow(t, p) {
			t.Error("the attach set it going")
		}
		detach(t, s)
		// Each goes from one kind of stop to the other by itself.
		eventually(t, "it is stopped as before", func() bool { l := lookAt(t, p.PID()); return l.states['T'] == l.threads })
		kill(t, p, syscall.SIGCONT)
		eventually(t, "it runs", func() bool { return runningNow(t, p) && parentSaw(t, p).Continued == i+1 })
	}
	if a := parentSaw(t, p); len(a.Events) != a.Stopped+a.Continued {
		t.Errorf("the parent saw %+v", a)
	}
}

// Stopped while attached, and let go before it goes on.
func TestDetachStopped(t *testing.T) {
	p := start(t, target.Spec{Epoll: 20, Futex: 20, Parent: target.ParentWatch})
	for i := range size(5, 20) {
		s := attach(t, p.PID(), nil)
		kill(t, p, syscall.SIGSTOP)
		if i%2 == 0 {
			eventually(t, "it is stopped", func() bool { return stoppedNow(t, p) })
		}
		detach(t, s)
		eventually(t, "the parent sees it stopped", func() bool { return parentSaw(t, p).Stopped == i+1 })
		eventually(t, "it is stopped", func() bool { l := lookAt(t, p.PID()); return l.states['T'] == l.threads })
		kill(t, p, syscall.SIGCONT)
		eventually(t, "it runs", func() bool { return runningNow(t, p) && parentSaw(t, p).Continued == i+1 })
	}
	if a := parentSaw(t, p); len(a.Events) != a.Stopped+a.Continued {
		t.Errorf("the parent saw %+v", a)
	}
}

// Case 34: a notification that the parent has not looked at is as it was.
func TestPendingNotification(t *testing.T) {
	p := start(t, target.Spec{Epoll: 5, Parent: target.ParentIdle})
	for range 5 {
		kill(t, p, syscall.SIGSTOP)
		eventually(t, "it is stopped", func() bool { return stoppedNow(t, p) })
		s := attach(t, p.PID(), nil)
		time.Sleep(5 * time.Millisecond)
		detach(t, s)
		e, err := p.ParentLook(t.Context())
		if err != nil || e == nil || e.Event != "stopped" || e.Status != int(syscall.SIGSTOP) {
			t.Errorf("the parent sees %+v, %v", e, err)
		}
		if e, err = p.ParentLook(t.Context()); err != nil || e != nil {
			t.Errorf("the parent sees once more %+v, %v", e, err)
		}
		kill(t, p, syscall.SIGCONT)
		eventually(t, "it runs", func() bool { return runningNow(t, p) })
		if e, err := p.ParentLook(t.Context()); err != nil || e == nil || e.Event != "continued" {
			t.Errorf("the parent sees %+v, %v", e, err)
		}
	}
}

// Case 36: SIGCONT right after attaching to a stopped process.
func TestContinueRightAfterAttach(t *testing.T) {
	p := start(t, target.Spec{Epoll: 20, Parent: target.ParentWatch})
	for range size(10, 50) {
		kill(t, p, syscall.SIGSTOP)
		eventually(t, "it is stopped", func() bool { return stoppedNow(t, p) })
		s := attach(t, p.PID(), nil)
		kill(t, p, syscall.SIGCONT)
		eventually(t, "it runs", func() bool { return runningNow(t, p) })
		detach(t, s)
	}
}

// Stops and continues as fast as can be end in a process that runs, or is
// stopped, as the last one said.
func TestStopStorm(t *testing.T) {
	p := start(t, target.Spec{Epoll: 50, Futex: 50, Parent: target.ParentWatch})
	for i := range size(10, 50) {
		s := attach(t, p.PID(), nil)
		for j := range 20 {
			kill(t, p, syscall.SIGSTOP)
			time.Sleep(time.Duration((i*7+j*13)%5) * 200 * time.Microsecond)
			kill(t, p, syscall.SIGCONT)
			time.Sleep(time.Duration((i*5+j*3)%4) * 200 * time.Microsecond)
		}
		if i%2 == 0 {
			eventually(t, "it runs", func() bool { return runningNow(t, p) })
		}
		detach(t, s)
		eventually(t, "it runs", func() bool { return runningNow(t, p) })
		account(t, p) // it answers
	}
}

// A stop signal with a handler, or ignored, stops nobody.
func TestStopSignalHandled(t *testing.T) {
	p := start(t, target.Spec{Epoll: 20, Parent: target.ParentWatch, Signals: map[int]target.Disposition{
		int(syscall.SIGTSTP): target.SigHandle, int(syscall.SIGTTIN): target.SigIgnore,
	}})
	s := attach(t, p.PID(), nil)
	for _, sig := range []syscall.Signal{syscall.SIGTSTP, syscall.SIGTTIN} {
		if err := p.Send(t.Context(), target.Send{Signal: int(sig), Kind: target.KindEpoll}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "each handler ran", func() bool { return account(t, p).Runs[int(syscall.SIGTSTP)] == 20 })
	eventually(t, "all were forwarded", func() bool { return s.Report().Events.Signals >= 40 })
	atRest(t, p, target.KindEpoll)
	detach(t, s)
	if a := account(t, p); a.EINTR != 20 || a.Early != 0 {
		t.Errorf("EINTR %d, early %d: the handled ones are 20", a.EINTR, a.Early)
	}
	if a := parentSaw(t, p); len(a.Events) != 0 {
		t.Errorf("the parent saw %+v", a)
	}
}

// What a group-stop does to a blocked call it does traced as untraced.
func TestGroupStopInterrupts(t *testing.T) {
	var want [2]int64
	for i, traced := range []bool{false, true} {
		p := start(t, target.Spec{Epoll: 50, Sem: 50})
		if traced {
			attach(t, p.PID(), nil)
		}
		kill(t, p, syscall.SIGSTOP)
		eventually(t, "it is stopped", func() bool { return stoppedNow(t, p) })
		kill(t, p, syscall.SIGCONT)
		eventually(t, "it runs", func() bool { return runningNow(t, p) })
		atRest(t, p, target.KindEpoll, target.KindSem)
		want[i] = account(t, p).EINTR
		p.Close()
	}
	if want[0] != want[1] || want[0] == 0 {
		t.Errorf("EINTR untraced %d, traced %d", want[0], want[1])
	}
}
