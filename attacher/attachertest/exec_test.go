package attachertest_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"massattach/attacher"
	"massattach/attacher/attachertest"
)

// Execs at the worst moments of an attach. An exec kills the other threads of
// its process and waits until each that is traced has been reaped; meanwhile
// no thread of it can be seized, and no signal gets a tracer out of the try.

// ends runs do, and fails when that doesn't come to its end. It must be called
// in a bubble of synctest, where waiting takes no time.
func ends(t *testing.T, m *attachertest.Machine, what string, do func()) bool {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); do() }()
	select {
	case <-done:
		return true
	case <-time.After(time.Minute):
		t.Errorf("%s never ends: tracers and their tracees %v, threads %v", what, m.Tracers(), m.Threads())
		m.KillTool() // gets everybody out
		<-done
		return false
	}
}

// The tracer that has to reap the dying threads of an exec is inside a SEIZE,
// which waits for the exec.
func TestExecDuringSeize(t *testing.T) {
	for name, by := range map[string]int{"another thread": 105, "a tracee": 101, "the leader": 100} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := attachertest.New(100, 6)
				m.Before = func(op string, tid int) error {
					if op == "seize" && tid == 104 {
						m.Exec(by)
					}
					return nil
				}
				execDuring(t, m, attacher.FollowScan)
			})
		})
	}
}

// The same with a newborn, long after the attach.
func TestExecDuringSeizeOfNewborn(t *testing.T) {
	for name, by := range map[string]int{"another thread": 103, "the newborn": 0, "the leader": 100} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := attachertest.New(100, 6)
				var born aTID
				m.Before = func(op string, tid int) error {
					switch {
					case op == "seize" && tid == born.get() && by == 0:
						m.Exec(born.get())
					case op == "seize" && tid == born.get():
						m.Exec(by)
					}
					return nil
				}
				time.AfterFunc(100*time.Millisecond, func() { born.set(m.Spawn(0)) })
				execDuring(t, m, attacher.FollowScan)
			})
		})
	}
}

// execDuring attaches while Before has the target exec, and wants the thread
// that is left to be traced.
func execDuring(t *testing.T, m *attachertest.Machine, follow attacher.Follow) {
	var (
		s   *attacher.Session
		err error
	)
	if !ends(t, m, "the attach", func() {
		s, err = attacher.Attach(context.Background(), 100, &attacher.Options{Kernel: m, Proc: m, Follow: follow})
	}) {
		if err == nil {
			_ = s.Close()
		}
		return
	}
	if err != nil {
		t.Error(err)
		return
	}
	time.Sleep(time.Second)
	if threads := m.Threads(); len(threads) != 1 || m.TracerOf(100) == 0 {
		t.Errorf("threads %v are left, the tracer is %d; want one, and traced", threads, m.TracerOf(100))
	}
	ends(t, m, "the detach", func() { err = s.Close() })
	if err != nil {
		t.Error(err)
	}
	if err := m.Quiet(); err != nil {
		t.Error(err)
	}
}

// An exec by a thread that is not the leader has to be reaped. Until then each
// request on it answers ESRCH, and looking and continuing would never end.
func TestExecIsReaped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := attachertest.New(100, 6)
		looks := 0
		m.Before = func(op string, _ int) error {
			if op == "look" {
				if looks++; looks == 1000 {
					t.Error("the tracer looks at the exec for ever")
					m.KillTool()
				}
			}
			return nil
		}
		s, err := attacher.Attach(context.Background(), 100, &attacher.Options{Kernel: m, Proc: m})
		if err != nil {
			t.Fatal(err)
		}
		m.Exec(103)
		time.Sleep(time.Second)
		if state := m.State(100); state != 'S' {
			t.Errorf("the thread is %c after its exec", state)
		}
		if n := s.Report().Events.Execs; n != 1 {
			t.Errorf("%d execs", n)
		}
		ends(t, m, "the detach", func() { err = s.Close() })
		if err != nil {
			t.Error(err)
		}
		if err := m.Quiet(); err != nil {
			t.Error(err)
		}
	})
}
