package attacher

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"massattach/internal/sys"
)

const (
	// scanEvery is how long a session waits between two looks for births.
	scanEvery = 50 * time.Millisecond
	// scanShare: between two listings passes at least so many times what one
	// takes.
	scanShare = 20
	// listEvery is how long nothing is listed at the most: the number that was
	// given out last can be set back (CRIU does), and come again.
	listEvery = 10 * time.Second
	// heardEvery is how long it waits when births come by themselves. With
	// FollowClone these are all but those of a thread that is nobody's, see
	// adopt, or that a CLONE_UNTRACED keeps from it.
	heardEvery = time.Second
	// eventEvery is how long nothing is listed when the kernel tells of every
	// birth, and of what else is a reason to.
	eventEvery = 30 * time.Second
)

// keep follows the target until ctx ends: it looks for births when the session
// follows them, and for the target's end.
func (s *Session) keep(ctx context.Context, sc *scanner) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	// What there is to do goes by the time and by what is there, never by
	// which of several wake-ups it was.
	due := sc.due()
	for {
		wake := due
		// Who is still burying somebody summons once more when that is done.
		if s.set.Counts().Live() == 0 && s.burying.Load() == 0 {
			if s.targetEnded() {
				close(s.ended)
				s.events.end()
				return
			}
			// Somebody lives on who isn't ours, perhaps under another number.
			s.ledger.unconverge()
			if wake = s.now().Add(scanEvery); !due.IsZero() {
				due = wake
			}
		}
		if timer.Stop(); !wake.IsZero() {
			timer.Reset(wake.Sub(s.now()))
		}
		select {
		case <-ctx.Done():
		case <-s.probe:
		case <-timer.C:
		}
		if ctx.Err() != nil {
			return
		}
		if tids := s.takeStrays(); len(tids) > 0 {
			sc.rehouse(ctx, tids)
			due = sooner(due, sc.due())
		} else if !s.ledger.isConverged() {
			due = sooner(due, sc.due())
		}
		if !due.IsZero() && !s.now().Before(due) {
			sc.follow(ctx)
			due = sc.due()
		}
	}
}

// sooner is the earlier of two times, of which the zero time is never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// due is when to look for births again, the zero time for never.
func (sc *scanner) due() time.Time {
	d := scanEvery
	switch follow := sc.s.Follow(); {
	case follow == FollowNone:
		return time.Time{}
	case follow != FollowScan && sc.s.ledger.isConverged():
		d = heardEvery
	}
	if len(sc.seen) > 0 {
		d = max(sc.s.options.Settle, time.Millisecond)
	}
	return sc.s.now().Add(max(d, scanShare*sc.pace.expect(len(sc.listed))))
}

// pace is how long the listings of late took, for each thread. The quickest of
// them counts: the others were not at work all the time.
type pace struct {
	recent [8]time.Duration // 0 for none
	next   int
}

func (p *pace) took(d time.Duration, threads int) {
	p.recent[p.next] = max(d/time.Duration(max(threads, 1)), 1)
	p.next = (p.next + 1) % len(p.recent)
}

// expect says how long the next listing takes.
func (p *pace) expect(threads int) time.Duration {
	best := time.Duration(0)
	for _, d := range p.recent {
		if d > 0 && (best == 0 || d < best) {
			best = d
		}
	}
	return best * time.Duration(threads)
}

// follow looks for births. Nothing is listed as long as there can be none that
// is unknown.
func (sc *scanner) follow(ctx context.Context) {
	if !sc.s.options.KeepChildStops {
		_ = sys.QuietChildren() // a signal.Notify may have undone it
	}
	sc.s.lookAround()
	doubts, begin := sc.s.ledger.pass(), sc.s.now()
	last, err := sc.s.options.Proc.LastPID()
	if sc.nothingNew(begin, err == nil && last == sc.last) {
		return
	}
	sc.listed = sc.listed[:0]
	err = sc.s.process.Chunks(func(tids []int) error {
		sc.listed = append(sc.listed, tids...)
		return ctx.Err()
	})
	if err != nil {
		_ = sc.gone(err)
		return
	}
	sc.last, sc.when = last, begin // not before: who could not be listed must be
	sc.scanned(time.Since(begin))
	sc.fresh = sc.unknown(sc.listed, sc.fresh[:0])
	ripe := sc.ripe(begin)
	if unknown, err := sc.take(ctx, ripe); err == nil {
		clean := unknown == 0
		if !clean && len(sc.seen) == 0 {
			clean, _ = sc.allKnown(ctx) // they were the last
		}
		sc.s.ledger.passed(clean, doubts)
	}
	sc.strangers(ctx)
}

// nothingNew says whether there can be nobody who is unknown. none: no number
// has been given to anybody on the machine since the last listing.
func (sc *scanner) nothingNew(now time.Time, none bool) bool {
	if len(sc.seen) > 0 || !sc.s.ledger.isConverged() {
		return false
	}
	age := now.Sub(sc.when)
	return none && age < listEvery || sc.s.Follow() == FollowEvent && age < eventEvery
}

// rehouse gives threads that a full tracer has put down to others. What they
// gave birth to in between is nobody's: the next look at the list finds it.
func (sc *scanner) rehouse(ctx context.Context, tids []int) {
	sc.seat(ctx, batch{tids: sc.s.set.Fresh(tids, nil), born: true}, nil)
	if sc.settle(ctx) == nil {
		sc.s.ledger.unconverge()
	}
}

// ripe answers those of the fresh threads that have lived long enough to be
// worth a SEIZE, and remembers the others.
func (sc *scanner) ripe(now time.Time) []int {
	seen := make(map[int]time.Time, len(sc.fresh))
	ripe := sc.fresh[:0]
	for _, tid := range sc.fresh {
		since, known := sc.seen[tid]
		if !known {
			since = now
		}
		if now.Sub(since) >= sc.s.options.Settle {
			ripe = append(ripe, tid)
		} else {
			seen[tid] = since
		}
	}
	sc.seen = seen
	return ripe
}

// targetEnded says whether nothing of the target is alive.
func (s *Session) targetEnded() bool {
	n, err := s.process.NumThreads()
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	if n > 1 {
		return false
	}
	st, err := s.process.Status(s.pid)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	return st.State == 'Z' || st.State == 'X'
}
