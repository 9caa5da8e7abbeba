package attacher_test

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"massattach/attacher"
	"massattach/internal/target"
	"massattach/procfs"
	"massattach/threadset"
)

// patience is how long something may take that hangs for ever when it goes
// wrong.
const patience = time.Minute

// inTime runs f. When it hangs the target is killed, which gets everybody out
// of an exec, and out of a SEIZE that waits for it.
func inTime(t testing.TB, p *target.Target, what string, f func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	case <-time.After(patience):
		p.Kill()
		select {
		case err := <-done:
			t.Fatalf("%s hangs until the target is killed, then: %v", what, err)
		case <-time.After(patience):
			t.Fatalf("%s hangs, and goes on when the target is killed", what)
		}
	}
}

// execIn makes thread tid call exec, 0 for the leader.
func execIn(ctx context.Context, p *target.Target, e target.Exec) error {
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	return p.Exec(ctx, e)
}

// oneOf is a thread of a kind.
func oneOf(t testing.TB, p *target.Target, kind string, i int) int {
	t.Helper()
	all, err := p.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all[kind][i%len(all[kind])]
}

// allTraced waits until nobody in the target is without a tracer.
func allTraced(t testing.TB, p *target.Target) {
	t.Helper()
	eventually(t, "all are traced", func() bool { return lookAt(t, p.PID()).tracers[0] == 0 })
}

// Case 39: exec, by the leader and by another thread, twice in a row.
func TestExec(t *testing.T) {
	for _, follow := range append([]attacher.Follow{attacher.FollowNone}, following...) {
		for _, leader := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v/leader=%v", follow, leader), func(t *testing.T) {
				p := start(t, target.Spec{Epoll: 150, Futex: 150})
				s := attach(t, p.PID(), &attacher.Options{Follow: follow})
				_, events := s.Subscribe(attacher.EventExec, 10)
				var callers []int
				execs := 2
				if follow == attacher.FollowNone && !leader {
					execs = 1 // of the new image nobody else is traced
				}
				for i := range execs {
					tid := p.PID()
					if !leader {
						tid = oneOf(t, p, target.KindFutex, 77*i)
					}
					callers = append(callers, tid)
					inTime(t, p, "the exec", func() error { return execIn(t.Context(), p, target.Exec{TID: tid}) })
					if n := s.Report().Events.Execs; n != i+1 {
						t.Errorf("%d execs reported after %d", n, i+1)
					}
					if l := lookAt(t, p.PID()); follow == attacher.FollowNone && l.traced() != 1 {
						t.Errorf("%d of %d threads are traced, not the leader alone", l.traced(), l.threads)
					}
					if follow != attacher.FollowNone {
						allTraced(t, p)
					}
					alone(t, s, p)
					undisturbed(t, p)
				}
				r := detach(t, s)
				free(t, p.PID())
				undisturbed(t, p)
				i := 0
				for e := range events {
					if e.Kind == attacher.EventEnd {
						continue
					}
					if i == len(callers) || e.Kind != attacher.EventExec || e.TID != p.PID() || e.OldTID != callers[i] {
						t.Errorf("event %d: %+v; the callers were %v", i, e, callers)
						continue
					}
					i++
				}
				if i != len(callers) || r.Ended || r.Leader != attacher.LeaderAlive {
					t.Errorf("%d events of %d execs; %+v", i, len(callers), r)
				}
			})
		}
	}
}

// A thread that is too young to be anybody's tracee execs: the one that is left
// of the process has the leader's number, and is found.
func TestExecByNewborn(t *testing.T) {
	p := start(t, target.Spec{Epoll: 50})
	s := attach(t, p.PID(), &attacher.Options{Settle: time.Second})
	needEvent(t, s)
	for range 3 {
		tids, err := p.Spawn(t.Context(), target.KindFutex, 3)
		if err != nil {
			t.Fatal(err)
		}
		inTime(t, p, "the exec", func() error { return execIn(t.Context(), p, target.Exec{TID: tids[1]}) })
		eventually(t, "the leader is traced", func() bool {
			process, err := procfs.FS{}.Open(p.PID())
			if err != nil {
				t.Fatal(err)
			}
			defer process.Close()
			st, err := process.Status(p.PID())
			return err == nil && st.TracerPid != 0
		})
		alone(t, s, p)
		undisturbed(t, p)
	}
	detach(t, s)
	free(t, p.PID())
	undisturbed(t, p)
}

// alone checks that the session has records of those threads alone that there
// are.
func alone(t testing.TB, s *attacher.Session, p *target.Target) {
	t.Helper()
	eventually(t, "no record of a thread that is gone", func() bool {
		there := make(map[int]bool)
		for _, tid := range lookAt(t, p.PID()).tids {
			there[tid] = true
		}
		for th := range s.Threads() {
			if th.Phase.Seized() && !there[th.TID] {
				return false
			}
		}
		return true
	})
}

// Case 43: an exec that fails costs nothing.
func TestExecFails(t *testing.T) {
	for _, follow := range following {
		p := start(t, target.Spec{Epoll: 50, Futex: 50, Signals: map[int]target.Disposition{sigUSR1: target.SigHandle}})
		before := lookAt(t, p.PID()).tids
		s := attach(t, p.PID(), &attacher.Options{Follow: follow})
		for _, tid := range []int{p.PID(), oneOf(t, p, target.KindFutex, 7)} {
			err := execIn(t.Context(), p, target.Exec{TID: tid, Argv: []string{"/nonexistent"}})
			if !errors.Is(err, syscall.ENOENT) {
				t.Errorf("exec: %v", err)
			}
		}
		l := lookAt(t, p.PID())
		if loose := l.looseOf(before); len(loose) != 0 {
			t.Errorf("%d of %d threads have no tracer: %v", len(loose), l.threads, loose)
		}
		undisturbed(t, p)
		if err := p.Send(t.Context(), target.Send{Signal: sigUSR1, Kind: target.KindFutex}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "each handler ran", func() bool { return account(t, p).Runs[sigUSR1] == 50 })
		if r := detach(t, s); r.Events.Execs != 0 || r.Events.Exits != 0 || r.Threads.Exited != 0 {
			t.Errorf("%+v, %+v", r.Events, r.Threads)
		}
		free(t, p.PID())
	}
}

// Another program, which knows nothing of us, is followed to its end.
func TestExecOther(t *testing.T) {
	for _, follow := range following {
		for _, leader := range []bool{false, true} {
			p := start(t, target.Spec{Epoll: 50, Futex: 50, Orphan: leader})
			s := attach(t, p.PID(), &attacher.Options{Follow: follow})
			tid := p.PID()
			if !leader {
				tid = oneOf(t, p, target.KindFutex, 3)
			}
			inTime(t, p, "the exec", func() error {
				return execIn(t.Context(), p, target.Exec{TID: tid, Argv: []string{"/bin/sleep", "1000"}})
			})
			eventually(t, "it sleeps, traced", func() bool {
				l := lookAt(t, p.PID())
				return l.threads == 1 && l.traced() == 1 && l.states['S'] == 1
			})
			alone(t, s, p)
			if n := s.Report().Events.Execs; n != 1 {
				t.Errorf("%d execs", n)
			}
			kill(t, p, syscall.SIGTERM)
			select {
			case <-s.Ended():
			case <-time.After(patience):
				t.Fatal("the end of the target went unnoticed")
			}
			if r := detach(t, s); r.Threads.Exited != r.Threads.Attached {
				t.Errorf("threads: %+v", r.Threads)
			}
			p.Close()
		}
	}
}

// Case 40: exec while some threads are held, and others asked to stop: it ends
// them all, and the new image is followed. An exec can be held, too.
func TestExecWhileHeld(t *testing.T) {
	for _, leader := range []bool{false, true} {
		t.Run(fmt.Sprintf("leader=%v", leader), func(t *testing.T) {
			p := start(t, target.Spec{Epoll: 100, Futex: 100})
			s := attach(t, p.PID(), nil)
			h := &holder{on: true}
			if err := s.SetArbiter(h); err != nil {
				t.Fatal(err)
			}
			all, err := p.List(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			sel := procfs.Selection{TIDs: all[target.KindEpoll]}
			interrupt(t, s, sel)
			eventually(t, "they are held", func() bool { return phases(s)[threadset.Held] == 100 })
			tid := p.PID()
			if !leader {
				tid = all[target.KindFutex][33]
			}
			execed := make(chan error, 1)
			go func() { execed <- execIn(t.Context(), p, target.Exec{TID: tid}) }()
			eventually(t, "the new image is held before it runs", func() bool {
				th := make(map[int]threadset.Phase)
				for r := range s.Threads() {
					th[r.TID] = r.Phase
				}
				return th[p.PID()] == threadset.Held && phases(s)[threadset.Held] == 1 && lookAt(t, p.PID()).threads == 1
			})
			h.set(false)
			resumeAll(t, s)
			inTime(t, p, "the exec", func() error { return <-execed })
			allTraced(t, p)
			alone(t, s, p)
			undisturbed(t, p)
			if r := detach(t, s); r.Events.Execs != 1 {
				t.Errorf("%+v", r.Events)
			}
			free(t, p.PID())
		})
	}
}
