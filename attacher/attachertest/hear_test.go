package attachertest_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"massattach/attacher"
	"massattach/attacher/attachertest"
)

// Births that the kernel tells of, each order of events.

// seizes counts them by thread.
type seizes struct {
	mu    sync.Mutex
	count map[int]int
}

func (c *seizes) note(op string, tid int) error {
	if op == "seize" {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.count == nil {
			c.count = make(map[int]int)
		}
		c.count[tid]++
	}
	return nil
}

func (c *seizes) of(tid int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count[tid]
}

// A newborn is seized once it has lived for Settle, and not before; one that
// ends before costs no SEIZE, and is in no account.
func TestHearSettles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := attachertest.New(100, 5)
		var c seizes
		m.Before = c.note
		s := session(t, m, attacher.Options{Settle: 10 * time.Millisecond}, nil)
		short, long := m.Spawn(100), m.Spawn(101)
		time.Sleep(9 * time.Millisecond)
		m.Exit(short, 0)
		m.Return(short, 0) // it is in a call
		if m.State(short) != 0 {
			t.Fatal("it lives on")
		}
		if m.TracerOf(long) != 0 {
			t.Error("seized before its time")
		}
		time.Sleep(3 * time.Millisecond)
		if m.TracerOf(long) == 0 {
			t.Error("not seized in time")
		}
		if c.of(short) != 0 || c.of(long) != 1 {
			t.Errorf("%d and %d SEIZEs", c.of(short), c.of(long))
		}
		r := s.Report()
		if r.Follow != attacher.FollowEvent || r.FollowMissing != "" || r.Threads.Born != 1 || r.Threads.Found != 6 || r.Events.Births != 1 {
			t.Errorf("%+v", r)
		}
		if g := r.Attach.Gap; g.Max < 10*time.Millisecond || g.Max > 13*time.Millisecond || g.P50 > g.Max || g.P50 < g.Max*9/10 {
			t.Errorf("the gap is %v", g)
		}
		over(t, m, s)
	})
}

// As long as nobody is born nothing is listed but once in a long while.
func TestHearLeavesTheListAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := attachertest.New(100, 5)
		s := session(t, m, attacher.Options{}, nil)
		m.Spawn(100)
		time.Sleep(2 * time.Second)
		lists := func() int { return s.Report().Passes }
		before := lists()
		for range 20 {
			m.Spawn(100)
			time.Sleep(time.Second)
		}
		if n := lists() - before; n > 1 {
			t.Errorf("%d passes over the list in 20 s", n)
		}
		if n := s.Report().Threads.Attached; n != 26 {
			t.Errorf("%d threads are attached", n)
		}
		over(t, m, s)
	})
}

// Births of which the log has lost some are found in the list, and counted.
func TestHearOverflows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := attachertest.New(100, 5)
		m.LogSize = 4
		s := session(t, m, attacher.Options{}, nil)
		for range 10 {
			m.Spawn(100)
		}
		time.Sleep(200 * time.Millisecond)
		for _, tid := range m.Threads() {
			if m.TracerOf(tid) == 0 {
				t.Errorf("thread %d is not traced", tid)
			}
		}
		r := s.Report()
		if r.Events.Overflows != 6 || r.Events.Births != 10 || !r.Converged {
			t.Errorf("%+v, converged %v", r.Events, r.Converged)
		}
		over(t, m, s)
	})
}

// A newborn that nobody has seized yet execs: all others die, and the one that
// is left has the leader's number.
func TestHearExec(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := attachertest.New(100, 5)
		s := session(t, m, attacher.Options{Settle: 100 * time.Millisecond}, nil)
		m.Exec(m.Spawn(101))
		time.Sleep(time.Second)
		if got := m.Threads(); !slices.Equal(got, []int{100}) || m.TracerOf(100) == 0 {
			t.Errorf("threads %v, the tracer is %d", got, m.TracerOf(100))
		}
		if r := s.Report(); !r.Converged || r.Threads.Attached-r.Threads.Exited != 1 {
			t.Errorf("%+v", r)
		}
		over(t, m, s)
	})
}

// A newborn ends when it was told of, and another process gets its number
// before the SEIZE: the stranger is let go, and counted as vanished.
func TestHearStranger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := attachertest.New(100, 5)
		var born atomic.Int64
		m.Before = func(op string, tid int) error {
			if op == "seize" && int64(tid) == born.Load() && born.CompareAndSwap(int64(tid), -1) {
				m.Exit(tid, 0)
				m.Return(tid, 0)
				if !m.Reuse(tid) {
					t.Error("the number is taken")
				}
			}
			return nil
		}
		s := session(t, m, attacher.Options{}, nil)
		tid := m.Spawn(100)
		born.Store(int64(tid))
		time.Sleep(100 * time.Millisecond)
		if m.TracerOf(tid) != 0 || m.State(tid) != 'S' {
			t.Errorf("the stranger is %c, its tracer %d", m.State(tid), m.TracerOf(tid))
		}
		if r := s.Report().Threads; r.Vanished != 1 || r.Attached-r.Exited > 5 {
			t.Errorf("%+v", r)
		}
		must(t, s.Close())
		must(t, m.Quiet())
	})
}

// The scanner and the one who hears find the same thread, and give it to two
// tracers: the one whose record is first seizes it, also when the other would
// be quicker.
func TestHearFoundTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := attachertest.New(100, 8)
		m.LogSize = 1
		var (
			s     *attacher.Session
			twice atomic.Int64
			calls atomic.Int64
		)
		m.Before = func(op string, tid int) error {
			switch {
			case twice.Load() == 0:
			case op == "tracer":
				time.Sleep(500 * time.Millisecond) // until it was found twice
			case op == "seize" && int64(tid) == twice.Load() && calls.Add(1) == 1:
				time.Sleep(time.Second) // until the other one is done
			}
			return nil
		}
		// Each tracer has its share, so that newborns go to new ones.
		s = session(t, m, attacher.Options{Share: 1, Settle: -1}, nil)
		twice.Store(1)
		lost := m.Spawn(100)
		tid := m.Spawn(100)
		twice.Store(int64(tid))
		time.Sleep(3 * time.Second)
		for _, tid := range []int{lost, tid} {
			if owner := ownerOf(s, tid); owner == 0 || owner != m.TracerOf(tid) {
				t.Errorf("thread %d is tracer %d's, and the session believes %d's", tid, m.TracerOf(tid), owner)
			}
		}
		over(t, m, s)
	})
}

func ownerOf(s *attacher.Session, tid int) int {
	for th := range s.Threads() {
		if th.TID == tid && th.Phase.Seized() {
			return th.Owner
		}
	}
	return 0
}

// Without it the session scans, says why, and misses nobody.
func TestHearMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := attachertest.New(100, 5)
		m.Before = func(op string, _ int) error {
			if op == "births" {
				return errors.New("the kernel is hard of hearing")
			}
			return nil
		}
		s := session(t, m, attacher.Options{}, nil)
		m.Spawn(100)
		time.Sleep(200 * time.Millisecond)
		r := s.Report()
		if r.Follow != attacher.FollowScan || r.FollowMissing != "the kernel is hard of hearing" || r.Threads.Attached != 6 || r.Attach.Gap.Max != 0 {
			t.Errorf("%+v", r)
		}
		over(t, m, s)
	})
}

// Births at every call of an attach are all found, and only once.
func TestHearDuringAttach(t *testing.T) {
	for _, op := range []string{"seize", "list", "status", "threads", "look", "births", "hear", "lastpid"} {
		synctest.Test(t, func(t *testing.T) {
			m := attachertest.New(100, 60)
			m.ChunkSize = 7
			var n atomic.Int64
			m.Before = func(o string, tid int) error {
				if i := n.Load(); o == op && i < 30 && n.CompareAndSwap(i, i+1) {
					m.Spawn(100 + int(i*37%60))
				}
				return nil
			}
			s := session(t, m, attacher.Options{Share: 10}, nil)
			time.Sleep(time.Second)
			n.Store(30)
			time.Sleep(time.Second)
			for _, tid := range m.Threads() {
				if owner := ownerOf(s, tid); owner == 0 || owner != m.TracerOf(tid) {
					t.Errorf("births at %s: thread %d is tracer %d's, and the session believes %d's", op, tid, m.TracerOf(tid), owner)
				}
			}
			if r := s.Report(); r.Threads.Attached != len(m.Threads()) || !r.Converged {
				t.Errorf("births at %s: %+v, %d threads", op, r.Threads, len(m.Threads()))
			}
			over(t, m, s)
		})
	}
}

// An attach that is given up while the log is being opened leaves nothing.
func TestHearCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := attachertest.New(100, 5)
		ctx, cancel := context.WithCancel(context.Background())
		m.Before = func(op string, _ int) error {
			if op == "births" {
				cancel()
			}
			return nil
		}
		_, err := attacher.Attach(ctx, 100, &attacher.Options{Kernel: m, Proc: m})
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		must(t, m.Quiet())
	})
}
