package stopper

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"massattach/attacher"
)

// hunt is somebody who waits for events, to hold the threads that report them.
type hunt struct {
	st    *Stopper
	mask  attacher.EventMask
	mu    sync.Mutex
	queue []*Held
	more  chan struct{} // has room for one: something came
}

// ErrNotSupported says that threads can't be held at such an event.
var ErrNotSupported = errors.New("threads can't be held at that event")

// events that threads can be held at.
const huntable = attacher.EventExec | attacher.EventBirth | attacher.EventSignal | attacher.EventGroupStop

// At holds each thread that reports one of the events in m, from now on, and hands
// it over; it is let go when the loop's body returns. The sequence is for one use.
// It ends with ctx, a break, or the session, and then lets go of who is held for
// it. Threads wait as long as the body is at work on others.
//
//   - EventExec: at the exec, before the first instruction of the new program.
//   - EventBirth: a newborn before its first instruction. Only in a session with
//     [attacher.FollowClone], in which threads are born as tracees.
//   - EventSignal: at the first instruction of the handler, or where the thread
//     was if there is none. (A signal that is still to be delivered would be lost
//     with us if we died.) Who dies of it is not held.
//   - EventGroupStop: each thread once, in the group-stop. Let go it stays stopped.
//
// Any other is [ErrNotSupported]. EventExit is: to stop on its way out a thread
// must be seized with PTRACE_O_TRACEEXIT, and then an exec that comes beside a
// SEIZE hangs for ever (package attacher, lifeguard).
func (st *Stopper) At(ctx context.Context, m attacher.EventMask) (iter.Seq[*Held], error) {
	if m == 0 || m&^huntable != 0 {
		return nil, st.failed(fmt.Errorf("%w: %#x", ErrNotSupported, uint32(m&^huntable)))
	}
	if m&attacher.EventBirth != 0 && st.session.Follow() != attacher.FollowClone {
		return nil, st.failed(fmt.Errorf("%w: births, but with follow mode clone", ErrNotSupported))
	}
	u := &hunt{st: st, mask: m, more: make(chan struct{}, 1)}
	st.change(func(v *view) { v.hunts = append(slices.Clone(v.hunts), u) })
	end := context.AfterFunc(ctx, func() { u.end() })
	return func(yield func(*Held) bool) {
		defer u.end()
		defer end()
		for ctx.Err() == nil {
			for _, h := range u.take() {
				ok := ctx.Err() == nil && yield(h)
				_ = h.Resume()
				if !ok {
					return
				}
			}
			select {
			case <-u.more:
			case <-ctx.Done():
			case <-st.session.Closed():
				return
			case <-st.session.Ended():
				return
			}
		}
	}, nil
}

// end lets go of all that are held for it.
func (u *hunt) end() {
	u.st.change(func(v *view) {
		v.hunts = slices.DeleteFunc(slices.Clone(v.hunts), func(o *hunt) bool { return o == u })
	})
	_, _ = u.st.release(func(h *Held) bool { return h.hunt == u }, false)
}

// catch answers a hold for the thread that reports s, nil when that is no event
// that it waits for.
func (u *hunt) catch(s attacher.Stop) *Held {
	e := attacher.Event{Time: time.Now(), TID: s.TID, Signal: s.Signal}
	switch {
	case s.Kind == attacher.StopExec:
		e.Kind, e.OldTID = attacher.EventExec, s.OldTID
	case s.Kind == attacher.StopSignal:
		e.Kind = attacher.EventSignal
	case s.Kind == attacher.StopGroup && !s.Again:
		e.Kind = attacher.EventGroupStop
	case s.Kind == attacher.StopTrap && s.Born:
		e.Kind = attacher.EventBirth
	}
	if e.Kind&u.mask == 0 {
		return nil
	}
	h := newHeld(u.st)
	h.hunt, h.event = u, e
	h.starts()
	return h
}

// caught hands a thread over that has stopped.
func (u *hunt) caught(h *Held) {
	u.mu.Lock()
	u.queue = append(u.queue, h)
	u.mu.Unlock()
	select {
	case u.more <- struct{}{}:
	default:
	}
}

func (u *hunt) take() []*Held {
	u.mu.Lock()
	defer u.mu.Unlock()
	q := u.queue
	u.queue = nil
	return q
}
