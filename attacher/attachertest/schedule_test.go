package attachertest_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing/synctest"
	"time"

	"massattach/attacher/attachertest"
)

// scheduler owns the order of all that happens: one call at a time passes the
// gate, one thread at a time runs, and which is drawn from a seed. So is what
// time it takes.
type scheduler struct {
	m       *attachertest.Machine
	rng     *rand.Rand
	sticky  float64       // how likely the same one goes on
	starve  float64       // how likely somebody isn't let on for long
	tick    float64       // how likely time passes between two steps,
	jump    time.Duration // and how much at the most
	last    int           // who went on last
	starved map[int]int   // until which step

	steps    int
	noting   sync.Mutex
	trace    []step
	lively   time.Time // when a tracer, or a thread, went on last
	choices  []choice
	runnable []int

	mu      sync.Mutex
	waiting []*waiter
	known   int // of waiting: those who were there before
	arrived chan struct{}
	open    bool // the gate stands open: it is over
}

// waiter is a call of the attacher's at the gate.
type waiter struct {
	tracer, tid int
	op          string
	pass        chan struct{}
}

// choice is somebody who can go on: a waiter, or a thread.
type choice struct{ waiter, tid int }

// step is something that happened.
type step struct {
	who int // a tracer, 0: somebody else
	op  string
	tid int
}

func (s step) String() string {
	if s.who == 0 {
		return fmt.Sprintf("%s %d", s.op, s.tid)
	}
	return fmt.Sprintf("%d: %s %d", s.who, s.op, s.tid)
}

func (s *scheduler) gate(tracer int, op string, tid int) {
	s.mu.Lock()
	if s.open {
		s.mu.Unlock()
		return
	}
	w := &waiter{tracer, tid, op, make(chan struct{})}
	s.waiting = append(s.waiting, w)
	s.mu.Unlock()
	select {
	case s.arrived <- struct{}{}:
	default:
	}
	<-w.pass
}

// openGate lets everybody go on for good.
func (s *scheduler) openGate() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = true
	for _, w := range s.waiting {
		close(w.pass)
	}
	s.waiting = nil
}

func (s *scheduler) note(who int, op string, tid int) {
	s.noting.Lock()
	defer s.noting.Unlock()
	s.trace = append(s.trace, step{who, op, tid})
	if who != 0 || op == "run" {
		s.lively = time.Now()
	}
}

// still is for how long no tracer and no thread has had anything to do. Somebody who is
// about to go on has: time may just have jumped.
func (s *scheduler) still() time.Duration {
	if s.isBusy() {
		return 0
	}
	s.noting.Lock()
	defer s.noting.Unlock()
	return time.Since(s.lively)
}

// isBusy says whether a tracer, a thread, or the attacher's other goroutines can go on.
func (s *scheduler) isBusy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.m.Runnable()) > 0 || slices.ContainsFunc(s.waiting, func(w *waiter) bool {
		return w.tracer >= 0 && (w.op != "sleep" || s.m.Awake(w.tracer))
	})
}

// settle returns when all that runs has come to a rest.
func (s *scheduler) settle() {
	synctest.Wait()
	select {
	case <-s.arrived:
	default:
	}
	// Timers of one moment fire in any order.
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.SortStableFunc(s.waiting[s.known:], func(a, b *waiter) int {
		return cmp.Or(cmp.Compare(a.tracer, b.tracer), cmp.Compare(a.op, b.op), cmp.Compare(a.tid, b.tid))
	})
	s.known = len(s.waiting)
}

// step does one thing, when all that runs has come to a rest. It says whether
// there was anything to do.
func (s *scheduler) step() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.steps++
	s.choose()
	if len(s.choices) == 0 {
		return false
	}
	c := s.choices[s.rng.IntN(len(s.choices))]
	if s.rng.Float64() < s.sticky {
		for _, d := range s.choices {
			if s.who(d) == s.last {
				c = d
			}
		}
	}
	s.last = s.who(c)
	if s.rng.Float64() < s.starve {
		s.starved[s.last] = s.steps + 20 + s.rng.IntN(400)
	}
	if c.waiter < 0 {
		s.note(0, "run", c.tid)
		s.m.Run(c.tid)
		return true
	}
	w := s.waiting[c.waiter]
	s.waiting = slices.Delete(s.waiting, c.waiter, c.waiter+1)
	s.known--
	s.note(w.tracer, w.op, w.tid)
	close(w.pass)
	return true
}

// choose finds out who can go on. Who is starved can't, unless nobody else
// could.
func (s *scheduler) choose() {
	s.choices = s.choices[:0]
	s.runnable = append(s.runnable[:0], s.m.Runnable()...)
	starving := false
	add := func(id int, c choice) {
		if s.starved[id] > s.steps {
			starving = true
			return
		}
		s.choices = append(s.choices, c)
	}
	for i, w := range s.waiting {
		if w.op != "sleep" || s.m.Awake(w.tracer) {
			add(w.tracer, choice{i, w.tid})
		}
	}
	for _, tid := range s.runnable {
		add(tid, choice{-1, tid})
	}
	if len(s.choices) == 0 && starving {
		clear(s.starved)
		s.choose()
	}
}

// who a choice is: a tracer's id, or a thread's.
func (s *scheduler) who(c choice) int {
	if c.waiter < 0 {
		return c.tid
	}
	return s.waiting[c.waiter].tracer
}

// pass lets time pass until d is over or somebody comes to the gate.
func (s *scheduler) pass(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-s.arrived:
	case <-timer.C:
	}
}
