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
	heard   chan struct{} // closed when the tracer has taken it, or ended instead
	done    chan struct{} // closed when do has returned, or will not be called
	dropped bool          // it will not; read after done
}

// post gives t something to do. The caller must see that t hears of it: see
// deliver.
func (t *tracer) post(do func(*tracer)) *command {
	c := &command{do: do, heard: make(chan struct{}), done: make(chan struct{})}
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		c.drop()
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
		t.idle = false
		t.perform(cs)
	}
}

// perform does commands in their order. A panic in one ends the tracer, and
// those who wait for it or for the rest hear of that.
func (t *tracer) perform(cs []*command) {
	begun := 0
	defer func() {
		if begun == 0 {
			return
		}
		cs[begun-1].dropped = true
		close(cs[begun-1].done)
		for _, c := range cs[begun:] {
			c.drop()
		}
	}()
	for i, c := range cs {
		begun = i + 1
		close(c.heard)
		c.do(t)
		close(c.done)
	}
	begun = 0
}

// abandon ends the inbox: what is in it will not be done.
func (t *tracer) abandon() {
	t.mu.Lock()
	cs := t.inbox
	t.inbox, t.closed = nil, true
	t.mu.Unlock()
	for _, c := range cs {
		c.drop()
	}
}

// drop says that the command will not be done.
func (c *command) drop() {
	c.dropped = true
	close(c.heard)
	close(c.done)
}

// taken says whether the tracer has heard.
func (c *command) taken() bool {
	select {
	case <-c.heard:
		return true
	default:
		return false
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
	ring := func() {
		for _, o := range orders {
			if !o.c.taken() && o.t.asleep.Load() {
				// ESRCH: the thread has ended; abandon drops the command.
				_ = o.t.k.Ring()
			}
		}
	}
	ring()
	wait := ringFirst
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for _, o := range orders {
		for !o.c.taken() {
			select {
			case <-o.c.heard:
			case <-timer.C:
				ring()
				wait = min(2*wait, ringLast)
				timer.Reset(wait)
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
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
		if err != nil && !o.c.taken() {
			continue
		}
		<-o.c.done
		if o.c.dropped && err == nil {
			err = errTracerGone
		}
	}
	return err
}
