package attachertest_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"massattach/attacher"
	"massattach/threadset"
)

// check looks after each step for what must never be.
func (s *simulation) check() {
	if err := s.m.Check(); err != nil {
		s.judge(err, "")
	}
}

// judge fails for what the machine complains of. Where a tracer was killed, or
// broke, threads that it had woken are left to themselves, and nobody repairs
// their calls; and an EINTR that the report owns up to is no surprise.
func (s *simulation) judge(err error, when string) {
	a := s.m.Account()
	lenient := s.isBroken() || a.Undue <= s.reported() && a.Mended == 0
	if lenient && len(a.Violations)+len(a.Lost) == 0 && !strings.Contains(err.Error(), "thread ") && !strings.Contains(err.Error(), "process ") {
		return
	}
	s.fail("%s: %v", when, err)
}

// reported is how many EINTRs were left, as the reports say.
func (s *simulation) reported() int {
	n := s.left
	if s.host != nil {
		if session := s.host.attached(); session != nil {
			n += session.Report().Repair.Left
		}
	}
	return n
}

// leaderLast looks at the moment when the leader is about to be seized: from
// then on a signal to the process that it ignores wakes somebody. Where threads
// were born or died it may come earlier.
func (s *simulation) leaderLast() {
	tids := s.m.Threads()
	if !s.early.CompareAndSwap(true, false) || s.killed.Load() || !slices.Equal(tids, s.before) {
		return
	}
	for _, tid := range tids {
		if tid != 100 && s.m.State(tid) != 'Z' && s.m.TracerOf(tid) == 0 && !s.plan.refused[tid] {
			s.fail("the leader is seized before thread %d", tid)
		}
	}
}

// resting is for how long the program has had nothing to do but to close.
func (h *host) resting() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.rested.IsZero() {
		return 0
	}
	return time.Since(h.rested)
}

func (h *host) what() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return "the program is at: " + h.doing
}

func (h *host) calmDown() {
	select {
	case <-h.calm:
	default:
		close(h.calm)
	}
}

func (h *host) finishNow() {
	select {
	case <-h.finish:
	default:
		close(h.finish)
	}
}

// rested looks at a session that has had its time: each thread is traced, the
// records are right, nobody stands still.
func (s *simulation) rested(h *host) {
	if s.killed.Load() || h.isClosing() {
		return
	}
	session := h.attached()
	owners := make(map[int]int)
	for th := range session.Threads() {
		if th.Phase.Seized() {
			owners[th.TID] = th.Owner
		}
		state := s.m.State(th.TID)
		if state != 'Z' && (th.Phase == threadset.Held || th.Phase == threadset.Stopping && state != 'D') {
			s.fail("thread %d is %v", th.TID, th.Phase)
		}
	}
	failed := make(map[int]bool)
	for _, f := range session.Report().Failures {
		failed[f.TID] = true
	}
	for _, tid := range s.m.Threads() {
		state, tracer := s.m.State(tid), s.m.TracerOf(tid)
		switch {
		case tracer != owners[tid]:
			s.fail("thread %d is tracer %d's, and the session believes tracer %d's", tid, tracer, owners[tid])
		case tracer == 0 && state != 'Z' && h.visit.options.Follow != attacher.FollowNone && !failed[tid]:
			s.fail("thread %d is not traced", tid)
		case state == 'Z' && tid != 100:
			s.fail("thread %d is not reaped", tid)
		case !h.visit.leave && (state == 't' || state == 'T'):
			s.fail("thread %d is stopped (%c)", tid, state)
		}
		delete(owners, tid)
	}
	for tid, owner := range owners {
		s.fail("thread %d is gone, and the session believes it is tracer %d's", tid, owner)
	}
}

// verdict looks at a session that is over.
func (s *simulation) verdict(h *host) {
	h.mu.Lock()
	session, err, closeErr := h.session, h.err, h.closeErr
	h.mu.Unlock()
	if s.killed.Load() {
		return
	}
	if err != nil {
		s.refusal(h, err)
	} else {
		r := session.Report()
		s.left += r.Repair.Left
		s.host = nil
		t := r.Threads
		switch {
		case closeErr != nil && !s.isBroken():
			s.fail("close: %v", closeErr)
		case t.Found != t.Attached+t.Vanished+t.Zombie+t.Failed || t.Pending != 0 || t.Exited > t.Attached:
			s.fail("the sums are wrong: %+v", t)
		case h.gone && !r.Ended:
			s.fail("the target has ended, and the report doesn't say so")
		case !s.gone() && r.Ended:
			s.fail("the target lives, and the report says that it has ended")
		case r.Ended && t.Exited != t.Attached:
			s.fail("the target has ended, but not all of its threads: %+v", t)
		case !r.Detach.Confirmed:
			s.fail("the detach is not confirmed: %+v", r.Detach)
		}
	}
	for tracer, n := range s.m.Tracers() {
		s.fail("tracer %d has not ended and has %d tracees", tracer, n)
	}
	for _, tid := range s.m.Threads() {
		if tracer := s.m.TracerOf(tid); tracer != 0 && !s.isForeign(tracer) {
			s.fail("thread %d is still traced, by %d", tid, tracer)
		}
	}
}

// gone says whether nothing of the target is alive.
func (s *simulation) gone() bool {
	for _, tid := range s.m.Threads() {
		if s.m.State(tid) != 'Z' {
			return false
		}
	}
	return true
}

func (s *simulation) isForeign(tracer int) bool {
	for _, id := range s.foreign {
		if id == tracer {
			return true
		}
	}
	return false
}

// refusal looks at an attach that has failed.
func (s *simulation) refusal(h *host, err error) {
	var denied *attacher.DeniedError
	switch {
	case errors.Is(err, attacher.ErrGone):
		for _, tid := range s.m.Threads() {
			if s.m.State(tid) != 'Z' && s.m.TracerOf(tid) == 0 {
				s.fail("attach: %v, and thread %d lives", err, tid)
			}
		}
	case errors.As(err, &denied):
	case errors.Is(err, context.Canceled) && (h.visit.cancelAt > 0 || h.isClosing()):
	case errors.Is(err, context.DeadlineExceeded) && h.visit.deadline > 0:
	case errors.Is(err, errBroken):
	case s.isBroken():
	default:
		s.fail("attach: %v", err)
	}
}
