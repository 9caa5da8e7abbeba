package attacher_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"massattach/attacher"
	"massattach/attacher/attachertest"
	"massattach/procfs"
	"massattach/threadset"
)

// The races, each at its worst moment, on the fake kernel.

func attachFake(t *testing.T, m *attachertest.Machine, o attacher.Options) *attacher.Session {
	t.Helper()
	o.Kernel, o.Proc = m, m
	return attach(t, 100, &o)
}

// quiet ends a session and checks what the machine has to say.
func quiet(t *testing.T, m *attachertest.Machine, s *attacher.Session) attacher.Report {
	t.Helper()
	r := detach(t, s)
	if err := m.Quiet(); err != nil {
		t.Error(err)
	}
	return r
}

// untraced are the threads without a tracer, but for those that are being
// reaped meanwhile.
func untraced(m *attachertest.Machine) []int {
	tids := slices.DeleteFunc(m.Threads(), func(tid int) bool { return m.TracerOf(tid) != 0 })
	there := m.Threads()
	return slices.DeleteFunc(tids, func(tid int) bool { return !slices.Contains(there, tid) })
}

// times lets a hook act the first n times.
func times(n int) func() bool {
	var done atomic.Int64
	return func() bool { return done.Add(1) <= int64(n) }
}

// counter counts from 1 on.
type counter struct{ n atomic.Int64 }

func (c *counter) next() int64 { return c.n.Add(1) }

// A thread is born just before each of the first SEIZEs, and before listings.
func TestRaceBirths(t *testing.T) {
	for _, op := range []string{"seize", "list"} {
		m := attachertest.New(100, 2_000)
		m.ChunkSize = 300
		budget := times(50)
		m.Before = func(o string, tid int) error {
			if o == op && budget() {
				m.Spawn(100)
			}
			return nil
		}
		s := attachFake(t, m, attacher.Options{Settle: -1})
		eventually(t, "all are traced", func() bool { return len(untraced(m)) == 0 })
		eventually(t, "converged", func() bool { return s.Report().Converged })
		for tracer, n := range m.Tracers() {
			if n > 1_000 {
				t.Errorf("tracer %d has %d tracees", tracer, n)
			}
		}
		if r := quiet(t, m, s); r.Threads.Attached < 2_000 || r.Threads.Attached != r.Threads.Found {
			t.Errorf("threads: %+v", r.Threads)
		}
	}
}

// Threads die just before their SEIZE.
func TestRaceDeaths(t *testing.T) {
	m := attachertest.New(100, 1_000)
	m.Before = func(op string, tid int) error {
		if op == "seize" && tid%3 == 0 {
			m.Exit(tid, 0)
		}
		return nil
	}
	s := attachFake(t, m, attacher.Options{})
	r := quiet(t, m, s)
	if r.Threads.Vanished < 300 || r.Threads.Found != r.Threads.Attached+r.Threads.Vanished || len(r.Failures) != 0 || !r.Converged {
		t.Errorf("%+v", r)
	}
}

// Threads that end while the list is read hide others of it, as many as they
// are. Here the second pass hides those that the first has hidden, and finds
// nobody new; it must not be believed.
func TestRaceHiddenByDeaths(t *testing.T) {
	m := attachertest.New(100, 400)
	m.ChunkSize = 100
	passes, lists := 0, 0
	exit := func(from, to, boundary int) {
		for tid := from; tid < to; tid++ {
			m.Exit(tid, 0)
		}
		m.Exit(boundary, 0) // the one at which the list would go on
		for slices.Contains(m.Threads(), boundary) || slices.Contains(m.Threads(), to-1) {
			time.Sleep(time.Millisecond) // seized ones go when they are reaped
		}
	}
	m.Before = func(op string, tid int) error {
		switch op {
		case "lastpid":
			passes++
			lists = 0
		case "list":
			lists++
			switch {
			case passes == 1 && lists == 4:
				exit(110, 120, 400) // hides 401 to 410 or so
			case passes == 2 && lists == 3:
				exit(120, 230, 310) // hides them again
			}
		}
		return nil
	}
	s := attachFake(t, m, attacher.Options{Follow: attacher.FollowNone})
	if missed := untraced(m); len(missed) > 0 {
		t.Errorf("threads %v were missed", missed)
	}
	quiet(t, m, s)
}

// Case 69: a tid is reused by another process between the list and its SEIZE:
// the stranger is let go at once.
func TestRaceStranger(t *testing.T) {
	m := attachertest.New(100, 50)
	reused := make(chan int, 1)
	budget := times(1)
	m.Before = func(op string, tid int) error {
		if op == "seize" && tid == 120 && budget() {
			m.Exit(tid, 0)
			if !m.Reuse(tid) {
				t.Error("the number isn't free")
			}
			reused <- tid
		}
		return nil
	}
	s := attachFake(t, m, attacher.Options{})
	tid := <-reused
	eventually(t, "the stranger is free", func() bool { return m.TracerOf(tid) == 0 })
	if r := quiet(t, m, s); r.Threads.Vanished != 1 || r.Threads.Attached != 49 {
		t.Errorf("threads: %+v", r.Threads)
	}
}

// Fact 17: the bell rings just before the tracer goes to sleep, and nobody
// hears it; the command is taken all the same.
func TestRaceLostBell(t *testing.T) {
	m := attachertest.New(100, 5)
	var armed atomic.Bool
	asleep, rung := make(chan struct{}), make(chan struct{})
	var sleeps, rings sync.Once
	m.Before = func(op string, tid int) error {
		if !armed.Load() {
			return nil
		}
		switch op {
		case "look":
			// It has looked at its inbox for the last time.
			sleeps.Do(func() {
				close(asleep)
				<-rung
			})
		case "ring":
			// This one is lost: it comes before the sleep, which begins
			// when we have returned.
			rings.Do(func() {
				go func() {
					time.Sleep(10 * time.Millisecond)
					close(rung)
				}()
			})
		}
		return nil
	}
	s := attachFake(t, m, attacher.Options{Follow: attacher.FollowNone})
	armed.Store(true)
	m.Signal(101, syscall.SIGWINCH) // brings the tracer back to its sleep
	<-asleep
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ran := 0
	err := s.Do(ctx, procfs.Selection{}, func(o *attacher.Owner) error { ran++; return nil })
	if err != nil || ran != 1 {
		t.Errorf("the command ran %d times: %v", ran, err)
	}
	quiet(t, m, s)
}

// Case 4: reports come slowly.
func TestRaceSlowWait(t *testing.T) {
	m := attachertest.New(100, 20)
	m.Handle(syscall.SIGUSR1, attachertest.Handler)
	m.Before = func(op string, tid int) error {
		if op == "look" {
			time.Sleep(2 * time.Millisecond)
		}
		return nil
	}
	s := attachFake(t, m, attacher.Options{})
	for tid := 100; tid < 120; tid++ {
		m.Signal(tid, syscall.SIGUSR1)
	}
	eventually(t, "each handler ran", func() bool { return len(m.Account().Handled) == 20 })
	quiet(t, m, s)
}

// The target is killed at every one of the calls that an attach, a signal and
// a detach make.
func TestRaceKilledAtEveryCall(t *testing.T) {
	run := func(at int64) (calls int64) {
		m := attachertest.New(100, 4)
		m.ChunkSize = 2
		var n atomic.Int64
		m.Before = func(op string, tid int) error {
			if n.Add(1) == at {
				m.Kill(100, syscall.SIGKILL)
			}
			return nil
		}
		s, err := attacher.Attach(t.Context(), 100, &attacher.Options{Kernel: m, Proc: m, Follow: attacher.FollowNone})
		if err == nil {
			m.Signal(101, syscall.SIGWINCH)
			m.Kill(100, syscall.SIGSTOP)
			m.Kill(100, syscall.SIGCONT)
			if err := s.Close(); err != nil {
				t.Errorf("killed at call %d: %v", at, err)
			}
		} else if !errors.Is(err, attacher.ErrGone) {
			t.Errorf("killed at call %d: %v", at, err)
		}
		if err := m.Quiet(); err != nil {
			t.Errorf("killed at call %d: %v", at, err)
		}
		return n.Load()
	}
	for at, last := int64(1), run(0); at <= last; at++ {
		run(at)
	}
}

// The tool is killed at every one of the calls: no signal is lost, nobody
// stays stopped.
func TestRaceToolKilledAtEveryCall(t *testing.T) {
	run := func(at int64) (calls int64) {
		m := attachertest.New(100, 4)
		m.Handle(syscall.SIGUSR1, attachertest.Handler)
		m.Handle(40, attachertest.Handler)
		var n atomic.Int64
		m.Before = func(op string, tid int) error {
			if n.Add(1) == at {
				m.KillTool()
			}
			return nil
		}
		s, err := attacher.Attach(t.Context(), 100, &attacher.Options{Kernel: m, Proc: m, Follow: attacher.FollowNone})
		want := 0
		for tid := 100; tid < 104; tid++ {
			m.Signal(tid, syscall.SIGUSR1)
			m.Queue(tid, 40, uint64(tid))
			want += 2
		}
		if err == nil {
			s.Close()
		}
		m.KillTool()
		if got := len(m.Account().Handled); got != want {
			t.Errorf("killed at call %d: %d handlers ran of %d", at, got, want)
		}
		if lost := m.Account().Lost; len(lost) > 0 {
			t.Errorf("killed at call %d: lost %v", at, lost)
		}
		return n.Load()
	}
	for at, last := int64(1), run(0); at <= last; at++ {
		run(at)
	}
}

// Case 56: a tracer breaks; its threads are let go, and found again.
func TestRacePanic(t *testing.T) {
	m := attachertest.New(100, 1_200)
	m.Handle(syscall.SIGUSR1, attachertest.Handler)
	budget := times(1)
	m.Before = func(op string, tid int) error {
		if op == "cont" && budget() {
			panic("at the worst moment")
		}
		return nil
	}
	s := attachFake(t, m, attacher.Options{Settle: -1})
	m.Signal(150, syscall.SIGUSR1)
	eventually(t, "the handler ran", func() bool { return len(m.Account().Handled) == 1 })
	m.Spawn(100) // something to look for
	eventually(t, "all are traced again", func() bool { return len(untraced(m)) == 0 })
	if err := s.Close(); err == nil {
		t.Error("the panic was not reported")
	}
	if err := m.Quiet(); err != nil {
		t.Error(err)
	}
}

// Threads that can't become tracers are passed over.
func TestRaceUnfit(t *testing.T) {
	m := attachertest.New(100, 1_000)
	m.Unfit = 3
	quiet(t, m, attachFake(t, m, attacher.Options{}))
}

// tracerless is a kernel on which no thread can become a tracer.
type tracerless struct{ attacher.Kernel }

func (tracerless) Tracer() (attacher.Tracer, error) { return nil, errors.ErrUnsupported }

func TestRaceNoTracers(t *testing.T) {
	m := attachertest.New(100, 10)
	if _, err := attacher.Attach(t.Context(), 100, &attacher.Options{Kernel: tracerless{m}, Proc: m}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("attach: %v", err)
	}
}

// Case 59: refused threads are named, the others attached.
func TestRaceRefused(t *testing.T) {
	m := attachertest.New(100, 300)
	m.Before = func(op string, tid int) error {
		if op == "seize" && tid%2 == 0 {
			return syscall.EPERM
		}
		return nil
	}
	for tid := 100; tid < 400; tid++ {
		m.SetFacts(tid, attacher.Facts{TID: tid, State: 'S', Privileged: false, SameUserNS: true, UID: 5, OurUID: 6, Dumpable: true, Yama: -1})
	}
	s := attachFake(t, m, attacher.Options{})
	r := quiet(t, m, s)
	if r.Threads.Failed != 150 || r.Threads.Attached != 150 || len(r.Failures) != 100 || !r.Converged {
		t.Errorf("%d failures listed, %+v", len(r.Failures), r.Threads)
	}
	for _, f := range r.Failures {
		if f.Cause != attacher.CauseOtherUser || f.Errno != syscall.EPERM {
			t.Errorf("%+v", f)
		}
	}
}

// Who was refused because of another tracer, which has let go before anybody looks, is
// asked once more; nothing is in the way.
func TestRaceTracerLetsGo(t *testing.T) {
	m := attachertest.New(100, 10)
	var refused atomic.Int64
	m.Before = func(op string, tid int) error {
		if op == "seize" && tid == 105 && refused.Add(1) == 1 {
			return syscall.EPERM
		}
		return nil
	}
	s := attachFake(t, m, attacher.Options{})
	r := quiet(t, m, s)
	if r.Threads.Failed != 0 || r.Threads.Attached != 10 || !r.Converged || refused.Load() < 2 {
		t.Errorf("%d times asked; %+v, %+v", refused.Load(), r.Threads, r.Failures)
	}
}

// A refusal under a seccomp filter: the kernel tells whether it is the filter's,
// by a SEIZE of nobody.
func TestRaceFiltered(t *testing.T) {
	for _, filtered := range []bool{false, true} {
		m := attachertest.New(100, 30)
		m.Before = func(op string, tid int) error {
			if op == "seize" && (filtered || tid > 0) {
				return syscall.ENOSYS
			}
			return nil
		}
		for tid := 100; tid < 130; tid++ {
			m.SetFacts(tid, attacher.Facts{TID: tid, State: 'S', SameUser: true, SameUserNS: true, Dumpable: true, Yama: -1, Seccomp: true})
		}
		_, err := attacher.Attach(t.Context(), 100, &attacher.Options{Kernel: m, Proc: m})
		denied, ok := errors.AsType[*attacher.DeniedError](err)
		if !ok || denied.Threads != 30 || (denied.Failure.Cause == attacher.CauseSeccomp) != filtered {
			t.Errorf("filtered %v: %v", filtered, err)
		}
	}
}

// Job control before, during and after, at every call.
func TestRaceGroupStop(t *testing.T) {
	run := func(at int64) (calls int64) {
		m := attachertest.New(100, 3)
		var n atomic.Int64
		m.Before = func(op string, tid int) error {
			switch n.Add(1) {
			case at:
				m.Kill(100, syscall.SIGSTOP)
			case at + 3:
				m.Kill(100, syscall.SIGCONT)
			}
			return nil
		}
		s := attachFake(t, m, attacher.Options{Follow: attacher.FollowNone})
		eventually(t, "the tracers sleep", func() bool {
			if n.Load() > at+3 || n.Load() < at {
				return true
			}
			// Nothing more happens by itself: let them look once more.
			_ = s.Do(t.Context(), procfs.Selection{}, func(*attacher.Owner) error { return nil })
			return false
		})
		quiet(t, m, s)
		return n.Load()
	}
	for at, last := int64(1), run(1<<40); at <= last; at++ {
		run(at)
	}
}

// What is held runs on when the session ends.
func TestRaceCloseHeld(t *testing.T) {
	m := attachertest.New(100, 30)
	s := attachFake(t, m, attacher.Options{})
	if err := s.SetArbiter(&holder{on: true}); err != nil {
		t.Fatal(err)
	}
	interrupt(t, s, procfs.Selection{})
	eventually(t, "all are held", func() bool { return phases(s)[threadset.Held] == 30 })
	m.Signal(110, syscall.SIGWINCH)
	quiet(t, m, s)
}

// A thread that has a signal pending whenever its tracer looks does not keep
// the one behind it waiting. In a bubble no report takes longer than another.
func TestRaceFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const hot, cold = 109, 101 // the first to be found, as the one seized later, and the last
		m := attachertest.New(100, 10)
		m.Handle(syscall.SIGUSR1, attachertest.Handler)
		m.Handle(syscall.SIGUSR2, attachertest.Handler)
		var stop atomic.Bool
		var conts atomic.Int64
		m.Before = func(op string, tid int) error {
			if op == "look" && !stop.Load() {
				m.Signal(hot, syscall.SIGUSR1)
			}
			if op == "cont" && (tid == cold || conts.Add(1) > 10_000) {
				stop.Store(true)
			}
			return nil
		}
		s := attachFake(t, m, attacher.Options{Follow: attacher.FollowNone})
		m.Signal(hot, syscall.SIGUSR1)
		m.Signal(cold, syscall.SIGUSR2)
		eventually(t, "it is over", stop.Load)
		quiet(t, m, s)
		if n := conts.Load(); n > 5_000 {
			t.Errorf("a signal waited for %d others", n)
		}
	})
}

// The leader is seized last and let go first, so that signals to the process
// that it ignores wake nobody who can't be helped.
func TestRaceLeaderLast(t *testing.T) {
	m := attachertest.New(100, 1_200)
	m.ChunkSize = 100
	var exits atomic.Int64
	m.Before = func(op string, tid int) error {
		switch {
		case op == "seize" && tid == 100:
			for _, other := range m.Threads() {
				if other != 100 && m.TracerOf(other) == 0 {
					t.Errorf("thread %d is not traced yet", other)
					break
				}
			}
		case op == "exit" && exits.Add(1) > 1 && m.TracerOf(100) != 0:
			t.Error("the leader is not let go first")
		}
		return nil
	}
	quiet(t, m, attachFake(t, m, attacher.Options{}))
}

// A function that Do runs breaks: Do returns, and so do all who wait for the
// same tracer.
func TestRacePanicInDo(t *testing.T) {
	m := attachertest.New(100, 10)
	s := attachFake(t, m, attacher.Options{Follow: attacher.FollowNone})
	var wg sync.WaitGroup
	for i := range 5 {
		wg.Go(func() {
			_ = s.Do(t.Context(), procfs.Selection{}, func(*attacher.Owner) error {
				if i == 2 {
					panic("in the middle")
				}
				return nil
			})
		})
	}
	wg.Wait()
	if err := s.Close(); err == nil {
		t.Error("the panic was not reported")
	}
	if err := m.Quiet(); err != nil {
		t.Error(err)
	}
}
