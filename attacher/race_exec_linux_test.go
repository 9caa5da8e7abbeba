package attacher_test

import (
	"context"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"massattach/attacher"
	"massattach/attacher/attachertest"
	"massattach/procfs"
)

// The target execs while it is attached to: the hangs that fact by fact wait
// for each other in fs/exec.c, on the fake kernel.

// execsAt has thread exec run execve just before the n-th SEIZE.
func execsAt(m *attachertest.Machine, n int64, exec int) {
	var seizes counter
	m.Before = func(op string, tid int) error {
		if op == "seize" && seizes.next() == n {
			m.Exec(exec)
		}
		return nil
	}
}

// A tracer that sleeps in SEIZE owns threads that the exec waits for.
func TestRaceExecWhileSeizing(t *testing.T) {
	const threads = 1_200
	for _, exec := range []int{100, 150, 900} { // the leader, one seized early, one late
		for _, at := range []int64{1, 2, 300, 600, 1_199, 1_200} {
			m := attachertest.New(100, threads)
			execsAt(m, at, exec)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			s, err := attacher.Attach(ctx, 100, &attacher.Options{Kernel: m, Proc: m, Settle: -1})
			cancel()
			if err != nil {
				t.Fatalf("exec by %d at SEIZE %d: %v", exec, at, err)
			}
			eventually(t, "the new image is traced", func() bool {
				return len(m.Threads()) == 1 && m.TracerOf(100) != 0
			})
			r := quiet(t, m, s)
			if len(r.Failures) != 0 || r.Threads.Found != r.Threads.Attached+r.Threads.Vanished || r.Events.Execs > 1 {
				t.Errorf("exec by %d at SEIZE %d: %+v", exec, at, r)
			}
		}
	}
}

// The context ends meanwhile: nobody stays behind in a SEIZE.
func TestRaceExecWhileCancelled(t *testing.T) {
	for _, exec := range []int{100, 150} {
		m := attachertest.New(100, 700)
		ctx, cancel := context.WithCancel(t.Context())
		var seizes counter
		m.Before = func(op string, tid int) error {
			if op == "seize" && seizes.next() == 400 {
				m.Exec(exec)
				cancel()
			}
			return nil
		}
		if s, err := attacher.Attach(ctx, 100, &attacher.Options{Kernel: m, Proc: m}); err == nil {
			s.Close()
			t.Error("attached")
		}
		if err := m.Quiet(); err != nil {
			t.Error(err)
		}
		if n := len(m.Threads()); n != 1 {
			t.Errorf("exec by %d did not come to its end: %d threads", exec, n)
		}
	}
}

// The leader's number is another thread's when its SEIZE wakes up: one that
// nobody has seized.
func TestRaceExecTakesLeader(t *testing.T) {
	m := attachertest.New(100, 3)
	stray := 0
	m.Before = func(op string, tid int) error {
		if op == "seize" && tid == 100 && stray == 0 {
			stray = m.Spawn(0)
			m.Exec(stray) // the tracer that has to reap 101 and 102 is inside this SEIZE
		}
		return nil
	}
	s := attachFake(t, m, attacher.Options{Follow: attacher.FollowNone})
	r := quiet(t, m, s)
	if r.Threads.Failed != 0 || r.Threads.Attached != 3 || r.Threads.Exited != 2 {
		t.Errorf("%+v", r)
	}
}

// A thread execs at its own SEIZE, which lasts until it has the leader's number.
func TestRaceExecTakesNumber(t *testing.T) {
	for _, follow := range []attacher.Follow{attacher.FollowNone, attacher.FollowScan} {
		m := attachertest.New(100, 3)
		m.Before = func(op string, tid int) error {
			if op == "seize" && tid == 102 {
				m.Exec(102) // 101 is to be reaped
			}
			return nil
		}
		s := attachFake(t, m, attacher.Options{Follow: follow})
		for th := range s.Threads() {
			if th.TID != 100 || m.TracerOf(100) != th.Owner {
				t.Errorf("%+v, traced by %d", th, m.TracerOf(100))
			}
		}
		if follow == attacher.FollowScan {
			// A burial may outlast the passes of the attach: it goes on to look.
			eventually(t, "it is converged", func() bool { return s.Report().Converged })
		}
		r := quiet(t, m, s)
		if r.Threads.Failed != 0 || r.Threads.Attached != 2 || r.Threads.Exited != 1 || !r.Converged {
			t.Errorf("%+v", r)
		}
	}
}

// An exec by a thread that is nobody's takes the leader from a tracer that has
// got another thread of the new image before it looks: no wait tells it.
func TestRaceExecByStranger(t *testing.T) {
	m := attachertest.New(100, 1)
	var stray atomic.Int64
	m.Before = func(op string, tid int) error {
		if op == "seize" && tid == int(stray.Load()) {
			return syscall.ESRCH
		}
		return nil
	}
	s := attachFake(t, m, attacher.Options{Settle: -1})
	stray.Store(102) // 101 is the tracer
	if tid := m.Spawn(0); tid != 102 {
		t.Fatal(tid)
	}
	err := s.Do(t.Context(), procfs.Selection{}, func(*attacher.Owner) error {
		m.Exec(102)
		if m.Spawn(100) == 0 {
			t.Error("the exec has not come to its end")
		}
		time.Sleep(200 * time.Millisecond) // the scan gives the newborn to this tracer
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new image is traced", func() bool {
		return m.TracerOf(100) != 0 && len(m.Threads()) == 2
	})
	quiet(t, m, s)
}
