package attachertest_test

import (
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"massattach/attacher"
	"massattach/attacher/attachertest"
	"massattach/threadset"
)

// What the simulation has found about execs, each once more without it.

// atFirst runs do at the first call op on tid.
func atFirst(m *attachertest.Machine, op string, tid func() int, do func()) {
	var once sync.Once
	m.Before = func(o string, id int) error {
		if o == op && id == tid() {
			once.Do(do)
		}
		return nil
	}
}

func is(tid int) func() int { return func() int { return tid } }

// believed fails unless the session's records of its tracees are right: those
// threads, and their tracers.
func believed(t *testing.T, m *attachertest.Machine, s *attacher.Session, tids ...int) {
	t.Helper()
	owners := make(map[int]int)
	for th := range s.Threads() {
		if th.Phase.Seized() {
			owners[th.TID] = th.Owner
		}
	}
	for _, tid := range tids {
		if owners[tid] == 0 || owners[tid] != m.TracerOf(tid) {
			t.Errorf("thread %d is tracer %d's, and the session believes tracer %d's", tid, m.TracerOf(tid), owners[tid])
		}
		delete(owners, tid)
	}
	for tid, owner := range owners {
		t.Errorf("the session believes that thread %d is tracer %d's", tid, owner)
	}
}

// A thread is killed by an exec between the look at its stop and the reap that
// is to hold it.
func TestHoldOfTheKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := attachertest.New(100, 6)
		atFirst(m, "reap", is(101), func() { m.Exec(103) })
		s := session(t, m, attacher.Options{}, decide(func(s attacher.Stop) attacher.Verdict {
			if s.TID == 101 {
				return attacher.Hold
			}
			return attacher.Pass
		}))
		eachTID(t, s, func(o *attacher.Owner, tid int) error {
			if tid != 101 {
				return nil
			}
			return o.Interrupt(tid)
		})
		time.Sleep(time.Second)
		believed(t, m, s, 100)
		over(t, m, s)
	})
}

// A newborn that is seized in its own exec, for which its SEIZE has waited, has
// another number from then on.
func TestSeizedInItsOwnExec(t *testing.T) {
	for name, signals := range map[string]bool{"in silence": false, "and says so": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := attachertest.New(100, 6)
				var born aTID
				atFirst(m, "seize", func() int { return born.get() }, func() { m.Exec(born.get()) })
				s := session(t, m, attacher.Options{}, nil)
				born.set(m.Spawn(0))
				time.Sleep(time.Second)
				if signals {
					m.Signal(100, syscall.SIGWINCH)
				}
				time.Sleep(time.Second)
				believed(t, m, s, 100)
				over(t, m, s)
			})
		})
	}
}

// The same, and the leader whose number that is had been refused.
func TestSeizedInItsOwnExecAsTheRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := attachertest.New(100, 6)
		var born aTID
		m.Before = func(op string, tid int) error {
			switch {
			case op == "seize" && tid == 100 && born.get() == 0:
				return syscall.EPERM
			case op == "seize" && tid == born.get():
				m.Exec(born.get())
			}
			return nil
		}
		s := session(t, m, attacher.Options{}, nil)
		born.set(m.Spawn(0))
		time.Sleep(time.Second)
		m.Signal(100, syscall.SIGWINCH)
		time.Sleep(time.Second)
		believed(t, m, s, 100)
		over(t, m, s)
	})
}

// A leader that was a zombie lives again: a thread that couldn't be seized has
// its number.
func TestZombieLeaderReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := attachertest.New(100, 4)
		m.Exit(100, 0)
		m.Before = func(op string, tid int) error {
			if op == "seize" && tid == 101 {
				return syscall.EPERM
			}
			return nil
		}
		s := session(t, m, attacher.Options{}, nil)
		m.Exec(101)
		time.Sleep(time.Second)
		believed(t, m, s, 100)
		over(t, m, s)
	})
}

// A thread was born to a tracer that is inside a SEIZE, and has died by an exec
// before the tracer has heard of it.
func TestExecDuringSeizeKillsNewborn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := attachertest.New(100, 6)
		atFirst(m, "seize", is(104), func() {
			m.Spawn(101)
			m.Exec(105)
		})
		execDuring(t, m, attacher.FollowClone)
	})
}

// While a newborn is being seized an exec of somebody who couldn't be makes an
// end of all others. The list that had the newborn is no proof of anything.
func TestExecDuringFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := attachertest.New(100, 6)
		var born aTID
		m.Before = func(op string, tid int) error {
			switch {
			case op == "seize" && tid == 101:
				return syscall.EPERM
			case op == "seize" && tid == born.get():
				m.Exec(101)
				time.Sleep(10 * time.Millisecond) // the others are reaped
			}
			return nil
		}
		s := session(t, m, attacher.Options{Share: 5}, nil)
		first := m.Spawn(0) // for whom there is a new tracer
		time.Sleep(time.Second)
		m.Exit(first, 0)
		time.Sleep(time.Second)
		born.set(m.Spawn(0))
		time.Sleep(time.Second)
		believed(t, m, s, 100)
		over(t, m, s)
	})
}

// The leader's tracer goes on with a signal of the leader's, who is gone: the
// stop that it finds is the exec of another thread.
func TestExecDuringSignal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := attachertest.New(100, 4)
		atFirst(m, "cont", is(100), func() {
			m.Exec(102)
			for _, tid := range []int{101, 103} {
				if _, err := m.ReapExit(tid); err != nil {
					t.Error(err)
				}
			}
		})
		s := session(t, m, attacher.Options{}, nil)
		m.Signal(100, syscall.SIGWINCH)
		time.Sleep(time.Second)
		if n := s.Report().Events.Execs; n != 1 || phase(s, 100) != threadset.Running {
			t.Errorf("%d execs, and the thread is %v", n, phase(s, 100))
		}
		over(t, m, s)
	})
}

// The same with a stop of the leader's in which it was to be held.
func TestExecDuringHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := attachertest.New(100, 4)
		atFirst(m, "reap", is(100), func() {
			m.Exec(102)
			for _, tid := range []int{101, 103} {
				if _, err := m.ReapExit(tid); err != nil {
					t.Error(err)
				}
			}
		})
		s := session(t, m, attacher.Options{}, decide(func(s attacher.Stop) attacher.Verdict {
			if s.Kind == attacher.StopTrap {
				return attacher.Hold
			}
			return attacher.Pass
		}))
		eachTID(t, s, func(o *attacher.Owner, tid int) error {
			if tid != 100 {
				return nil
			}
			return o.Interrupt(tid)
		})
		time.Sleep(time.Second)
		if n := s.Report().Events.Execs; n != 1 || phase(s, 100) != threadset.Running {
			t.Errorf("%d execs, and the thread is %v", n, phase(s, 100))
		}
		over(t, m, s)
	})
}

// The target is our own child, and its parent waits: the wait takes the report
// of the exec by which a zombie leader lives again.
func TestExecTakenByParent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := attachertest.New(100, 4)
		m.SetParent(attachertest.Parent{Ours: true})
		m.Exit(100, 0)
		taken := false
		m.Before = func(op string, tid int) error {
			if op == "look" && !taken && len(m.Threads()) == 1 && m.State(100) == 't' {
				taken = true
				must(t, m.ParentWait())
			}
			return nil
		}
		s := session(t, m, attacher.Options{}, nil)
		m.Exec(102)
		time.Sleep(time.Second)
		if state := m.State(100); !taken || state != 'S' {
			t.Errorf("the thread is %c", state)
		}
		believed(t, m, s, 100)
		over(t, m, s)
	})
}

// The same with the stop that ends a group-stop.
func TestContinueTakenByParent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := attachertest.New(100, 2)
		m.SetParent(attachertest.Parent{Ours: true})
		m.Gate = func(_ int, op string, _ int) {
			if op == "sleep" {
				time.Sleep(time.Millisecond) // so that the parent is faster
			}
		}
		s := session(t, m, attacher.Options{}, nil)
		m.Kill(100, syscall.SIGSTOP)
		time.Sleep(100 * time.Millisecond)
		if p := phase(s, 100); p != threadset.Listening {
			t.Errorf("it is %v", p)
		}
		m.Kill(100, syscall.SIGCONT)
		must(t, m.ParentWait())
		time.Sleep(100 * time.Millisecond)
		if state := m.State(100); state != 'S' {
			t.Errorf("the thread is %c", state)
		}
		over(t, m, s)
	})
}
