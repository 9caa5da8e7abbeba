package stopper

import (
	"context"
	"errors"
	"fmt"
	"time"

	"massattach/attacher"
	"massattach/procfs"
)

// Request says which threads are to stop, and what is to be done when some don't.
// The zero value is all threads, and all or nothing.
type Request struct {
	Style Style
	// Selection picks the threads, by one scan; those that are born later are not
	// among them. The zero value is all, also those that are born meanwhile.
	Selection procfs.Selection
	// Within bounds the arrest, but not the hold that follows; 0: only the
	// context does.
	Within time.Duration
	// Partial has those held that stop in time. Without it everybody runs on when
	// one does not.
	Partial bool
	// Park leaves threads alone that are blocked in a call which a stop may end
	// before it is done, and nobody can mend: write, send, splice and the like.
	// They run on when their calls return; [Held.Parked] names them. With it an
	// arrest of all is one of those that there are, as by a selection.
	Park bool
}

// Hold arrests threads, calls f while they stand still, and lets go of them, also
// when f panics. Its error is that of [Stopper.Arrest], f's, or that of
// [Held.Resume].
//
// When ctx ends while f is at work the threads run on, and f's next request of
// one answers [ErrReleased].
func (st *Stopper) Hold(ctx context.Context, r Request, f func(*Held) error) (err error) {
	h, err := st.Arrest(ctx, r)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Resume()) }()
	return f(h)
}

// Arrest has threads stop, and returns when all have. They are held until
// [Held.Resume], or until ctx ends. Threads that end meanwhile are left out.
//
// When ctx or r.Within ends first, the error is a *[PartialError], and everybody
// runs on. With r.Partial there is no error then: [Held.Missing] names those that
// have not stopped, and [Report.Complete] is false. If it was ctx that ended, only
// Resume ends such a hold.
//
// Nobody is held when the error is not nil. One that is [attacher.ErrGone] says
// that the process has ended, [attacher.ErrClosed] that the session has.
func (st *Stopper) Arrest(ctx context.Context, r Request) (*Held, error) {
	if err := ctx.Err(); err != nil {
		return nil, st.failed(err)
	}
	h := newHeld(st)
	h.style = r.Style
	within, cancel := ctx, context.CancelFunc(func() {})
	if r.Within > 0 {
		within, cancel = context.WithTimeout(ctx, r.Within)
	}
	defer cancel()
	err := h.arrest(within, r)
	h.done(err == nil)
	switch {
	case err == nil:
	case within.Err() == nil || !errors.Is(err, within.Err()):
		err = st.failed(err)
	default:
		late := h.late(within)
		if err = late; r.Partial {
			err = nil
		}
	}
	if err != nil {
		return nil, errors.Join(err, h.Resume())
	}
	if h.style == Notify {
		h.guard()
	}
	if ctx.Err() == nil {
		h.until(ctx)
	}
	return h, nil
}

func (st *Stopper) failed(err error) error { return fmt.Errorf("stop %d: %w", st.session.PID(), err) }

// arrest asks the selected threads to stop and waits until they have.
func (h *Held) arrest(ctx context.Context, r Request) error {
	s, sel := h.st.session, r.Selection
	if err := sel.Validate(); err != nil {
		return err
	}
	all := sel.All() && !r.Park
	if all {
		h.st.open(h)
	} else {
		begin := time.Now()
		if r.Park {
			sel = park(sel, &h.parked)
		}
		tids, err := h.st.pick(sel)
		if err != nil {
			return err
		}
		tids = append([]int{}, tids...) // none is not nil, which is all
		h.picked(tids, time.Since(begin))
		sel = procfs.Selection{TIDs: tids}
	}
	err := h.ask(ctx, sel)
	if err == nil {
		err = h.await(ctx)
	}
	for done := !all; err == nil && !done; {
		if done, err = h.areAll(ctx); err == nil && !done {
			err = ctx.Err()
		}
		if err == nil && !done {
			err = h.await(ctx)
		}
	}
	if err == nil && s.IsClosed() {
		err = attacher.ErrClosed
	}
	return err
}

// areAll says whether nobody is left who is not held. Who is has been told to stop
// when it answers.
//
// That a list shows nobody unknown proves it only if all who are known stood still
// before it was read, and nobody has come since: or they may have given birth.
func (h *Held) areAll(ctx context.Context) (bool, error) {
	s := h.st.session
	if all, err := s.AreAll(ctx, h.still); err != nil || all && h.settled() {
		return all, err
	}
	still := h.still()
	if all, err := h.areKnown(ctx); err != nil || !all {
		return false, err
	}
	if nobody, err := s.Gather(ctx); err != nil || !nobody {
		return false, err
	}
	all, err := h.areKnown(ctx)
	return all && h.still() == still, err
}

// areKnown says whether all who are known are held. Who isn't, because it has only
// just reported its birth, say, is told to stop.
func (h *Held) areKnown(ctx context.Context) (bool, error) {
	s := h.st.session
	left := h.running()
	if len(left) > 0 {
		var err error
		if left, err = s.Select(procfs.Selection{TIDs: left, State: living}); err != nil {
			return false, err
		}
	}
	if len(left) == 0 {
		return h.settled(), nil
	}
	return false, h.ask(ctx, procfs.Selection{TIDs: left})
}

// ask has the selected threads stop, or armed, that have not been asked yet. In
// notify style it is too late to arm who has come to the hold: it may be anywhere.
func (h *Held) ask(ctx context.Context, sel procfs.Selection) error {
	if h.st.arms.ending.Load() {
		return attacher.ErrClosed
	}
	over := h.isOver()
	if h.style == Notify && !over {
		return h.arm(ctx, sel)
	}
	h.starts()
	return h.st.session.Do(ctx, sel, func(o *attacher.Owner) error {
		n := h.st.ward(o.ID()).arrest(o, o.TIDs(), h)
		if over {
			h.belated.Add(int32(n))
		}
		return nil
	})
}

// living are the states of threads that have not exited.
const living = "RSDTtPIKW"

// When, and then how often, an arrest looks whether it waits for a leader that has
// exited: such a one reports nothing until all others have ended, too.
const (
	leaderFirst = time.Millisecond
	leaderEvery = 20 * time.Millisecond
)

// await returns when all that are wanted have stopped.
func (h *Held) await(ctx context.Context) error {
	if h.style == Notify && !h.isOver() {
		return h.confirm(ctx)
	}
	look := time.NewTimer(leaderFirst)
	defer look.Stop()
	for !h.settled() {
		select {
		case <-h.changed:
		case <-look.C:
			h.st.loseLeader()
			look.Reset(leaderEvery)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// loseLeader takes a leader out that has exited.
func (st *Stopper) loseLeader() {
	pid := st.session.PID()
	for _, w := range st.view.Load().wards {
		if !w.awaits(pid) {
			continue
		}
		dead, err := st.session.Select(procfs.Selection{TIDs: []int{pid}, State: "ZX"})
		if err == nil && len(dead) == 1 {
			w.lose(pid)
			_ = st.session.Do(context.Background(), procfs.Selection{TIDs: dead}, func(o *attacher.Owner) error {
				o.Disarmed(dead)
				return nil
			}) // its record is all that this is about
		}
	}
}
