package attacher_test

import (
	"sync/atomic"
	"testing"
	"time"

	"massattach/attacher"
	"massattach/attacher/attachertest"
)

// newborns has a thread born whenever the threads are counted, so that no pass
// is the last, until it is told to stop; then it answers how many calls have listed
// threads.
func newborns(m *attachertest.Machine, at func(count int64)) (stop func() (lists int64)) {
	var counts, lists atomic.Int64
	var over atomic.Bool
	m.Before = func(op string, tid int) error {
		if over.Load() {
			return nil
		}
		switch op {
		case "list":
			lists.Add(1)
		case "threads":
			at(counts.Add(1))
			m.Spawn(0)
		}
		return nil
	}
	return func() int64 {
		over.Store(true)
		return lists.Load()
	}
}

// Births without end cost an attach one look at all threads, and then some at the
// newest.
func TestRaceNewest(t *testing.T) {
	const threads, chunk = 2_000, 10
	for _, follow := range []attacher.Follow{attacher.FollowScan, attacher.FollowNone} {
		m := attachertest.New(100, threads)
		m.ChunkSize = chunk
		stop := newborns(m, func(int64) {})
		var n int64 // before the keeper lists once more
		attached := func(*attacher.Session, time.Duration) { n = stop() }
		s := attachFake(t, m, attacher.Options{Follow: follow, Trace: &attacher.Trace{Attached: attached}})
		if all := int64(threads / chunk); n < all || n > all+all/2 {
			t.Errorf("%v: %d calls that list, %d list all", follow, n, all)
		}
		if r := s.Report(); r.Converged || r.Threads.Born == 0 {
			t.Errorf("%v: converged %v, %d born", follow, r.Converged, r.Threads.Born)
		}
		// Who was born during the last pass may be unknown.
		if missed := untraced(m); len(missed) > 4 {
			t.Errorf("%v: threads %v were missed", follow, missed)
		}
		quiet(t, m, s)
	}
}

// Of those who came last so many end that others move up to where they were: all
// are listed again, and nobody is missed.
func TestRaceNewestMovedUp(t *testing.T) {
	m := attachertest.New(100, 400)
	m.ChunkSize = 50
	stop := newborns(m, func(count int64) {
		if count != 1 {
			return
		}
		for tid := 300; tid < 500; tid++ {
			m.Exit(tid, 0)
		}
		for range 150 {
			m.Spawn(0)
		}
		for len(m.Threads()) > 350 { // seized ones go when they are reaped
			time.Sleep(time.Millisecond)
		}
	})
	s := attachFake(t, m, attacher.Options{Follow: attacher.FollowScan, Settle: time.Hour})
	n := stop()
	if missed := untraced(m); len(missed) > 4 {
		t.Errorf("%d threads were missed: %v", len(missed), missed)
	}
	if n < 400/50+350/50 {
		t.Errorf("%d calls that list", n)
	}
	quiet(t, m, s)
}

// A newborn's number is given to another process before its SEIZE, and a thread is
// born of which nobody knows: as long as the stranger has not been let go there are
// as many tracees as the target has threads, and that proves nothing.
func TestRaceStrangerHidesNewborn(t *testing.T) {
	const threads = 200
	m := attachertest.New(100, threads)
	var counts atomic.Int64
	var reused, hidden atomic.Bool
	m.Before = func(op string, tid int) error {
		switch {
		case op == "threads" && counts.Add(1) <= 4 && !reused.Load():
			m.Spawn(0) // or the second pass would be the last
		case op == "threads" && reused.Load() && hidden.CompareAndSwap(false, true):
			m.Spawn(0)
		case op == "seize" && tid >= 100+threads && counts.Load() >= 3 && reused.CompareAndSwap(false, true):
			m.Exit(tid, 0)
			if !m.Reuse(tid) {
				t.Error("the number isn't free")
			}
		case op == "look" && reused.Load():
			time.Sleep(50 * time.Millisecond) // the stranger's stop is slow to be seen
		}
		return nil
	}
	s := attachFake(t, m, attacher.Options{Follow: attacher.FollowNone})
	if r, missed := s.Report(), untraced(m); r.Converged && len(missed) > 0 || !hidden.Load() {
		t.Errorf("converged %v, and %v are untraced; hidden %v", r.Converged, missed, hidden.Load())
	}
	quiet(t, m, s)
}

// A first pass that has met no birth and no death is the only one over all threads.
func TestOnePass(t *testing.T) {
	const threads, chunk = 2_000, 10
	for _, follow := range following {
		m := attachertest.New(100, threads)
		m.ChunkSize = chunk
		var lists atomic.Int64
		m.Before = func(op string, tid int) error {
			if op == "list" {
				lists.Add(1)
			}
			return nil
		}
		s := attachFake(t, m, attacher.Options{Follow: follow, Settle: time.Hour})
		if n := lists.Load(); n > threads/chunk+1 {
			t.Errorf("%v: %d calls that list, %d list all", follow, n, threads/chunk)
		}
		if r := s.Report(); !r.Converged || r.Passes != 2 {
			t.Errorf("%v: %+v", follow, r)
		}
		quiet(t, m, s)
	}
}

// During the first pass a thread is born unseen, and another's number is given to a
// stranger before its SEIZE: there are as many tracees as threads, all the time.
func TestRaceStrangerInFirstPass(t *testing.T) {
	const threads, victim = 200, 250
	m := attachertest.New(100, threads)
	var done atomic.Bool
	m.Before = func(op string, tid int) error {
		if op == "seize" && tid == victim && done.CompareAndSwap(false, true) {
			m.Spawn(0)
			m.Exit(victim, 0)
			if !m.Reuse(victim) {
				t.Error("the number isn't free")
			}
		}
		return nil
	}
	s := attachFake(t, m, attacher.Options{Follow: attacher.FollowNone})
	if missed := untraced(m); len(missed) > 0 || !done.Load() {
		t.Errorf("%v are untraced, converged %v", missed, s.Report().Converged)
	}
	eventually(t, "the stranger is free", func() bool { return m.TracerOf(victim) == 0 })
	quiet(t, m, s)
}

func TestGivenBetween(t *testing.T) {
	for _, tc := range []struct {
		tid, a, b int
		want      bool
	}{
		{5, 5, 5, false}, {5, 5, 9, false}, {6, 5, 9, true}, {9, 5, 9, true}, {10, 5, 9, false},
		{9, 9, 5, false}, {10, 9, 5, true}, {5, 9, 5, true}, {6, 9, 5, false},
	} {
		if got := attacher.GivenBetween(tc.tid, tc.a, tc.b); got != tc.want {
			t.Errorf("givenBetween(%d, %d, %d) = %v", tc.tid, tc.a, tc.b, got)
		}
	}
}
