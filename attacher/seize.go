package attacher

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"syscall"
	"time"

	"massattach/threadset"
)

const errnoEPERM = syscall.EPERM

// seize makes tracees of a batch of threads. It runs on the tracer's thread,
// as one command, so that a batch is what a report of another tracee waits for
// at the most: half a millisecond.
func (t *tracer) seize(ctx context.Context, b batch) {
	defer t.batches.Add(-1)
	if ctx.Err() != nil {
		t.seats.Add(-int32(len(b.tids)))
		return
	}
	b = t.enter(b)
	tids := b.tids
	var (
		took    = make([]time.Duration, 0, len(tids))
		seized  = make([]int, 0, len(tids))
		missing []int
		refused []attempt
		gaps    []time.Duration
	)
	begin, last := t.s.now(), time.Duration(0)
	for i, tid := range tids {
		if i%32 == 0 && ctx.Err() != nil {
			missing = append(missing, tids[i:]...) // nobody asks any more
			break
		}
		a := t.try(tid)
		switch {
		case a.err == nil:
			seized = append(seized, tid)
			now := time.Since(begin)
			took = append(took, now-last)
			last = now
			if b.at != nil {
				gaps = append(gaps, begin.Add(now).Sub(b.at[i]))
			}
		case errors.Is(a.err, syscall.ESRCH):
			missing = append(missing, tid)
		default:
			refused = append(refused, a)
		}
	}
	t.shard.Apply(seized, threadset.Seized)
	t.joined(seized...)
	t.tellSeized(seized...)
	natives := seized
	if b.born {
		natives = t.rejectStrangers(seized)
	}
	t.s.ledger.seized(took, begin.Add(last))
	t.s.ledger.noteGaps(gaps)
	for _, a := range refused {
		if t.refused(b, a) {
			missing = append(missing, a.tid)
		}
	}
	t.shard.Apply(missing, threadset.Missing)
	if f := t.s.trace.Seized; f != nil && len(took) > 0 {
		f(took)
	}
	if b.born {
		for _, tid := range natives {
			t.s.stats.births.Add(1)
			t.s.publish(Event{Kind: EventBirth, TID: tid})
		}
	}
}

// enter makes records of a batch. It answers who is left to be seized: who is
// in two batches, the scanner's and that of those who were heard of, is whose
// record was made first.
func (t *tracer) enter(b batch) batch {
	others := t.shard.Found(b.tids, b.born)
	t.seats.Add(-int32(len(b.tids)))
	if len(others) == 0 {
		return b
	}
	mine := batch{born: b.born}
	for i, tid := range b.tids {
		if slices.Contains(others, tid) {
			t.withdrew(b)
			continue
		}
		mine.tids = append(mine.tids, tid)
		if b.at != nil {
			mine.at = append(mine.at, b.at[i])
		}
	}
	return mine
}

// withdrew counts one who was a tracee already, or is about to be one, where
// the scanner thought it had found somebody.
func (t *tracer) withdrew(b batch) {
	if b.at == nil {
		t.s.stats.withdrawn.Add(1)
	}
}

// attempt is a SEIZE, and where it was refused what could be read of the thread then.
type attempt struct {
	tid    int
	err    error
	facts  Facts
	unread error // why nothing could
}

// attempts is how often a thread is tried that is refused for no reason that can be
// seen. A security module may have one.
const attempts = 3

// try makes a tracee of one thread; see lifeguard for how long it may take. Where it is
// refused, and nothing stands in the way when that is looked at, it is tried again: whoever
// traced the thread has let go meanwhile. Or the SEIZE was of the leader and slept because
// the target execs: the thread that it waited for is dead, and another has its number.
func (t *tracer) try(tid int) (a attempt) {
	a.tid = tid
	for range attempts {
		t.seizing.Add(1)
		a.err = t.k.Seize(tid, t.s.seizeFor)
		t.seizing.Add(1)
		if a.err == nil || errors.Is(a.err, syscall.ESRCH) {
			return a
		}
		a.facts, a.unread = t.s.process.Facts(tid)
		if a.facts.Seccomp {
			a.facts.Filtered = refusesNobody(t.k.Seize(nobody, 0))
		}
		if a.unread != nil || a.facts.ended() || !errors.Is(a.err, syscall.EPERM) || len(a.facts.Obstacles()) > 0 {
			return a
		}
	}
	return a
}

// refused notes why a SEIZE failed. It says whether the thread is simply gone.
func (t *tracer) refused(b batch, a attempt) (gone bool) {
	if th, ok := t.shard.Get(a.tid); !ok || th.Phase != threadset.Found {
		t.withdrew(b)
		return false // a tracer of ours has claimed it meanwhile
	}
	other := t.s.tracerOf(a.facts.TracerTID)
	switch {
	case a.unread == nil && other != nil:
		// Born seized, or it has got this number by an exec: its tracer is
		// about to hear of it, unless it is about to end.
		if !other.isGone() {
			t.withdrew(b)
		}
		t.shard.Withdraw(a.tid)
		return false
	case a.facts.State == 'Z' && a.tid == t.s.pid:
		t.over(b, a.tid, threadset.LeaderZombie)
		return false
	case a.facts.ended() || errors.Is(a.unread, fs.ErrNotExist):
		return true
	}
	if !t.over(b, a.tid, threadset.Refused) {
		return false
	}
	var errno syscall.Errno
	errors.As(a.err, &errno)
	t.s.ledger.failed(failure(a.tid, errno, explain(a.err, a.facts)))
	return false
}

// over ends the record of a thread that can't be seized, unless an exec has
// given its number to another meanwhile, whose tracer has claimed it.
func (t *tracer) over(b batch, tid int, e threadset.Event) bool {
	if t.shard.Apply([]int{tid}, e) == 0 {
		t.withdrew(b)
		return false
	}
	return true
}

// tracees are those that the tracer's records say it has.
func (t *tracer) tracees() (tids []int) {
	for th := range t.shard.All() {
		if th.Phase.Seized() {
			tids = append(tids, th.TID)
		}
	}
	return tids
}
