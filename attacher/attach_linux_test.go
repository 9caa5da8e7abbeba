package attacher_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"massattach/attacher"
	"massattach/internal/target"
	"massattach/procfs"
	"massattach/threadset"
)

// Case 1: attach, hold, detach; the target notices nothing.
func TestAttachIsUnnoticed(t *testing.T) {
	for _, n := range []int{1, 100, size(2_000, 10_000)} {
		t.Run(itoa(n), func(t *testing.T) {
			spec := target.Mix(n)
			if n == 1 {
				spec = target.Spec{} // and the runtime's own
			}
			p := start(t, spec)
			before := lookAt(t, p.PID()).tids
			s := attach(t, p.PID(), nil)
			deadline := time.Now().Add(time.Second)
			for first := true; first || time.Now().Before(deadline); first = false {
				l := lookAt(t, p.PID())
				if l.states['t']+l.states['T'] != 0 {
					t.Fatalf("stopped threads: %v", l.states)
				}
				if loose := l.looseOf(before); len(loose) != 0 {
					t.Fatalf("%d of %d threads have no tracer: %v", len(loose), l.threads, loose)
				}
			}
			r := detach(t, s)
			if !r.Converged || r.Ended || r.Leader != attacher.LeaderAlive || len(r.Failures) > 0 {
				t.Errorf("report: %+v", r)
			}
			if got := r.Threads; got.Attached < n || got.Found != got.Attached {
				t.Errorf("threads: %+v", got)
			}
			free(t, p.PID())
			undisturbed(t, p)
		})
	}
}

// Case 2: again and again, while threads are born.
func TestAttachAgain(t *testing.T) {
	p := start(t, target.Spec{Epoll: 200, Births: target.Births{Rate: 200, Life: 200 * time.Millisecond}})
	for range 10 {
		s := attach(t, p.PID(), nil)
		before := lookAt(t, p.PID()).tids
		// Who was born after the last pass may be unknown yet.
		eventually(t, "all that live on are known", func() bool {
			known := make(map[int]bool)
			for th := range s.Threads() {
				known[th.TID] = true
			}
			alive := lookAt(t, p.PID()).tids
			return !slices.ContainsFunc(before, func(tid int) bool { return !known[tid] && slices.Contains(alive, tid) })
		})
		detach(t, s)
	}
	eventually(t, "nobody is traced", func() bool { return lookAt(t, p.PID()).traced() == 0 })
	undisturbed(t, p)
}

// Case 3: with scan, whoever has lived for a while is attached.
func TestScanFindsBirths(t *testing.T) {
	p := start(t, target.Spec{Epoll: 100})
	for _, settle := range []time.Duration{-1, 0, 30 * time.Millisecond} {
		s := attach(t, p.PID(), &attacher.Options{Settle: settle})
		before := s.Report().Threads.Attached
		if _, err := p.Spawn(t.Context(), target.KindEpoll, 20); err != nil {
			t.Fatal(err)
		}
		eventually(t, "all are traced", func() bool { return lookAt(t, p.PID()).tracers[0] == 0 })
		r := detach(t, s)
		if r.Threads.Attached != before+20 || r.Threads.Born != 20 || r.Events.Births != 20 {
			t.Errorf("settle %v: %+v, %+v", settle, r.Threads, r.Events)
		}
	}
	undisturbed(t, p)
}

func TestFollowNone(t *testing.T) {
	p := start(t, target.Spec{Epoll: 10})
	s := attach(t, p.PID(), &attacher.Options{Follow: attacher.FollowNone})
	tids, err := p.Spawn(t.Context(), target.KindEpoll, 1)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond)
	for th := range s.Threads() {
		if th.TID == tids[0] {
			t.Errorf("thread %d is %v", th.TID, th.Phase)
		}
	}
	detach(t, s)
}

// Case 8.
func TestAttachToThreadID(t *testing.T) {
	p := start(t, target.Spec{Epoll: 3})
	tids := lookAt(t, p.PID()).tids
	tid := tids[len(tids)-1]
	_, err := attacher.Attach(t.Context(), tid, nil)
	var other *procfs.NotLeaderError
	if !errors.As(err, &other) || other.TGID != p.PID() || other.TID != tid {
		t.Errorf("attach to thread %d of %d: %v", tid, p.PID(), err)
	}
}

// Case 9: what can't be traced is refused, without a hang.
func TestAttachToSelf(t *testing.T) {
	_, err := attacher.Attach(t.Context(), os.Getpid(), nil)
	var denied *attacher.DeniedError
	if !errors.As(err, &denied) || denied.Failure.Cause != attacher.CauseSelf || !errors.Is(err, fs.ErrPermission) {
		t.Errorf("attach to ourselves: %v", err)
	}
}

// Case 9: a parent that waits for us can be traced.
func TestAttachToParent(t *testing.T) {
	if scope, _ := (procfs.FS{}).YamaScope(); scope > 0 && os.Geteuid() != 0 {
		t.Skipf("kernel.yama.ptrace_scope is %d", scope)
	}
	tool := startTool(t, os.Getpid(), nil)
	tool.attached(t)
	if r := tool.detach(t); r.Threads.Failed != 0 || r.Threads.Attached == 0 {
		t.Errorf("%+v", r)
	}
}

// Case 10.
func TestZombieLeader(t *testing.T) {
	p := start(t, target.Spec{Epoll: 100, ZombieLeader: true})
	s := attach(t, p.PID(), nil)
	l := lookAt(t, p.PID())
	if l.tracers[0] != 1 || l.states['Z'] != 1 {
		t.Errorf("tracers %v, states %v", l.tracers, l.states)
	}
	r := detach(t, s)
	if r.Leader != attacher.LeaderZombie || r.Threads.Zombie != 1 || r.Threads.Failed != 0 || r.Threads.Found != r.Threads.Attached+1 {
		t.Errorf("report: %+v", r)
	}
	if !r.Converged {
		t.Error("not converged")
	}
	free(t, p.PID())
	undisturbed(t, p)
}

func TestAttachToNobody(t *testing.T) {
	p := start(t, target.Spec{})
	pid := p.PID()
	p.Close()
	eventually(t, "it is gone", func() bool {
		_, err := os.Stat("/proc/" + itoa(pid))
		return err != nil
	})
	if _, err := attacher.Attach(t.Context(), pid, nil); !errors.Is(err, attacher.ErrGone) {
		t.Errorf("attach to nobody: %v", err)
	}
}

// A context that has ended attaches to nobody.
func TestAttachCancelled(t *testing.T) {
	p := start(t, target.Mix(1_000))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := attacher.Attach(ctx, p.PID(), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("attach: %v", err)
	}
	for i := range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*200*time.Microsecond)
		s, err := attacher.Attach(ctx, p.PID(), nil)
		cancel()
		if err == nil {
			detach(t, s)
		} else if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("attach: %v", err)
		}
		free(t, p.PID())
	}
	undisturbed(t, p)
}

// Case 12: the target dies while it is attached to.
func TestDeathDuringAttach(t *testing.T) {
	for i := range size(10, 50) {
		p := start(t, target.Spec{Epoll: 2_000, Orphan: i%2 == 0})
		go func() {
			time.Sleep(time.Duration(i) * 300 * time.Microsecond)
			syscall.Kill(p.PID(), syscall.SIGKILL)
		}()
		s, err := attacher.Attach(t.Context(), p.PID(), nil)
		if err != nil {
			if !errors.Is(err, attacher.ErrGone) {
				t.Errorf("attach: %v", err)
			}
			p.Close()
			continue
		}
		select {
		case <-s.Ended():
		case <-time.After(time.Minute):
			t.Error("the end of the target went unnoticed")
		}
		if err := s.Close(); err != nil {
			t.Errorf("detach: %v", err)
		}
		if r := s.Report(); !r.Ended || r.Threads.Exited != r.Threads.Attached {
			t.Errorf("report: %+v", r)
		}
		p.Close()
	}
}

// The threads of a dying target are reaped, and the session ends by itself.
func TestTargetEnds(t *testing.T) {
	for name, end := range map[string]func(p *target.Target) error{
		"exit": func(p *target.Target) error { return p.Exit(t.Context(), 7) },
		"kill": func(p *target.Target) error { return syscall.Kill(p.PID(), syscall.SIGKILL) },
	} {
		for _, follow := range []attacher.Follow{attacher.FollowScan, attacher.FollowNone} {
			t.Run(name+"/"+follow.String(), func(t *testing.T) {
				p := start(t, target.Spec{Epoll: 1_000, Orphan: true})
				s := attach(t, p.PID(), &attacher.Options{Follow: follow})
				if err := end(p); err != nil {
					t.Fatal(err)
				}
				select {
				case <-s.Ended():
				case <-time.After(time.Minute):
					t.Fatal("the end of the target went unnoticed")
				}
				r := detach(t, s)
				if !r.Ended || r.Threads.Exited != r.Threads.Attached {
					t.Errorf("report: %+v", r)
				}
			})
		}
	}
}

// Threads that end are reaped at once, and one by one.
func TestExits(t *testing.T) {
	p := start(t, target.Spec{Epoll: 50})
	s := attach(t, p.PID(), nil)
	tids, err := p.Spawn(t.Context(), target.KindFutex, 20)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "all are traced", func() bool { return lookAt(t, p.PID()).tracers[0] == 0 })
	for _, tid := range tids {
		if err := p.End(t.Context(), tid); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "they are gone", func() bool { return s.Report().Threads.Exited == 20 })
	if l := lookAt(t, p.PID()); l.states['Z'] != 0 {
		t.Errorf("zombies: %v", l.states)
	}
	for th := range s.Threads() {
		if th.Phase != threadset.Running {
			t.Errorf("thread %d is %v", th.TID, th.Phase)
		}
	}
	detach(t, s)
	undisturbed(t, p)
}

// Two targets end at once while the machine is busy, again and again: neither
// end goes unnoticed, and both parents get the status.
func TestTargetsEndUnderLoad(t *testing.T) {
	start(t, target.Spec{Spin: 8}) // for the CPUs
	follows := []attacher.Follow{attacher.FollowScan, attacher.FollowNone}
	for i := range size(20, 300) {
		var wg sync.WaitGroup
		for j := range 2 {
			p := start(t, target.Spec{Epoll: 100, Orphan: i%2 == 0})
			wg.Go(func() {
				s, err := attacher.Attach(t.Context(), p.PID(), &attacher.Options{Follow: follows[i/2%len(follows)]})
				if err != nil {
					t.Error(err)
					return
				}
				defer s.Close()
				if i%3 == 0 {
					time.Sleep(time.Duration(j*i%7) * time.Millisecond)
				}
				if err := p.Exit(t.Context(), 3); err != nil {
					t.Error(err)
				}
				select {
				case <-s.Ended():
				case <-time.After(time.Minute):
					t.Errorf("round %d: the end of %d went unnoticed", i, p.PID())
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
}
