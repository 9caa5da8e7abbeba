package attacher

import (
	"context"
	"errors"
	"os"
	"time"
)

// With FollowEvent the kernel tells of each birth as it happens. Its log is
// opened between the first pass over the list of threads and the second: who is
// not in the log then was born before, and the second pass finds it missing. Not
// beside the first, because reading the kernel's BTF takes a CPU for 50 ms.

const (
	// hearEvery is how long the log is left alone at the least: beside a
	// creator at full rate there is always somebody who has just got old enough.
	hearEvery = time.Millisecond
	// napMost is how long a nap lasts at the most, which a detach waits for.
	napMost = 10 * time.Millisecond
)

// listen opens the log, if births are to be heard of, and has somebody hear
// until keep ends.
func (s *Session) listen(keep context.Context) {
	if s.options.Follow != FollowEvent {
		return
	}
	if s.births, s.muteFor = s.kernel.Births(s.pid); s.muteFor == nil {
		s.keeping.Go(func() { s.hear(keep) })
	}
}

// Follow is how births are followed in fact, see [FollowEvent].
func (s *Session) Follow() Follow {
	if s.options.Follow == FollowEvent && s.births == nil {
		return FollowScan
	}
	return s.options.Follow
}

// hear has newborns seized when they have lived for Settle, until ctx ends.
func (s *Session) hear(ctx context.Context) {
	defer s.kernel.Urgent()()
	b := s.births
	u := usher{s: s}
	var h Heard
	for ctx.Err() == nil && !s.isEnded() { // when it has, its number may be another's
		b.Hear(s.options.Settle, &h)
		if h.Lost > 0 || h.Execs > 0 {
			// Who was lost is in the list; and the one that is left of an exec
			// may be nobody's tracee, under the leader's number.
			s.stats.overflows.Add(int64(h.Lost))
			s.ledger.unconverge()
			s.summon()
		}
		if len(h.Ripe) > 0 {
			u.seat(ctx, newborns(h.Ripe), nil)
			_ = u.settle(ctx)
		}
		if !h.Next.IsZero() {
			// In one go where that can be: Go's monitor takes the P of who naps,
			// and is busy for a millisecond each time.
			s.kernel.Nap(min(max(h.Next.Sub(s.now()), hearEvery), napMost))
		} else if err := b.Wait(); errors.Is(err, os.ErrClosed) {
			return
		} else if err != nil {
			s.kernel.Nap(napMost) // and look without being woken
		}
	}
}

// newborns are a batch to be seized.
func newborns(births []Birth) batch {
	b := batch{born: true}
	for _, n := range births {
		b.tids = append(b.tids, n.TID)
		b.at = append(b.at, n.At)
	}
	return b
}
