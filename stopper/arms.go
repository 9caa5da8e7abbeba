package stopper

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"massattach/attacher"
	"massattach/procfs"
	"massattach/stopper/notify"
)

// arms is the mechanism of notify style. Who changes whom it is armed for has the
// lock, so that nobody is disarmed who is wanted meanwhile; functions on a tracer's
// thread never take it. It comes before the stopper's in the lock order, and is the
// one lock that is held across system calls: a token, which whoever takes it waits for
// as for any answer.
type arms struct {
	token  chan struct{}    // is in it when nobody has it
	m      notify.Mechanism // nil: not opened yet
	arming int              // the last
	proven int              // the last of which everybody is in the kernel, or has stopped
	ending atomic.Bool      // nobody is to be asked any more; set with the lock held
	closed bool

	leave  sync.Mutex   // guards what follows, on tracers' threads, too
	gone   map[int]bool // that the mechanism has not been told of
	losses int          // so far
}

// lock takes the token, and answers what gives it back.
func (a *arms) lock() (unlock func()) {
	<-a.token
	return a.unlock
}

func (a *arms) unlock() { a.token <- struct{}{} }

// ready opens the mechanism, if that has not been done. It is called with the lock
// held.
func (st *Stopper) ready() error {
	a := &st.arms
	switch {
	case a.ending.Load():
		return attacher.ErrClosed
	case a.m != nil:
		return nil
	}
	m, err := st.openNotify(st.session.PID(), st.mechanism)
	if err != nil {
		return err
	}
	a.m = m
	st.change(func(v *view) { v.mechanism = m })
	return nil
}

// forget tells the mechanism who is gone.
func (a *arms) forget() {
	a.leave.Lock()
	gone := a.gone
	a.gone = nil
	a.leave.Unlock()
	if len(gone) > 0 {
		a.m.Remove(slices.Sorted(maps.Keys(gone)))
	}
}

// lost notes that a thread is no tracee any more, or has another number.
func (a *arms) lost(tid int) {
	a.leave.Lock()
	defer a.leave.Unlock()
	if a.gone == nil {
		a.gone = make(map[int]bool)
	}
	a.gone[tid] = true
	a.losses++
}

// lostSoFar counts them.
func (a *arms) lostSoFar() int {
	a.leave.Lock()
	defer a.leave.Unlock()
	return a.losses
}

// arm has the threads of a selection armed for h that are not yet.
func (h *Held) arm(ctx context.Context, sel procfs.Selection) error {
	st := h.st
	a := &st.arms
	select {
	case <-a.token:
		defer a.unlock()
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := st.ready(); err != nil {
		return err
	}
	a.arming++
	before := a.lostSoFar()
	var (
		mu   sync.Mutex
		tids []int
	)
	err := st.session.Do(ctx, sel, func(o *attacher.Owner) error {
		fresh := st.ward(o.ID()).arm(o, o.TIDs(), h, a.arming)
		mu.Lock()
		defer mu.Unlock()
		tids = append(tids, fresh...)
		return nil
	})
	slices.Sort(tids)
	if err == nil {
		a.forget() // first: one may have come back as another under the same number
		err = a.m.Add(tids)
	}
	if h.starts(); err == nil && len(tids) > 0 {
		if err = a.m.Arm(tids); err != nil {
			err = fmt.Errorf("arm %d threads: %w", len(tids), err)
			_, _ = a.m.Disarm(tids) // those that it has
		} else if a.lostSoFar() != before {
			err = st.disarmStrays(tids)
		}
	}
	if err != nil {
		// Nobody else is to rely on it.
		for _, w := range st.view.Load().wards {
			w.unarm(a.arming)
		}
	}
	return err
}

// disarmStrays takes the last arming back of those who were no tracees any more when
// it came: their tracer has ended, say, and they may be another's by now.
func (st *Stopper) disarmStrays(tids []int) error {
	a := &st.arms
	stray := make(map[int]bool, len(tids))
	for _, tid := range tids {
		stray[tid] = true
	}
	for _, w := range st.view.Load().wards {
		w.keepArmed(stray, a.arming)
	}
	_, err := a.m.Disarm(slices.Sorted(maps.Keys(stray)))
	return err
}

// look asks the mechanism how far the armed threads are: who could not be sent a
// signal is interrupted, and who is not pending is in the kernel.
func (st *Stopper) look() error {
	a := &st.arms
	defer a.lock()()
	if a.m == nil || a.closed {
		return nil
	}
	l, err := a.m.Look()
	if err != nil {
		return fmt.Errorf("notify style: %w", err)
	}
	arming := a.arming
	if len(l.Mute) == 0 && a.proven == arming {
		return nil
	}
	now := time.Now()
	still := make(map[int]bool, len(l.Pending))
	for _, tid := range l.Pending {
		still[tid] = true
	}
	if len(l.Pending) == 0 {
		a.proven = arming
	}
	err = st.session.Do(context.Background(), procfs.Selection{}, func(o *attacher.Owner) error {
		w := st.ward(o.ID())
		w.interrupt(o, l.Mute)
		w.park(o, arming, still, now)
		return nil
	})
	if errors.Is(err, attacher.ErrClosed) {
		err = nil
	}
	return err
}

// disarm has nobody armed any more for those who are to go; see [ward.disarm]. The
// answer are the threads that have reported: their stops have come, or will. It is
// called with the lock held, until they have gone: or two who go at once would each
// leave it to the other.
func (st *Stopper) disarm(goes func(*Held) bool, unsettled bool) (map[int]bool, error) {
	a := &st.arms
	if a.closed {
		return nil, nil
	}
	a.forget() // an exec has taken a number away from one that is armed
	var tids []int
	for _, w := range st.view.Load().wards {
		tids = append(tids, w.disarm(goes, unsettled)...)
	}
	if len(tids) == 0 {
		return nil, nil
	}
	slices.Sort(tids)
	list, err := a.m.Disarm(tids)
	if err != nil {
		err = fmt.Errorf("disarm %d threads: %w", len(tids), err)
	}
	reported := make(map[int]bool, len(list))
	for _, tid := range list {
		reported[tid] = true
	}
	return reported, err
}

// How often an arrest in notify style looks whether those who run have reported, at
// first and later; how often a hold looks whether somebody has woken up, or was born,
// and how much of a CPU that may take.
const (
	lookFirst  = 20 * time.Microsecond
	lookLast   = time.Millisecond
	watchEvery = 2 * time.Millisecond
	watchShare = 5 // a fifth
)

// confirm returns when all that are wanted are settled.
func (h *Held) confirm(ctx context.Context) error {
	begin := time.Now()
	for wait := lookFirst; ; wait = min(2*wait, lookLast) {
		if err := h.st.look(); err != nil {
			return err
		}
		if h.settled() {
			h.st.loseLeader() // who has exited is in the kernel, too
			return nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-h.changed:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		timer.Stop()
		if time.Since(begin) > leaderFirst {
			h.st.loseLeader()
		}
	}
}

// guard has somebody watch the hold until [Held.Resume].
func (h *Held) guard() {
	ctx, cancel := context.WithCancel(context.Background())
	h.unwatch = cancel
	h.watching.Go(func() { h.watch(ctx) })
}

// watch sees to a hold in notify style as long as it, and the session, lasts: who wakes up and could
// not be sent a signal is interrupted, and who was born by a call that was under way
// in the kernel.
func (h *Held) watch(ctx context.Context) {
	all := h.wanted == nil && h.complete
	timer := time.NewTimer(watchEvery)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		case <-h.st.session.Closed():
			return
		case <-h.st.session.Ended():
			return
		}
		begin := time.Now()
		_ = h.st.look() // nobody is there to be told of an error
		if all {
			_, _ = h.areAll(ctx)
		}
		timer.Reset(max(watchEvery, watchShare*time.Since(begin)))
	}
}

// Closing lets everybody go while the owners still answer, and waits until whoever
// was sent a signal has taken it: one that is pending would merge with one of the
// target's own.
func (a *arbiter) Closing() {
	st := (*Stopper)(a)
	arms := &st.arms
	unlock := arms.lock()
	arms.ending.Store(true)
	unlock()
	_, _ = st.release(func(*Held) bool { return true }, false) // the detach lets go of whom it could not
	defer arms.lock()()
	arms.closed = true
	if arms.m == nil {
		return
	}
	for wait := lookFirst; st.due() && wait < dueMost; wait *= 2 {
		time.Sleep(wait)
	}
	_ = arms.m.Close() // nobody is armed any more
}

// dueMost bounds the wait for signals that are still to be taken. Who is in a
// group-stop takes his when that ends.
const dueMost = 200 * time.Millisecond

// due says whether somebody's signal is still to be taken.
func (st *Stopper) due() bool {
	for _, w := range st.view.Load().wards {
		if w.owes() {
			return true
		}
	}
	return false
}
