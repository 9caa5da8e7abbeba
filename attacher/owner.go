package attacher

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"syscall"

	"massattach/procfs"
	"massattach/threadset"
)

// Owner is one tracer thread for the length of a function that [Session.Do]
// runs on it: the one place from which its tracees can be asked something.
type Owner struct {
	t    *tracer
	tids []int
}

// ErrClosed says that the session has been closed.
var ErrClosed = errors.New("attacher: the session is closed")

// Do runs f once on each tracer thread that owns some of the selected threads,
// and returns when all have. f must not wait for anything: the tracer's other
// tracees stand still meanwhile. An empty selection is all threads.
//
// The errors of f are joined. When ctx ends first, f is not begun on tracers
// that have not heard yet; where it has begun it is waited for.
//
// After Close nobody is asked, and the answer is [ErrClosed].
func (s *Session) Do(ctx context.Context, sel procfs.Selection, f func(*Owner) error) error {
	if s.closed.Load() {
		return ErrClosed
	}
	chosen, err := s.choose(sel)
	if err != nil {
		return fmt.Errorf("select threads of %d: %w", s.pid, err)
	}
	var (
		mu   sync.Mutex
		errs []error
	)
	err = tell(ctx, s.crew(), func(t *tracer) {
		o := Owner{t: t}
		for th := range t.shard.All() {
			if th.Phase.Seized() && (chosen == nil || chosen[th.TID]) {
				o.tids = append(o.tids, th.TID)
			}
		}
		if len(o.tids) == 0 {
			return
		}
		if err := f(&o); err != nil {
			mu.Lock()
			errs = append(errs, err)
			mu.Unlock()
		}
	})
	if err != nil && !errors.Is(err, errTracerGone) {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// choose answers the selected tids, nil for all.
func (s *Session) choose(sel procfs.Selection) (map[int]bool, error) {
	if sel.All() {
		return nil, nil
	}
	// Not the session's own: the keeper may be listing.
	process, err := s.options.Proc.Open(s.pid)
	if err != nil {
		return nil, err
	}
	defer process.Close()
	tids, err := process.Select(sel, nil)
	if err != nil {
		return nil, err
	}
	chosen := make(map[int]bool, len(tids))
	for _, tid := range tids {
		chosen[tid] = true
	}
	return chosen, nil
}

// TIDs are the selected threads of this owner. The slice is the caller's.
func (o *Owner) TIDs() []int { return o.tids }

// Interrupt asks a thread to stop; its stop comes later, or, for a thread in D
// state, perhaps never. Nothing happens to one that is held. The arbiter is
// asked what becomes of the stop. ESRCH: the thread is gone.
func (o *Owner) Interrupt(tid int) error {
	n := o.t.note(tid)
	if n.held.Kind != StopUnknown || n.asked {
		// A second INTERRUPT would leave a second stop behind.
		return nil
	}
	if err := o.t.k.Interrupt(tid); err != nil {
		o.t.forget(tid, n)
		return fmt.Errorf("interrupt thread %d: %w", tid, err)
	}
	n.asked = true
	o.t.move(tid, threadset.Interrupted)
	return nil
}

// Expect has the owner collect the stops of tids one by one, between its other
// events, until each is held or has ended, or Unexpect is called: a wait for
// any tracee costs time for each that the tracer has.
func (o *Owner) Expect(tids []int) {
	o.t.awaited = append(o.t.awaited, tids...)
}

// Unexpect takes Expect back. The stops are still handled when they come.
func (o *Owner) Unexpect(tids []int) {
	o.t.awaited = slices.DeleteFunc(o.t.awaited, func(tid int) bool {
		return slices.Contains(tids, tid)
	})
}

// Resume lets a held thread go on as its stop asks for: one that is held in a
// group-stop stays stopped by job control. It does nothing for a thread that
// isn't held. ESRCH: the thread is gone.
func (o *Owner) Resume(tid int) error {
	n := o.t.notes[tid]
	if n == nil || n.held.Kind == StopUnknown {
		return nil
	}
	resume, event := func() error { return o.t.k.Cont(tid, 0) }, threadset.Resumed
	if n.held.Kind == StopGroup {
		resume, event = func() error { return o.t.k.Listen(tid) }, threadset.Listened
	}
	switch err := resume(); err {
	case nil:
		n.held = Stop{}
		o.t.move(tid, event)
		o.t.forget(tid, n)
		return nil
	case syscall.ESRCH, syscall.EIO:
		// It has been killed, and is in another stop on its way out, or in
		// none. It stays held until that comes.
		return syscall.ESRCH
	default:
		return fmt.Errorf("resume thread %d: %w", tid, err)
	}
}

// Regs reads the registers of a held thread.
func (o *Owner) Regs(tid int, r *Regs) error {
	if err := o.t.k.Regs(tid, r); err != nil {
		return fmt.Errorf("read registers of thread %d: %w", tid, err)
	}
	return nil
}

// SetRegs writes the registers of a held thread.
func (o *Owner) SetRegs(tid int, r *Regs) error {
	if err := o.t.k.SetRegs(tid, r); err != nil {
		return fmt.Errorf("write registers of thread %d: %w", tid, err)
	}
	return nil
}

// Siginfo reads the siginfo of a held thread's stop.
func (o *Owner) Siginfo(tid int, si *Siginfo) error {
	if err := o.t.k.Siginfo(tid, si); err != nil {
		return fmt.Errorf("read siginfo of thread %d: %w", tid, err)
	}
	return nil
}
