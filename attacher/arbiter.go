package attacher

import "errors"

// Verdict says what becomes of a stop.
type Verdict uint8

const (
	// Pass: the tracee goes on; a signal of the target's own is delivered.
	Pass Verdict = iota
	// Hold: the tracee stays stopped until [Owner.Resume]. A
	// signal-delivery-stop is not held: its signal is delivered, and the
	// arbiter asked again at the event-stop that follows at once.
	Hold
	// Drop: the signal is not delivered. Only for one that the arbiter sent
	// itself.
	Drop
)

// Arbiter decides what becomes of the stops of tracees. Package stopper is
// one.
type Arbiter interface {
	// Decide is called on the thread of tid's owner for each of its stops,
	// and must not block. EINTR has been repaired where it can be; for a
	// signal that is done after Decide.
	Decide(tid int, s Stop) Verdict
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
