package attacher

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"massattach/procfs"
	"massattach/threadset"
)

// AreAll says whether the process has no more threads than those that the caller
// holds, as held counts them: then nobody is left who is unknown. It costs two
// fstats, and a look at the leader.
//
// To count those that are known would prove nothing: one that has ended hides one
// that was born. But nobody ends who stands still, except by an exec of somebody
// who is not traced by us; and then only the leader's tracer may not hear of it.
// And who is held in the kernel and ends there is reaped by its tracer, which is seen.
func (s *Session) AreAll(ctx context.Context, held func() int) (bool, error) {
	doubts := s.ledger.pass()
	exits := s.stats.exits.Load()
	still := held() // before the others are counted: who comes to stand still later may have been born since
	n, err := s.process.NumThreads()
	if err == nil && n == still {
		if s.checkLeader(ctx) {
			return false, nil
		}
		n, err = s.process.NumThreads() // who was born meanwhile is not held
	}
	if err != nil {
		return false, s.lookError("gather", err)
	}
	// held once more, and last: the leader's tracer may have found out by itself before
	// we looked at the leader, and tells who holds it before the burial ends.
	if n != still || s.stats.exits.Load() != exits || s.burying.Load() > 0 || held() != still {
		return false, nil
	}
	s.converge(doubts)
	return true, nil
}

// Gather has everybody seized whom no pass over the threads has found yet,
// whatever the follow mode and however young, and answers whether there was nobody.
// Those who could not be seized, and say so in the report, are nobody. It is for
// who needs all threads, and repeats it until there is nobody left. They may give
// birth as well, so one call proves nothing, but that it found nobody.
func (s *Session) Gather(ctx context.Context) (nobody bool, err error) {
	doubts := s.ledger.pass()
	if nobody, err = s.gather(ctx); err != nil {
		return false, s.lookError("gather", err)
	}
	if nobody {
		s.converge(doubts)
	}
	return nobody, nil
}

// converge notes that a look at the threads has found nobody unknown.
func (s *Session) converge(doubts int) {
	if !s.ledger.isConverged() {
		s.ledger.passed(true, doubts)
	}
}

// lookError is that of a look at all threads of the process.
func (s *Session) lookError(op string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s.summon()
		err = ErrGone
	case errors.Is(err, fs.ErrClosed):
		err = ErrClosed // which takes away from us what we read
	}
	return fmt.Errorf("%s threads of %d: %w", op, s.pid, err)
}

// gather reads the list, gives the keeper those whom nobody knows, and waits
// until they are known, or gone.
func (s *Session) gather(ctx context.Context) (nobody bool, err error) {
	tids, err := s.selectNow(procfs.Selection{})
	if err != nil {
		return false, err
	}
	fresh := s.set.Fresh(tids, nil)
	for _, tid := range fresh {
		s.stray(tid)
	}
	// Also for those whom the keeper has found by itself, and whose SEIZE is
	// still to come.
	begun := s.set.Counts()[threadset.Found]
	const first, last = 20 * time.Microsecond, time.Millisecond
	left := fresh
	for wait := first; len(left) > 0 || s.set.Counts()[threadset.Found] > 0; wait = min(2*wait, last) {
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-s.ended:
			return false, fs.ErrNotExist
		case <-time.After(wait):
		}
		if s.closed.Load() {
			return false, ErrClosed
		}
		living := left[:0]
		for _, tid := range s.set.Fresh(left, nil) {
			if s.process.Has(tid) {
				living = append(living, tid)
			}
		}
		if left = living; wait == last {
			// The tracer that had them was about to end, say.
			for _, tid := range left {
				s.stray(tid)
			}
		}
	}
	if len(fresh)+begun > 0 {
		return false, nil
	}
	// The list may have shown the number of a leader that is another by now; and who
	// was born meanwhile is not in it.
	if s.checkLeader(ctx) {
		return false, nil
	}
	if n, err := s.process.NumThreads(); err != nil || n != len(tids) {
		return false, err
	}
	if s.isRevived() {
		// The keeper has it seized, see revived.
		s.ledger.unconverge()
		s.summon()
		time.Sleep(last)
		return false, nil
	}
	return true, nil
}

// isRevived says whether the leader, a zombie as we know it, is alive.
func (s *Session) isRevived() bool {
	if th, ok := s.set.Get(s.pid); !ok || th.Phase != threadset.Zombie {
		return false
	}
	st, err := s.process.Status(s.pid)
	return err == nil && st.State != 'Z' && st.State != 'X'
}

// IsClosed says whether Close has been called.
func (s *Session) IsClosed() bool { return s.closed.Load() }

// Closed is closed when Close has let everybody go.
func (s *Session) Closed() <-chan struct{} { return s.guarded }
