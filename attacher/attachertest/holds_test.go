package attachertest_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"massattach/attacher"
	"massattach/stopper"
	"massattach/stopper/notify"
)

// What the program does with a stopper, in visits that have one.

// holder is the stopper of a visit, and what it holds.
type holder struct {
	*stopper.Stopper
	h       *host
	mu      sync.Mutex
	held    []*stopper.Held
	cancels []func()
	others  sync.WaitGroup // arrests beside the program's own
}

func (h *host) newHolder() *holder {
	st, err := stopper.New(h.session, &stopper.Options{
		OpenNotify: func(pid int, _ string) (notify.Mechanism, error) { return h.sim.m.Notify(pid), nil },
	})
	if err != nil {
		h.sim.fail("new stopper: %v", err)
	}
	return &holder{Stopper: st, h: h}
}

// holderActs are what a visit with a stopper does.
var holderActs = []act{
	{"arrest", func(h *host) { h.holder.arrest() }},
	{"arrest", func(h *host) { h.holder.arrest() }},
	{"arrest", func(h *host) { h.holder.arrest() }},
	{"arrest beside", func(h *host) { h.holder.beside() }},
	{"let one go", func(h *host) { h.holder.letGo(1) }},
	{"let all go", func(h *host) { h.holder.letGo(1000) }},
	{"cancel", func(h *host) { h.holder.cancel() }},
	{"registers", func(h *host) { h.holder.registers() }},
	{"at", func(h *host) { h.holder.at() }},
}

// request draws one. It never waits for ever: some threads don't stop.
func (o *holder) request() stopper.Request {
	rng := o.h.rng
	return stopper.Request{
		Style:     one(rng, stopper.Interrupt, stopper.Interrupt, stopper.Notify),
		Selection: o.h.selection(),
		Within:    time.Duration(1+rng.IntN(one(rng, 100, 5_000, 200_000, 5_000_000))) * time.Microsecond,
		Partial:   chance(rng, 0.3),
	}
}

func (o *holder) arrest() {
	o.try(o.request(), one(o.h.rng, 0, 0, time.Duration(1+o.h.rng.IntN(10_000))*time.Microsecond))
}

// beside does so while the program goes on.
func (o *holder) beside() {
	r, bound := o.request(), time.Duration(o.h.rng.IntN(3))*time.Millisecond
	o.others.Go(func() { o.try(r, bound) })
}

// try arrests threads, and looks at them when that is done. The context of the
// hold ends after bound, or when that is told.
func (o *holder) try(r stopper.Request, bound time.Duration) {
	s := o.h.sim
	ctx, cancel := context.WithCancel(context.Background())
	if bound > 0 {
		ctx, cancel = context.WithTimeout(context.Background(), bound)
	}
	o.mu.Lock()
	o.cancels = append(o.cancels, cancel)
	o.mu.Unlock()
	if s.killed.Load() {
		cancel()
	}
	end := o.deadline(r.Within)
	h, err := o.Arrest(ctx, r)
	late := end()
	var partial *stopper.PartialError
	switch {
	case err == nil:
		if !h.Report().Complete && ctx.Err() == nil {
			o.excuse(late, h.Missing())
		}
	case errors.As(err, &partial):
		if r.Partial {
			s.fail("arrest: a partial one answers %v", err)
		}
		if ctx.Err() == nil {
			o.excuse(late, partial.Missing)
		}
		return
	default:
		o.h.tolerate("arrest", err, context.Canceled, context.DeadlineExceeded, attacher.ErrClosed, attacher.ErrGone, errBroken)
		return
	}
	if ctx.Err() == nil && !o.h.isClosing() {
		o.look(ctx, h, r)
	}
	o.mu.Lock()
	o.held = append(o.held, h)
	o.mu.Unlock()
}

// lateness is how things were when the time of an arrest was over.
type lateness struct {
	still  time.Duration
	cannot []int // threads that nothing can stop, or that nothing could until just now
}

// inDisk are the threads in D.
func (s *simulation) inDisk() (tids []int) {
	for _, tid := range s.m.Threads() {
		if s.m.State(tid) == 'D' {
			tids = append(tids, tid)
		}
	}
	return tids
}

// deadline looks at that moment, at which nobody can do anything before the
// scheduler lets him.
func (o *holder) deadline(within time.Duration) (end func() *lateness) {
	var late atomic.Pointer[lateness]
	s := o.h.sim
	timer := time.AfterFunc(within, func() {
		l := &lateness{still: s.still(), cannot: s.inDisk()}
		if stuck := s.stuck.Load(); stuck != nil {
			l.cannot = append(l.cannot, *stuck...)
		}
		late.Store(l)
	})
	return func() *lateness {
		timer.Stop()
		return late.Load()
	}
}

// idleness is for how long nobody has had anything to do when an arrest that
// still waits is one that would wait for ever: by then every timer has fired.
const idleness = 100 * time.Millisecond

// excuse says why an arrest is late: things went on, or it waited for somebody
// who can't stop. Without either it hung.
func (o *holder) excuse(late *lateness, missing []stopper.Missing) {
	s := o.h.sim
	if late == nil || late.still < idleness || s.killed.Load() || s.dying.Load() || s.isBroken() || o.h.isClosing() {
		return
	}
	for _, tid := range late.cannot {
		if len(missing) == 0 || slices.ContainsFunc(missing, func(m stopper.Missing) bool { return m.TID == tid }) {
			return
		}
	}
	s.fail("arrest: it hung, %v long, and nothing keeps the missing from a stop: %v", late.still, missing)
}

// look looks at who is held, at the moment at which the arrest is done: nothing
// has happened since, but that time may pass while somebody looks, and end the hold.
func (o *holder) look(ctx context.Context, h *stopper.Held, r stopper.Request) {
	s := o.h.sim
	fail := func(format string, args ...any) {
		if ctx.Err() == nil {
			s.fail(format, args...)
		}
	}
	if s.killed.Load() || s.dying.Load() || s.isBroken() {
		return
	}
	rep := h.Report()
	inKernel := h.InKernel() // some may be on their way to a stop
	held, missing := h.TIDs(), make(map[int]bool)
	for _, m := range h.Missing() {
		missing[m.TID] = true
	}
	for _, tid := range held {
		// An exec ends those that are held, too; but not while all have stopped.
		execs := s.execs.Load() && !(rep.Complete && r.Style == stopper.Interrupt && r.Selection.All() && len(s.foreign)+len(s.plan.refused) == 0)
		if state := s.m.State(tid); state != 't' && !execs {
			fail("thread %d is held, and is %c", tid, state)
		}
		if missing[tid] {
			fail("thread %d is held and missing", tid)
		}
	}
	for _, tid := range inKernel {
		if state := s.m.State(tid); state != 't' && state != 'Z' && !s.m.Sealed(tid) && !s.execs.Load() {
			fail("thread %d is held in the kernel, is %c, and may run", tid, state)
		}
	}
	if rep.Requested != rep.Stopped+rep.InKernel+rep.Missed {
		fail("%+v", rep)
	}
	if r.Style == stopper.Interrupt && (rep.Stopped != len(held) || rep.Missed != len(missing) || rep.InKernel+len(inKernel) != 0) {
		fail("%d are held and %d missing: %+v", len(held), len(missing), rep)
	}
	if !r.Selection.All() || !rep.Complete || r.Style == stopper.Notify && s.execs.Load() {
		return // who is in an exec may have another number already
	}
	for _, tid := range s.m.Threads() {
		tracer, state := s.m.TracerOf(tid), s.m.State(tid)
		if r.Style == stopper.Notify && (tracer == 0 || s.m.Sealed(tid)) {
			// Born since the list was read, by somebody held in the kernel: the hold has
			// it seized, and counts it, or it is a tracee, and stops before it runs.
			continue
		}
		refused := tracer == 0 && s.plan.refused[tid]
		if state != 'Z' && !s.isForeign(tracer) && !refused && !slices.Contains(held, tid) && !slices.Contains(inKernel, tid) && !s.failedToSeize(o.h, tid) {
			fail("all are held, but not thread %d, which is %c and tracer %d's", tid, state, tracer)
		}
	}
}

// failedToSeize says whether the session has reported that it couldn't.
func (s *simulation) failedToSeize(h *host, tid int) bool {
	for _, f := range h.session.Report().Failures {
		if f.TID == tid {
			return true
		}
	}
	return false
}

// letGo lets go of some holds, drawn from all.
func (o *holder) letGo(n int) {
	for ; n > 0; n-- {
		o.mu.Lock()
		if len(o.held) == 0 {
			o.mu.Unlock()
			return
		}
		i := o.h.rng.IntN(len(o.held))
		h := o.held[i]
		o.held = slices.Delete(o.held, i, i+1)
		o.mu.Unlock()
		o.h.tolerate("resume", h.Resume(), errBroken)
	}
}

// cancel ends the context of an arrest or a hold.
func (o *holder) cancel() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if n := len(o.cancels); n > 0 {
		o.cancels[o.h.rng.IntN(n)]()
	}
}

// die ends all arrests and holds with the tool, which could otherwise go on
// asking in vain for as long as their time lasts.
func (o *holder) die() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, cancel := range o.cancels {
		cancel()
	}
}

// registers reads those of all that are held.
func (o *holder) registers() {
	o.mu.Lock()
	held := slices.Clone(o.held)
	o.mu.Unlock()
	for _, h := range held {
		err := h.Each(func(t stopper.Thread) error {
			var r attacher.Regs
			return t.Regs(&r)
		})
		o.h.tolerate("registers", err, attacher.ErrClosed, stopper.ErrReleased, syscall.ESRCH)
	}
}

// at holds threads at events for a while.
func (o *holder) at() {
	mask := one(o.h.rng, attacher.EventSignal, attacher.EventExec, attacher.EventGroupStop, attacher.EventSignal|attacher.EventGroupStop)
	if o.h.visit.options.Follow == attacher.FollowClone {
		mask |= attacher.EventBirth
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+o.h.rng.IntN(5_000))*time.Microsecond)
	o.mu.Lock()
	o.cancels = append(o.cancels, cancel)
	o.mu.Unlock()
	held, err := o.At(ctx, mask)
	if err != nil {
		o.h.sim.fail("at: %v", err)
		return
	}
	o.others.Go(func() {
		for h := range held {
			tid := h.Event().TID
			s := o.h.sim
			if slices.Contains(h.TIDs(), tid) && s.m.State(tid) != 't' && !s.killed.Load() && !s.execs.Load() && !s.dying.Load() && !s.isBroken() {
				s.fail("thread %d is held at %#x, and is %c", tid, uint32(h.Event().Kind), s.m.State(tid))
			}
		}
	})
}

// end lets everybody go.
func (o *holder) end() {
	o.mu.Lock()
	cancels := o.cancels
	o.cancels = nil
	o.mu.Unlock()
	for _, cancel := range cancels {
		cancel()
	}
	o.others.Wait()
	o.letGo(1000)
}
