package attacher

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"sync/atomic"
	"time"

	"massattach/threadset"
)

const (
	// How many passes an attach makes over threads that don't stand still.
	passesScan, passesNone = 4, 10
	// overlap is how many threads that were listed already a look at the newest
	// lists again: if none of them is left, so many have ended that others may
	// have moved up behind its back.
	overlap = 64
)

// scanner finds the threads that nobody knows yet. One goroutine uses it.
type scanner struct {
	usher
	listed []int
	fresh  []int
	seen   map[int]time.Time // newborns, and since when we know of them
	last   int               // the last pid that anybody got, at the last listing
	when   time.Time         // that was
	pace   pace
}

func newScanner(s *Session) *scanner {
	return &scanner{usher: usher{s: s}, seen: make(map[int]time.Time)}
}

// converge lists the threads and has those seized that are not known, until a
// pass finds none. Births are heard of until keep ends.
//
// The list alone proves nothing: when a thread ends while it is read, the kernel
// finds its place again by counting and skips as many that live
// (fs/proc/base.c, proc_task_readdir), and the dead who are in the list make
// up for them. So a pass that finds nobody is believed if the threads that we know
// are as many as there are. The passes after the second are over the newest threads
// alone, until one of them finds nobody; and so is the second, where the first was
// sound: see isSound.
func (sc *scanner) converge(ctx, keep context.Context) error {
	limit := passesScan
	if sc.s.options.Follow == FollowNone {
		limit = passesNone
	}
	var quiet bool // the last pass found nobody
	before, _ := sc.s.process.NumThreads()
	sc.listed = slices.Grow(sc.listed, before)
	sc.s.ledger.expect(before)
	for i := range limit {
		if i == 1 {
			sc.s.listen(keep)
		}
		pass := sc.pass
		if i > 1 && !quiet || i == 1 && sc.isSound(before) {
			pass = sc.newest
		}
		doubts := sc.s.ledger.pass()
		unknown, complete, err := pass(ctx, i > 0)
		if err == nil {
			err = ctx.Err() // tracers may not have heard what they were asked
		}
		if err != nil {
			return err
		}
		if sc.s.ledger.passed(unknown == 0 && complete, doubts) && i > 0 {
			return nil
		}
		quiet = unknown == 0
	}
	return nil
}

// allKnown says whether there is nobody who is unknown, by counting alone. Where
// some can't be seized, there have been strangers, or the log of births has some whom
// nobody has seized, it does not know: one of them may hide another.
func (sc *scanner) allKnown(ctx context.Context) (bool, error) {
	s := sc.s
	sc.checkLeader(ctx)
	if s.strangers.Load() || s.set.Counts()[threadset.Failed] > 0 || s.births != nil && s.births.Alive() > 0 {
		return false, nil
	}
	complete, err := sc.complete()
	if err = sc.gone(err); err == nil {
		err = ctx.Err()
	}
	return complete, err
}

// newest is a pass over those who were born since the last listing, if there is
// somebody who is unknown. Where too many have ended for that, or there are few, it
// is over all.
func (sc *scanner) newest(ctx context.Context, born bool) (unknown int, complete bool, err error) {
	last, _ := sc.s.options.Proc.LastPID()
	begin := time.Now()
	if known, err := sc.allKnown(ctx); known || err != nil {
		if known {
			sc.last, sc.when = last, begin
		}
		return 0, known, err
	}
	if len(sc.listed) <= overlap {
		return sc.pass(ctx, born)
	}
	from, joined := len(sc.listed)-overlap, false
	sc.fresh = sc.fresh[:0]
	err = sc.s.process.Newest(from, func(tids []int) error {
		if !joined {
			i := slices.Index(sc.listed[from:], tids[0])
			if i < 0 {
				return errMovedUp
			}
			sc.listed, joined = sc.listed[:from+i], true
		}
		sc.listed = append(sc.listed, tids...)
		sc.fresh = sc.unknown(tids, sc.fresh)
		return ctx.Err()
	})
	if !joined && (err == nil || errors.Is(err, errMovedUp)) {
		return sc.pass(ctx, born)
	}
	if err != nil {
		return 0, false, sc.gone(err)
	}
	sc.last, sc.when = last, begin
	unknown, err = sc.take(ctx, sc.fresh)
	return unknown, false, err
}

// take has threads seized that were born since the first pass, and answers how many
// of them were indeed known to nobody.
func (sc *scanner) take(ctx context.Context, tids []int) (unknown int, err error) {
	withdrawn := sc.s.stats.withdrawn.Load()
	sc.seat(ctx, batch{tids: tids, born: true}, nil)
	err = sc.settle(ctx)
	return len(tids) - int(sc.s.stats.withdrawn.Load()-withdrawn), err
}

// errMovedUp says that of the threads that were listed last none is left where it
// was.
var errMovedUp = errors.New("too many threads have ended")

// pass lists the threads once and has those seized that are not known. The
// first pass overlaps the two.
//
// The leader comes last. A signal to the process that it ignores is dropped at
// sending as long as the leader isn't traced; from then on it wakes somebody
// (kernel/signal.c, sig_ignored and complete_signal), and if that is a thread
// which is not seized yet nobody can repair what it interrupts.
func (sc *scanner) pass(ctx context.Context, born bool) (unknown int, complete bool, err error) {
	begin := time.Now()
	sc.when = begin
	sc.last, _ = sc.s.options.Proc.LastPID()
	sc.s.ledger.begun(begin)
	sc.listed, sc.fresh = sc.listed[:0], sc.fresh[:0]
	withdrawn := sc.s.stats.withdrawn.Load()
	last := new(lastly)
	last.left.Add(1)
	err = sc.s.process.Chunks(func(tids []int) error {
		sc.listed = append(sc.listed, tids...)
		sc.fresh = sc.unknown(tids, sc.fresh)
		if i := slices.Index(sc.fresh, sc.s.pid); i >= 0 {
			last.leader = sc.s.pid
			sc.fresh = slices.Delete(sc.fresh, i, i+1)
			unknown++
		}
		// A whole share at a time: a tracer that has got its share need not
		// be woken for more.
		for share := sc.s.options.Share; len(sc.fresh) >= share; {
			sc.seat(ctx, batch{tids: sc.fresh[:share], born: born}, last)
			sc.fresh = append(sc.fresh[:0], sc.fresh[share:]...)
			unknown += share
		}
		return ctx.Err()
	})
	if err == nil {
		unknown += len(sc.fresh)
		sc.seat(ctx, batch{tids: sc.fresh, born: born}, last)
		if last.done() {
			// Nobody else is at work.
			sc.seat(ctx, batch{tids: []int{last.leader}, born: born}, nil)
		}
		sc.scanned(time.Since(begin))
	}
	serr := sc.settle(ctx)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = errors.Join(sc.gone(err), serr)
	}
	if err != nil {
		return unknown, false, err
	}
	unknown -= int(sc.s.stats.withdrawn.Load() - withdrawn)
	strange := sc.strangers(ctx)
	complete, err = sc.complete()
	return unknown, complete && !strange, sc.gone(err)
}

// unknown appends to dst who of tids is known to nobody: neither to the set,
// nor to the kernel's log of births, whose reader has them seized in time.
func (sc *scanner) unknown(tids, dst []int) []int {
	from := len(dst)
	dst = sc.s.set.Fresh(tids, dst)
	if b := sc.s.births; b != nil {
		dst = append(dst[:from], slices.DeleteFunc(dst[from:], b.Pending)...)
	}
	return dst
}

// scanned notes how long a listing took.
func (sc *scanner) scanned(took time.Duration) {
	sc.pace.took(took, len(sc.listed))
	if f := sc.s.trace.Scanned; f != nil {
		f(len(sc.listed), took)
	}
}

// burialTakes is for how long a pass waits for burials, which take some µs, to end.
const burialTakes = 5 * time.Millisecond

// burialsEnd says whether nobody is being buried any more.
func (sc *scanner) burialsEnd() bool {
	for begin := sc.s.now(); sc.s.burying.Load() > 0; sc.s.kernel.Nap(20 * time.Microsecond) {
		if sc.s.now().Sub(begin) > burialTakes {
			return false
		}
	}
	return true
}

// complete says whether the threads that we know are as many as there are. Who is
// being buried may be known to us alone.
func (sc *scanner) complete() (bool, error) {
	if !sc.burialsEnd() {
		return false, nil
	}
	buried := sc.s.stats.exits.Load()
	before, err := sc.s.process.NumThreads()
	if err != nil {
		return false, err
	}
	known := sc.s.set.Counts().Live()
	if b := sc.s.births; b != nil {
		known += b.Alive()
	}
	for _, end := range []threadset.Phase{threadset.Zombie, threadset.Failed} {
		for range sc.s.set.In(end) {
			known++
		}
	}
	after, err := sc.s.process.NumThreads()
	still := sc.s.burying.Load() == 0 && sc.s.stats.exits.Load() == buried
	return still && known == before && known == after, err
}

// gone turns the end of the target into no error.
func (sc *scanner) gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		sc.s.summon()
		return nil
	}
	return err
}

// lastly is the leader, who is seized by the tracer that ends its batch last.
type lastly struct {
	left   atomic.Int32 // batches, and the list itself, that have not ended
	leader int          // 0 for none; set before the list ends
}

// done ends a batch or the list. It says whether the leader's turn has come.
func (l *lastly) done() bool {
	return l.left.Add(-1) == 0 && l.leader != 0
}
