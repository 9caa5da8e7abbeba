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

// ID is the id of the tracer's thread.
func (o *Owner) ID() int { return o.t.k.ID() }

// ErrClosed says that the session has been closed.
var ErrClosed = errors.New("attacher: the session is closed")

// Do runs f once on each tracer thread that owns some of the selected threads,
// and returns when all have. f must not wait for anything: the tracer's other
// tracees stand still meanwhile. An empty selection is all threads.
//
// The errors of f are joined. When ctx ends first, f is not begun on tracers
// that have not heard yet; where it has begun it is waited for.
//
// A selection by number alone is decided by the owners; any other by one scan
// of /proc before that.
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
	err = tell(ctx, s.ownersOf(chosen), func(t *tracer) {
		o := Owner{t: t, tids: t.among(chosen)}
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
	tids := sel.TIDs
	if sel.Comm != "" || sel.State != "" || sel.Syscall != "" || sel.Func != nil {
		var err error
		if tids, err = s.Select(sel); err != nil {
			return nil, err
		}
	}
	chosen := make(map[int]bool, len(tids))
	for _, tid := range tids {
		chosen[tid] = true
	}
	return chosen, nil
}

// ownersOf are the tracers that have some of the chosen threads, all for nil.
func (s *Session) ownersOf(chosen map[int]bool) []*tracer {
	crew := s.crew()
	if chosen == nil {
		return crew
	}
	owners := make(map[int]bool)
	for tid := range chosen {
		if th, ok := s.set.Get(tid); ok {
			owners[th.Owner] = true
		}
	}
	return slices.DeleteFunc(crew, func(t *tracer) bool {
		<-t.bound
		return t.k == nil || !owners[t.k.ID()]
	})
}

// among are the chosen ones of the tracer's tracees, all for nil.
func (t *tracer) among(chosen map[int]bool) (tids []int) {
	if chosen == nil {
		return t.tracees()
	}
	for tid := range chosen {
		if t.knows(tid) {
			tids = append(tids, tid)
		}
	}
	slices.Sort(tids)
	return tids
}

// Select answers the threads of the target that sel picks now, by one scan of
// /proc; some of them may be nobody's tracees. [ErrGone]: the process has ended.
func (s *Session) Select(sel procfs.Selection) ([]int, error) {
	tids, err := s.selectNow(sel)
	if err != nil {
		return nil, s.lookError("select", err)
	}
	return tids, nil
}

func (s *Session) selectNow(sel procfs.Selection) ([]int, error) {
	// Not the session's own: the keeper may be listing.
	process, err := s.options.Proc.Open(s.pid)
	if err != nil {
		return nil, err
	}
	defer process.Close()
	return process.Select(sel, nil)
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
	for _, tid := range tids {
		if n := o.t.note(tid); !n.expected {
			n.expected = true
			o.t.awaited = append(o.t.awaited, tid)
		}
	}
}

// Collect looks for stops that are expected, and have come, now.
func (o *Owner) Collect() { o.t.sweep(len(o.t.awaited)) }

// Unexpect takes Expect back. The stops are still handled when they come.
func (o *Owner) Unexpect(tids []int) {
	for _, tid := range tids {
		o.t.unexpect(tid)
	}
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

// ReadAt reads len(buf) bytes of the target's memory at addr, or none: then the
// error wraps EFAULT.
func (o *Owner) ReadAt(tid int, addr uint64, buf []byte) error {
	if err := o.t.k.ReadMemory(tid, addr, buf); err != nil {
		return fmt.Errorf("read %d bytes of thread %d at %#x: %w", len(buf), tid, addr, err)
	}
	return nil
}

// WriteAt writes buf to the target's memory at addr, also where the target
// itself may only read. Where the memory ends in the middle the error wraps
// EFAULT, and what comes before that has been written.
func (o *Owner) WriteAt(tid int, addr uint64, buf []byte) error {
	if err := o.t.k.WriteMemory(tid, addr, buf); err != nil {
		return fmt.Errorf("write %d bytes of thread %d at %#x: %w", len(buf), tid, addr, err)
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
