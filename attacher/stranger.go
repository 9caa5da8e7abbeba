package attacher

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"syscall"

	"massattach/threadset"
)

// What the list of threads says about those that are taken for tracees, and
// are not.

// rejectStrangers answers who of those that were just seized are threads of the
// target, and lets go of the others, whose numbers were given to another process
// since they were found. Who is one here remains so, because a tracee keeps its
// number until its tracer reaps it; but for an exec, which is reported. It is for
// newborns, of whom there are few: the others are looked up in the next list, see
// strangers.
func (t *tracer) rejectStrangers(tids []int) (natives []int) {
	for _, tid := range tids {
		if t.k.IsThread(t.s.pid, tid) {
			natives = append(natives, tid)
		} else {
			t.reject(tid)
		}
	}
	return natives
}

// strangers looks at those who are not in the list: one that is seized, has not
// ended, and isn't in the process is none of it. It says whether there are any: as
// long as they are tracees they count as threads.
func (sc *scanner) strangers(ctx context.Context) (found bool) {
	for _, tid := range sc.s.set.Missing(sc.listed, nil) {
		// The list may have skipped it: ask for the thread itself.
		if _, err := sc.s.process.Status(tid); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		found = true
		sc.s.letGo(ctx, tid)
	}
	sc.checkLeader(ctx)
	return found
}

// isSound says whether those whom the first pass has listed are those whom it has
// seized, so that counting can tell whether they are all. before is how many threads
// there were at its begin. Nobody may have ended since: that may be an exec, which gives
// the leader's number to one whose SEIZE it has kept waiting, and says so to nobody.
//
// Numbers are given in turn (kernel/pid.c, alloc_pid: idr_alloc_cyclic). One that was
// given to a stranger meanwhile is between the last one then and the last one now; but
// if all that are free have been given, for which the pass must have been too short.
// Somebody may choose a number (clone3(2), set_tid; kernel.ns_last_pid): the next list
// that is read finds such a stranger.
func (sc *scanner) isSound(before int) bool {
	n := len(sc.listed)
	if n != before || !sc.burialsEnd() || sc.s.set.Totals() != (threadset.Totals{Found: n, Attached: n}) {
		return false
	}
	then := sc.last
	now, turn, err := sc.s.options.Proc.Numbers()
	if then == 0 || err != nil || sc.s.now().Sub(sc.when) >= turn {
		return false
	}
	return !slices.ContainsFunc(sc.listed, func(tid int) bool { return givenBetween(tid, then, now) })
}

// givenBetween says whether tid may have been given after a and up to b, which were
// the last that had been given at two moments, less than a turn of all numbers apart.
func givenBetween(tid, a, b int) bool {
	if a <= b {
		return a < tid && tid <= b
	}
	return a < tid || tid <= b
}

// checkLeader finds out what an exec has done to the leader's number.
func (sc *scanner) checkLeader(ctx context.Context) {
	sc.s.checkLeader(ctx)
	sc.revived(ctx)
}

// revived finds out when the leader, a zombie as we know it, has been replaced
// in an exec by a thread that is nobody's.
func (sc *scanner) revived(ctx context.Context) {
	pid := sc.s.pid
	if !sc.s.isRevived() {
		return
	}
	sc.seat(ctx, batch{tids: []int{pid}, born: true}, nil)
	_ = sc.settle(ctx)
}

// checkLeader finds out when an exec by a thread that is not ours has taken the
// leader's place: its tracer never hears of that, and as long as it has other
// tracees no wait says so. It says whether that may be so.
func (s *Session) checkLeader(ctx context.Context) (lost bool) {
	th, ok := s.set.Get(s.pid)
	if !ok || !th.Phase.Seized() {
		return false
	}
	st, err := s.process.Status(s.pid)
	if err != nil || st.TracerPid == th.Owner {
		return false
	}
	t := s.tracerOf(th.Owner)
	if t == nil {
		return true
	}
	_ = tell(ctx, []*tracer{t}, func(t *tracer) {
		th, ok := t.shard.Get(s.pid)
		if !ok || !th.Phase.Seized() {
			return
		}
		if _, err := t.k.Look(s.pid, false); errors.Is(err, syscall.ECHILD) {
			t.lost(s.pid)
			t.move(s.pid, threadset.Ended)
			s.ledger.unconverge()
		}
	})
	return true
}

// letGo has the owner of tid reject it.
func (s *Session) letGo(ctx context.Context, tid int) {
	th, ok := s.set.Get(tid)
	if !ok || !th.Phase.Seized() {
		return // reaped meanwhile
	}
	t := s.tracerOf(th.Owner)
	if t == nil {
		return
	}
	_ = tell(ctx, []*tracer{t}, func(t *tracer) {
		if th, ok := t.shard.Get(tid); ok && th.Phase.Seized() {
			t.reject(tid)
		}
	})
}

// reject detaches a tracee that is not the target's, at the stop that this takes.
func (t *tracer) reject(tid int) {
	if _, err := t.k.Look(tid, false); errors.Is(err, syscall.ECHILD) {
		t.renumbered(tid) // it is none at all, by this number
	} else if t.s.strangers.Store(true); t.k.Interrupt(tid) == nil {
		n := t.note(tid)
		n.asked, n.letGo = true, true
	}
}

// renumber looks for such a record when the leader reports something and the
// tracer knows of none. It says whether it has found one.
func (t *tracer) renumber() bool {
	for _, tid := range t.tracees() {
		if _, err := t.k.Look(tid, false); errors.Is(err, syscall.ECHILD) {
			t.renumbered(tid)
		}
	}
	return t.knows(t.s.pid)
}

// isStray says whether the leader is a tracee that the tracer has no record of, and
// is not about to report the exec by which it became one: a record of some other
// number is about it.
func (t *tracer) isStray() bool {
	if t.knows(t.s.pid) {
		return false
	}
	ws, err := t.k.Look(t.s.pid, false)
	return err == nil && (ws.TID == 0 || t.decode(ws).Kind != StopExec)
}

// renumbered corrects the record of a thread that is none of the tracer's
// tracees by this number: its SEIZE slept while it was in exec itself, and when
// it was seized it had the leader's.
func (t *tracer) renumbered(tid int) {
	pid := t.s.pid
	t.lost(tid)
	if _, err := t.k.Look(pid, false); err == nil && !t.knows(pid) {
		if t.s.set.Rename(tid, pid, t.shard) == nil {
			t.joined(pid)
			t.tellSeized(pid)
			return
		}
	}
	t.move(tid, threadset.Ended)
	n := t.notes[pid]
	if n == nil || !t.knows(pid) {
		return
	}
	if n.asked {
		t.ask(pid) // it may have been the leader of before who was asked
	}
	if n.held.Kind == StopUnknown {
		return
	}
	// The leader was held, and has ended by that exec without a word: who has its
	// number now is in no stop.
	if _, err := t.k.Result(pid); errors.Is(err, syscall.ESRCH) {
		t.lost(pid)
		t.move(pid, threadset.Passed)
	}
}
