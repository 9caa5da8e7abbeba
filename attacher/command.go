package attacher

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// errTracerGone says that a tracer ended before it took a command.
var errTracerGone = errors.New("tracer thread has ended")

// command is something that a tracer's thread does for somebody else: a whole
// batch, never one request.
type command struct {
	do      func(*tracer)
	taken   atomic.Bool   // the tracer has heard
	dropped bool          // the tracer ended instead; read after done
	done    chan struct{} // closed when do has returned or was dropped
}

// post gives t something to do. The caller must see that t hears of it: see
// deliver.
func (t *tracer) post(do func(*tracer)) *command {
	c := &command{do: do, done: make(chan struct{})}
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		c.taken.Store(true)
		c.dropped = true
		close(c.done)
		return c
	}
	t.inbox = append(t.inbox, c)
	t.posted.Store(true)
	t.mu.Unlock()
	select {
	case t.wake <- struct{}{}:
	default:
	}
	return c
}

// takeCommands does what was posted.
func (t *tracer) takeCommands() {
	for t.posted.Load() && !t.quit {
		t.mu.Lock()
		cs := t.inbox
		t.inbox = nil
		t.posted.Store(false)
		t.mu.Unlock()
		for _, c := range cs {
			c.taken.Store(true)
		}
		t.idle = false
		for _, c := range cs {
			c.do(t)
			close(c.done)
		}
	}
}

// abandon ends the inbox: what is in it will not be done.
func (t *tracer) abandon() {
	t.mu.Lock()
	cs := t.inbox
	t.inbox, t.closed = nil, true
	t.mu.Unlock()
	for _, c := range cs {
		c.taken.Store(true)
		c.dropped = true
		close(c.done)
	}
}

// isGone says that the tracer takes no more commands.
func (t *tracer) isGone() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.closed
}

// The bell is rung again after ringFirst, then after twice as long each time.
const (
	ringFirst = 50 * time.Microsecond
	ringLast  = 5 * time.Millisecond
)

// order is a command on its way to a tracer.
type order struct {
	t *tracer
	c *command
}

// deliver rings until every command was heard. It is bounded: a tracer hears
// within one ring, but for one that is inside a SEIZE, which needs no ring and
// looks at its inbox afterwards.
func deliver(ctx context.Context, orders []order) error {
	var timer *time.Timer
	for wait := ringFirst; ; wait = min(2*wait, ringLast) {
		deaf := 0
		for _, o := range orders {
			if o.c.taken.Load() {
				continue
			}
			deaf++
			if o.t.asleep.Load() {
				// ESRCH: the thread has ended; abandon marks the command.
				_ = o.t.k.Ring()
			}
		}
		if deaf == 0 {
			return nil
		}
		if timer == nil {
			timer = time.NewTimer(wait)
			defer timer.Stop()
		} else {
			timer.Reset(wait)
		}
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// tell has each of the tracers do something and waits for all of them. When
// ctx ends first, commands that were not taken yet will not be done; those
// that were are waited for, since they use what the caller owns.
func tell(ctx context.Context, tracers []*tracer, do func(*tracer)) error {
	var cancelled atomic.Bool
	orders := make([]order, 0, len(tracers))
	for _, t := range tracers {
		<-t.bound
		orders = append(orders, order{t, t.post(func(t *tracer) {
			if !cancelled.Load() {
				do(t)
			}
		})})
	}
	err := deliver(ctx, orders)
	cancelled.Store(err != nil)
	for _, o := range orders {
		if err != nil && !o.c.taken.Load() {
			continue
		}
		<-o.c.done
		if o.c.dropped && err == nil {
			err = errTracerGone
		}
	}
	return err
}
