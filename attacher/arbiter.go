package attacher

import "errors"

// Verdict says what becomes of a stop.
type Verdict uint8

const (
	// Pass: the tracee goes on; a signal of the target's own is delivered, one of
	// ours is not.
	Pass Verdict = iota
	// Hold: the tracee stays stopped until [Owner.Resume]. A
	// signal-delivery-stop is not held: its signal is delivered, and the
	// arbiter asked again at the event-stop that follows at once.
	Hold
	// Drop: the signal is not delivered. Only for one that the arbiter sent
	// itself.
	Drop
	// Deliver: a signal of ours stands for one of the target's own that was merged
	// into it, whose siginfo it has been given. It is what comes next: the arbiter
	// is asked once more, about a StopSignal.
	Deliver
)

// Arbiter decides what becomes of the stops of tracees. Package stopper is
// one.
type Arbiter interface {
	// Decide is called on the thread of tid's owner for each of its stops,
	// and must not block. EINTR has been repaired where it can be; for a
	// signal that is done after Decide.
	Decide(tid int, s Stop) Verdict
}

// Witness is an [Arbiter] that hears of its tracees, too. Its methods are called
// on their owner's thread, and must not block. They may ask the owner something,
// and keep o no longer than the call.
type Witness interface {
	Arbiter
	// Seized: the tids are tracees since now, and run.
	Seized(o *Owner, tids []int)
	// Held: a thread is in the stop that Decide has answered Hold to.
	Held(o *Owner, s Stop)
	// Lost: tid is no tracee of this owner any more. It has ended, was let go, or
	// has another number since an exec that nobody could be asked about.
	Lost(o *Owner, tid int)
}

// Closer is an [Arbiter] that is told of the detach.
type Closer interface {
	// Closing is called by Close before it does anything; the session is as it was
	// until it returns. Nothing may be asked of the session later.
	Closing()
}

// SetArbiter hands the decision on stops to a, from the next stop on. A
// session has one arbiter at a time; nil takes it away, and who is held stays
// so. It is an error to replace one by another.
func (s *Session) SetArbiter(a Arbiter) error {
	if a == nil {
		s.arbiter.Store(nil)
		return nil
	}
	if !s.arbiter.CompareAndSwap(nil, &a) {
		return errors.New("attacher: the session has an arbiter already")
	}
	return nil
}

// witness is the arbiter, if it is one that hears of tracees.
func (t *tracer) witness() Witness {
	if a := t.s.arbiter.Load(); a != nil {
		w, _ := (*a).(Witness)
		return w
	}
	return nil
}

// tellSeized tells the witness of new tracees that run.
func (t *tracer) tellSeized(tids ...int) {
	if w := t.witness(); w != nil && len(tids) > 0 {
		w.Seized(t.self(), tids)
	}
}

// self is the tracer as its own owner.
func (t *tracer) self() *Owner {
	if t.owner == nil {
		t.owner = &Owner{t: t}
	}
	return t.owner
}
