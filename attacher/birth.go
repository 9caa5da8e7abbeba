package attacher

import (
	"errors"
	"syscall"
)

// With FollowClone a thread is born as a tracee of its creator's tracer, and
// stops before its first instruction. Its creator stops as well
// (PTRACE_EVENT_CLONE), but that tells nothing that the newborn's own stop
// doesn't, and the two come in either order: so the creator is let go at once,
// and the newborn is met here.

// adopt takes on a tracee that no record of the tracer's knows, at the first
// report of it. It says whether there is more to do about the report.
func (t *tracer) adopt(s Stop) bool {
	switch {
	case s.TID == t.s.pid && t.renumber():
		return true
	case !t.s.process.Has(s.TID):
		// A process of its own: clone(2) without CLONE_THREAD, and without
		// SIGCHLD, by which the kernel would know it for a fork. Or it has
		// ended, and its exit comes next.
		if s.Kind.Ended() {
			_, _ = t.k.Reap(s.TID)
		} else {
			t.putDown(s)
		}
		return false
	case !s.Kind.Ended() && t.shard.Live() >= 2*t.s.options.Share:
		// It is full. What is born to it from now on goes to another.
		if t.putDown(s) {
			t.s.stray(s.TID)
		}
		return false
	}
	t.shard.Claim(s.TID)
	t.joined(s.TID)
	t.s.stats.births.Add(1)
	t.s.publish(Event{Kind: EventBirth, TID: s.TID})
	return true
}

// putDown lets a tracee go that is none of ours, at the stop that it is in. It
// answers false if it was killed meanwhile.
func (t *tracer) putDown(s Stop) bool {
	sig := syscall.Signal(0)
	if s.Kind == StopSignal {
		sig = s.Signal
	}
	return !errors.Is(t.k.Detach(s.TID, sig), syscall.ESRCH)
}
