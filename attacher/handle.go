package attacher

import (
	"errors"
	"syscall"
	"time"

	"massattach/threadset"
)

// handle reacts to a report, and is the only place that does.
func (t *tracer) handle(s Stop) {
	if s.Kind == StopExec {
		t.exec(s) // it may have a number that we don't know it by
		return
	}
	if !t.knows(s.TID) {
		if !t.adopt(s) {
			return
		}
		s.Born = s.TID != t.s.pid
	}
	switch s.Kind {
	case Exited, Killed:
		t.ended(s)
	case StopSignal:
		t.signal(s)
	case StopNotify:
		t.notify(s)
	case StopGroup:
		t.groupStop(s)
	case StopTrap:
		t.trap(s)
	default:
		// A birth, an exit, or a stop that no option of ours asked for.
		if t.decide(s) == Hold {
			t.hold(s)
			return
		}
		n := t.notes[s.TID]
		if n != nil && n.asked {
			t.ask(s.TID)
		}
		t.resume(s, 0)
		if n != nil && n.held.Kind != StopUnknown {
			n.held = Stop{} // it was killed while it was held
			t.move(s.TID, threadset.Passed)
		}
	}
}

// ask has a thread stop once more that is stopped and is about to be resumed.
// An INTERRUPT that came before this stop was cleared by it, one that came
// after is still to be answered (kernel/signal.c, ptrace_stop: any trap clears
// JOBCTL_TRAP_STOP): asked again, one stop is sure to come.
func (t *tracer) ask(tid int) {
	if t.k.Interrupt(tid) == nil {
		t.note(tid).asked = true
		t.move(tid, threadset.Interrupted)
	}
}

// signal passes a signal on that is about to be delivered. The stop is only
// looked at: a tracer that dies after it has reaped a signal-delivery-stop
// takes the signal with it, one that has looked does not.
func (t *tracer) signal(s Stop) {
	var start time.Time
	if t.s.trace.Forwarded != nil {
		start = t.s.now()
	}
	verdict := t.decide(s)
	n := t.notes[s.TID]
	t.repair(s, n)
	if n != nil && n.letGo {
		t.detach(s)
		return
	}
	if verdict == Hold || n != nil && n.asked {
		// Never held here: unreaped it would hide each other stop of this
		// tracer from a wait for any, reaped our death would lose the signal.
		// It goes on to the next stop, which this asks for.
		t.ask(s.TID)
	}
	if verdict == Drop {
		t.resume(s, 0)
		return
	}
	t.resume(s, s.Signal)
	t.s.stats.signals.Add(1)
	t.s.publish(Event{Kind: EventSignal, TID: s.TID, Signal: s.Signal})
	if !start.IsZero() {
		t.delays = append(t.delays, t.s.now().Sub(start))
	}
}

// trap handles an event-stop that is no group-stop: the answer to an INTERRUPT
// of ours, or the trap that a SIGCONT sends to every seized thread, also when
// nothing was stopped.
func (t *tracer) trap(s Stop) {
	n := t.notes[s.TID]
	if n != nil && n.job && !n.asked {
		t.move(s.TID, threadset.Continued) // now: it may be killed before it is held
	}
	t.repair(s, n)
	n = t.notes[s.TID]
	passed := threadset.Passed
	if n != nil {
		if n.job {
			n.job = false
			t.groupContinued(s.TID)
		}
		if n.asked {
			n.asked = false
			passed = threadset.Resumed
		}
		if n.letGo {
			t.detach(s)
			return
		}
	}
	if t.decide(s) == Hold {
		t.hold(s)
		return
	}
	t.resume(s, 0)
	if n == nil {
		return
	}
	if t.knows(s.TID) { // or its number is that of another by now, who execs
		t.move(s.TID, passed)
	}
	t.forget(s.TID, n)
}

// groupStop leaves the thread of a process that is being stopped stopped, as
// its parent believes it to be: a CONT would run it.
func (t *tracer) groupStop(s Stop) {
	n := t.note(s.TID)
	n.asked = false
	if s.Again = n.job; !s.Again {
		n.job = true
		t.groupStopped(s)
	}
	if n.letGo {
		t.detach(s)
		return
	}
	if t.decide(s) == Hold {
		t.hold(s)
		return
	}
	t.resume(s, 0)
}

// exec follows a thread into a new image. The report is reaped first: until
// then every request on the thread answers ESRCH (kernel/ptrace.c,
// looks_like_a_spurious_pid, Linux 5.13), and looking and continuing would
// never end.
func (t *tracer) exec(s Stop) {
	if _, err := t.k.ReapStop(s.TID); err != nil {
		return
	}
	t.execed(s)
}

// execed goes on with it.
func (t *tracer) execed(s Stop) {
	old, err := t.k.EventMessage(s.TID)
	if err != nil {
		old = s.TID // killed since
	}
	n := t.notes[old]
	asked := n != nil && n.asked
	if old != s.TID {
		// All others are gone, and it has the leader's number now, whose
		// tracer never hears of it (fs/exec.c, de_thread).
		_ = t.s.set.Rename(old, s.TID, t.shard)
		t.lose(old)
	}
	if !t.knows(s.TID) && !t.renumber() {
		t.shard.Claim(s.TID)
	}
	t.lose(s.TID)
	t.joined(s.TID)
	t.s.stats.execs.Add(1)
	t.s.publish(Event{Kind: EventExec, TID: s.TID, OldTID: old})
	s.OldTID = old
	if t.decide(s) == Hold {
		t.note(s.TID).held = s
		t.keep(s)
		return
	}
	if asked {
		t.ask(s.TID)
	} else if th, _ := t.shard.Get(s.TID); th.Phase == threadset.Stopping || th.Phase == threadset.Held {
		// Somebody has asked it by its new number before this was heard of, and this
		// stop has answered; or the record was that of a leader who was held, and whose
		// number it has got in an exec before this one, unheard of.
		t.move(s.TID, threadset.Resumed)
	}
	t.resume(s, 0)
}

// hold keeps a stopped tracee. Its stop is reaped, or it would be reported for
// ever; a held tracee runs on when we die.
func (t *tracer) hold(s Stop) {
	ws, err := t.k.ReapStop(s.TID)
	if err != nil {
		return
	}
	if now := t.decode(ws); ws.TID != 0 && now.Kind != s.Kind {
		// It was killed since the look at it, and is in its exit stop; or its
		// number is that of another by now, who execs.
		switch {
		case now.Kind == StopExec:
			t.execed(now)
			return
		case t.decide(now) != Hold:
			t.resume(now, 0)
			return
		}
		s = now
	}
	n := t.note(s.TID)
	n.held = s
	// Should the INTERRUPT still have its stop to come, it interrupts nothing:
	// the thread is on its way out of the kernel.
	n.asked = false
	t.keep(s)
}

// keep notes that a tracee is held, and tells of it.
func (t *tracer) keep(s Stop) {
	t.note(s.TID).expected = false
	t.move(s.TID, threadset.Stopped)
	if w := t.witness(); w != nil {
		w.Held(t.self(), s)
	}
}

// knows says whether a record of the tracer's says that it traces tid.
func (t *tracer) knows(tid int) bool {
	th, ok := t.shard.Get(tid)
	return ok && th.Phase.Seized()
}

// resume lets a stopped tracee go on as its stop asks for.
func (t *tracer) resume(s Stop, sig syscall.Signal) {
	err := t.resumeOnce(s, sig)
	if !errors.Is(err, syscall.ESRCH) {
		return
	}
	// It was killed meanwhile, and its exit comes next; or its number is that
	// of another by now, whose exec does. But should the same stop still be
	// there, no request will ever be heard before it is reaped.
	ws, err := t.k.Look(s.TID, false)
	if err != nil || ws.TID == 0 || t.decode(ws).Kind != s.Kind {
		return
	}
	if _, err := t.k.ReapStop(s.TID); err == nil {
		_ = t.resumeOnce(s, sig)
	}
}

func (t *tracer) resumeOnce(s Stop, sig syscall.Signal) error {
	if s.Kind != StopGroup {
		return t.k.Cont(s.TID, sig)
	}
	err := t.k.Listen(s.TID)
	if err != nil {
		return err
	}
	t.move(s.TID, threadset.Listened)
	return nil
}

// detach lets go of a stopped tracee that isn't the target's.
func (t *tracer) detach(s Stop) {
	if !t.putDown(s) {
		return // its exit comes next
	}
	t.lost(s.TID)
	t.move(s.TID, threadset.LetGo)
}

// forget drops what is remembered of a tracee that runs again, when there is
// nothing to remember.
func (t *tracer) forget(tid int, n *note) {
	if n != nil && *n == (note{}) {
		delete(t.notes, tid)
	}
}

// endAll moves all of a tracer's tracees to their end, and answers who they were.
func (t *tracer) endAll() (gone []int) {
	for th := range t.shard.All() {
		if th.Phase.Alive() && th.Phase != threadset.Found {
			gone = append(gone, th.TID)
		}
	}
	t.shard.Apply(gone, threadset.Ended)
	return gone
}

// move moves the phase of a tracee. A move that the table forbids would be a
// mistake of this package's and none of the target's: it is counted, and the
// thread runs on all the same.
func (t *tracer) move(tid int, e threadset.Event) {
	if _, err := t.shard.Move(tid, e); err != nil {
		t.s.stats.impossible.Add(1)
		if f := t.s.trace.Mistaken; f != nil {
			f(err)
		}
	}
}

// decide asks the arbiter.
func (t *tracer) decide(s Stop) Verdict {
	a := t.s.arbiter.Load()
	if a == nil || t.quit {
		return Pass
	}
	return (*a).Decide(s.TID, s)
}
