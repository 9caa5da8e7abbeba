package attacher_test

import (
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"massattach/attacher"
	"massattach/attacher/attachertest"
)

// Births with FollowClone, each order of events, on the fake kernel.

var follows = attacher.Options{Follow: attacher.FollowClone}

// noneFree waits until nobody of the first process is free.
func noneFree(t *testing.T, m *attachertest.Machine) {
	t.Helper()
	eventually(t, "all are traced", func() bool { return len(m.Threads()) > 0 && len(untraced(m)) == 0 })
}

// A newborn is traced from its first instruction on, and its own newborn.
func TestRaceBornSeized(t *testing.T) {
	m := attachertest.New(100, 3)
	s := attachFake(t, m, follows)
	for creator := range []int{100, 101, 102} {
		first := m.Spawn(100 + creator)
		if first == 0 || m.TracerOf(first) == 0 {
			t.Fatalf("%d is not traced", first)
		}
		eventually(t, "it runs", func() bool { return m.State(first) == 'S' })
		second := m.Spawn(first)
		eventually(t, "so does its child", func() bool { return m.State(second) == 'S' && m.TracerOf(second) != 0 })
		m.Exit(first, 0)
	}
	eventually(t, "the exits are reaped", func() bool { return len(m.Threads()) == 6 })
	r := quiet(t, m, s)
	if r.Threads.Born != 6 || r.Threads.Attached != 9 || r.Threads.Exited != 3 || r.Events.Births != 6 || r.Threads.Vanished != 0 {
		t.Errorf("%+v %+v", r.Threads, r.Events)
	}
	if a := m.Account(); a.EINTR != 0 {
		t.Errorf("EINTR %d", a.EINTR)
	}
}

// pump lets everybody run who has something to do.
func pump(m *attachertest.Machine) {
	for _, tid := range m.Runnable() {
		m.Run(tid)
	}
}

// quietManual is quiet for a machine whose threads, and those of the tracers,
// run only when they are let.
func quietManual(t *testing.T, m *attachertest.Machine, s *attacher.Session) attacher.Report {
	t.Helper()
	done := make(chan struct{})
	var pumping sync.WaitGroup
	pumping.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				pump(m)
				time.Sleep(time.Millisecond)
			}
		}
	})
	r := detach(t, s)
	close(done)
	pumping.Wait()
	pump(m)
	if err := m.Quiet(); err != nil {
		t.Error(err)
	}
	return r
}

// The creator's stop comes first, or the newborn's (case 46), or the newborn
// is all that is left.
func TestRaceBirthOrder(t *testing.T) {
	for _, order := range []string{"creator", "newborn", "creator ends"} {
		m := attachertest.New(100, 2)
		m.Manual = true
		s := attachFake(t, m, follows)
		born := m.Spawn(101) // its creator has stopped; itself it has not run
		if order == "newborn" {
			m.Run(born)
		}
		eventually(t, "the creator goes on", func() bool { return slices.Contains(m.Runnable(), 101) })
		if order == "creator ends" {
			m.Exit(101, 0)
		}
		m.Run(101)
		eventually(t, "the newborn goes on", func() bool {
			m.Run(born)
			return m.State(born) == 'S' && m.TracerOf(born) != 0
		})
		eventually(t, "all rest", func() bool { pump(m); return len(m.Runnable()) == 0 })
		r := quietManual(t, m, s)
		if r.Threads.Born != 1 || r.Threads.Found != 3 || r.Threads.Attached != 3 {
			t.Errorf("%s: %+v", order, r.Threads)
		}
	}
}

// Births at every call of an attach: a scan finds newborns that have a tracer
// already, and those of creators that had none yet.
func TestRaceBirthsDuringAttach(t *testing.T) {
	for _, op := range []string{"seize", "list", "status", "threads", "look", "cont"} {
		m := attachertest.New(100, 200)
		m.ChunkSize = 30
		var n counter
		var over atomic.Bool
		m.Before = func(o string, tid int) error {
			if o == op && !over.Load() && n.n.Load() < 60 {
				m.Spawn(100 + int(n.next()*37%200))
			}
			return nil
		}
		s := attachFake(t, m, attacher.Options{Follow: attacher.FollowClone, Share: 50, Settle: -1})
		noneFree(t, m)
		over.Store(true)
		noneFree(t, m)
		eventually(t, "all births are known", func() bool { return s.Report().Threads.Attached == len(m.Threads()) })
		eventually(t, "converged", func() bool { return s.Report().Converged })
		r := quiet(t, m, s)
		if r.Threads.Failed != 0 || r.Threads.Attached != r.Threads.Found || r.Threads.Attached != len(m.Threads()) {
			t.Errorf("births at %s: %+v, %d threads", op, r.Threads, len(m.Threads()))
		}
	}
}

// A tracer that is full hands newborns on.
func TestRaceFullTracer(t *testing.T) {
	const share = 8
	m := attachertest.New(100, 10)
	s := attachFake(t, m, attacher.Options{Follow: attacher.FollowClone, Share: share})
	for range 100 {
		eventually(t, "a birth", func() bool { return m.Spawn(100) != 0 })
		for _, n := range m.Tracers() {
			if n > 2*share+1 { // the one who is about to be handed on
				t.Fatalf("a tracer has %d tracees", n)
			}
		}
	}
	noneFree(t, m)
	eventually(t, "the last has found its tracer", func() bool { return s.Report().Threads.Attached == 110 })
	for _, n := range m.Tracers() {
		if n > 2*share {
			t.Errorf("a tracer has %d tracees", n)
		}
	}
	if r := quiet(t, m, s); r.Threads.Born != 100 || r.Threads.Found != 110 || r.Events.Births != 100 {
		t.Errorf("%+v", r.Threads)
	}
}

// A process that was started without the signs of one is let go at its first
// stop.
func TestRaceBornProcess(t *testing.T) {
	m := attachertest.New(100, 2)
	var detached atomic.Int64
	m.Before = func(op string, tid int) error {
		if op == "detach" {
			detached.Store(int64(tid))
		}
		return nil
	}
	s := attachFake(t, m, follows)
	pid := m.Fork(101)
	if pid == 0 {
		t.Fatal("no fork")
	}
	eventually(t, "it is let go", func() bool {
		return detached.Load() == int64(pid) && m.TracerOf(pid) == 0 && m.State(pid) == 'S'
	})
	m.Kill(pid, syscall.SIGKILL)
	eventually(t, "it has ended", func() bool { return m.State(pid) == 0 })
	if pid = m.Fork(101); pid == 0 {
		t.Fatal("no fork")
	}
	r := quiet(t, m, s)
	if r.Threads.Found != 2 || r.Events.Births != 0 || r.Events.Exits != 0 {
		t.Errorf("%+v %+v", r.Threads, r.Events)
	}
}

// A thread is born while its process is being stopped.
func TestRaceBornStopped(t *testing.T) {
	m := attachertest.New(100, 2)
	m.Manual = true
	s := attachFake(t, m, follows)
	born := m.Spawn(101)
	m.Kill(100, syscall.SIGSTOP)
	eventually(t, "all have stopped", func() bool {
		pump(m)
		return slices.Equal(m.Account().Parent, []string{"stopped"}) && m.State(born) == 't'
	})
	m.Kill(100, syscall.SIGCONT)
	eventually(t, "all go on", func() bool {
		pump(m)
		return m.State(born) == 'S' && m.State(101) == 'S'
	})
	quietManual(t, m, s)
}
