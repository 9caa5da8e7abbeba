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
		refused []int
		errnos  []error
		gaps    []time.Duration
	)
	begin, last := t.s.now(), time.Duration(0)
	for i, tid := range tids {
		if i%32 == 0 && ctx.Err() != nil {
			missing = append(missing, tids[i:]...) // nobody asks any more
			break
		}
		err := t.seizeOne(tid)
		switch {
		case err == nil:
			seized = append(seized, tid)
			now := time.Since(begin)
			took = append(took, now-last)
			last = now
			if b.at != nil {
				gaps = append(gaps, begin.Add(now).Sub(b.at[i]))
			}
		case errors.Is(err, syscall.ESRCH):
			missing = append(missing, tid)
		default:
			refused = append(refused, tid)
			errnos = append(errnos, err)
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
	for i, tid := range refused {
		if t.refused(b, tid, errnos[i]) {
			missing = append(missing, tid)
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

// seizeOne makes a tracee of one thread; see lifeguard for how long it may take.
func (t *tracer) seizeOne(tid int) (err error) {
	// A SEIZE that slept because the target execs is refused when it was of
	// the leader, and another thread has the leader's number now: the one
	// that it waited for is dead. Only this number can change hands so.
	for range 3 {
		t.seizing.Add(1)
		err = t.k.Seize(tid, t.s.seizeFor)
		t.seizing.Add(1)
		if tid != t.s.pid || !errors.Is(err, syscall.EPERM) {
			break
		}
	}
	return err
}

// refused finds out why a SEIZE failed. It says whether the thread is simply
// gone.
func (t *tracer) refused(b batch, tid int, err error) (gone bool) {
	if th, ok := t.shard.Get(tid); !ok || th.Phase != threadset.Found {
		t.withdrew(b)
		return false // a tracer of ours has claimed it meanwhile
	}
	f, ferr := t.s.process.Facts(tid)
	other := t.s.tracerOf(f.TracerTID)
	switch {
	case ferr == nil && other != nil:
		// Born seized, or it has got this number by an exec: its tracer is
		// about to hear of it, unless it is about to end.
		if !other.isGone() {
			t.withdrew(b)
		}
		t.shard.Withdraw(tid)
		return false
	case errors.Is(ferr, fs.ErrNotExist):
		return true
	case f.State == 'Z' && tid == t.s.pid:
		t.over(b, tid, threadset.LeaderZombie)
		return false
	case f.State == 'Z' || f.State == 'X':
		return true
	}
	if f.Seccomp {
		f.Filtered = refusesNobody(t.k.Seize(nobody, 0))
	}
	if !t.over(b, tid, threadset.Refused) {
		return false
	}
	var errno syscall.Errno
	errors.As(err, &errno)
	t.s.ledger.failed(failure(tid, errno, explain(err, f)))
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
