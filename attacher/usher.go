package attacher

import (
	"context"
	"time"
)

// usher gives threads to tracers. One goroutine uses it.
type usher struct {
	s      *Session
	orders []order
}

// batch is threads to be seized.
type batch struct {
	tids []int
	born bool        // since the first pass
	at   []time.Time // of their births, where the kernel has told
}

// split is the first n of the batch, and the others.
func (b batch) split(n int) (first, rest batch) {
	first, rest = b, b
	first.tids, rest.tids = b.tids[:n], b.tids[n:]
	if b.at != nil {
		first.at, rest.at = b.at[:n], b.at[n:]
	}
	return first, rest
}

// seat gives threads to tracers, and starts new tracers when the others have
// their share.
func (u *usher) seat(ctx context.Context, b batch, last *lastly) {
	for len(b.tids) > 0 {
		t := u.s.roomiest()
		var part batch
		part, b = b.split(min(len(b.tids), max(u.s.options.Share-t.load(), 1)))
		part.tids = append([]int(nil), part.tids...)
		t.seats.Add(int32(len(part.tids)))
		t.batches.Add(1)
		select {
		case u.s.seating <- struct{}{}:
		default:
		}
		if last != nil {
			last.left.Add(1)
		}
		u.orders = append(u.orders, order{t, t.post(func(t *tracer) {
			t.seize(ctx, part)
			if last != nil && last.done() {
				t.seats.Add(1)
				t.batches.Add(1)
				t.seize(ctx, batch{tids: []int{last.leader}, born: part.born})
			}
		})})
	}
}

// roomiest is the tracer with the most room, a new one when nobody has any.
func (s *Session) roomiest() *tracer {
	s.mu.Lock()
	defer s.mu.Unlock()
	var best *tracer
	least := s.options.Share
	for _, t := range s.tracers {
		if n := t.load(); n < least && !t.isGone() {
			best, least = t, n
		}
	}
	if best != nil {
		return best
	}
	t := newTracer(s)
	s.tracers = append(s.tracers, t)
	t.start()
	return t
}

// settle waits until what seat has given out is done.
func (u *usher) settle(ctx context.Context) error {
	orders := u.orders
	u.orders = u.orders[:0]
	if len(orders) == 0 {
		return nil
	}
	err := deliver(ctx, orders)
	for _, o := range orders {
		select {
		case <-o.c.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}
