package stopper

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"massattach/attacher"
	"massattach/internal/sys"
	"massattach/procfs"
)

// Thread is a held thread, on the thread of its owner, for the length of a
// function that [Held.Each] calls.
type Thread struct {
	o   *attacher.Owner
	tid int
}

// TID is its number.
func (t Thread) TID() int { return t.tid }

// Regs reads its registers.
func (t Thread) Regs(r *attacher.Regs) error { return t.o.Regs(t.tid, r) }

// SetRegs writes its registers.
//
// Those of a thread that is in a call that is to begin anew say so: on amd64
// Rax is -514, and the kernel sets Rip back when the thread is resumed. To have it
// go elsewhere set Orig_rax to -1 as well.
func (t Thread) SetRegs(r *attacher.Regs) error { return t.o.SetRegs(t.tid, r) }

// ReadAt reads len(buf) bytes of its memory at addr, or none.
func (t Thread) ReadAt(buf []byte, addr uint64) error { return t.o.ReadAt(t.tid, addr, buf) }

// WriteAt writes buf to its memory at addr, also where it may only read itself.
func (t Thread) WriteAt(buf []byte, addr uint64) error { return t.o.WriteAt(t.tid, addr, buf) }

// Each calls f for each thread that is held, on its owner's thread: one call to
// each owner, however many threads. It is called by several owners at once, must
// not wait for anything, and must not call methods of h or of its stopper. The
// errors are joined; one that is ESRCH, of a thread that has been killed, is left
// out.
func (h *Held) Each(f func(Thread) error) error {
	if h.releasing.Load() {
		return h.st.failed(ErrReleased)
	}
	return h.each(procfs.Selection{}, f)
}

func (h *Held) each(sel procfs.Selection, f func(Thread) error) error {
	return h.st.session.Do(context.Background(), sel, func(o *attacher.Owner) error {
		var errs []error
		for _, tid := range h.st.ward(o.ID()).heldBy(h, nil) {
			if err := f(Thread{o, tid}); err != nil && !gone(err) {
				errs = append(errs, err)
			}
		}
		return errors.Join(errs...)
	})
}

// one calls f for one thread.
func (h *Held) one(tid int, f func(Thread) error) error {
	if h.releasing.Load() {
		return fmt.Errorf("thread %d: %w", tid, ErrReleased)
	}
	var found, asleep atomic.Bool
	err := h.st.session.Do(context.Background(), procfs.Selection{TIDs: []int{tid}}, func(o *attacher.Owner) error {
		switch w := h.st.ward(o.ID()); {
		case w.holds(h, tid):
			found.Store(true)
			return f(Thread{o, tid})
		case w.sleeps(h, tid):
			asleep.Store(true)
		}
		return nil
	})
	switch {
	case err != nil || found.Load():
	case asleep.Load():
		err = fmt.Errorf("thread %d: %w", tid, ErrInKernel)
	default:
		err = fmt.Errorf("thread %d: %w", tid, ErrNotHeld)
	}
	return err
}

// oneOrExam calls f for one thread, or, as long as that is in the kernel, look for
// an exam of it.
func (h *Held) oneOrExam(tid int, f func(Thread) error, look func(*Exam) error) error {
	for range tries {
		err := h.one(tid, f)
		if !errors.Is(err, ErrInKernel) {
			return err
		}
		// It may come out of the kernel meanwhile, and then stops.
		err = h.st.Examine(context.Background(), tid, look)
		if !errors.Is(err, ErrRan) && !errors.Is(err, ErrOnCPU) {
			return err
		}
	}
	return fmt.Errorf("thread %d: %w", tid, ErrRan)
}

// Regs reads the registers of a held thread. For those of many see [Held.Each].
//
// Of one that is held in notify style and has not stopped those are read that the
// kernel shows of its system call: number, arguments, program counter and stack
// pointer; the others are 0.
//
// An error is [ErrNotHeld], [ErrReleased], or ESRCH of a thread that has been
// killed.
func (h *Held) Regs(tid int, r *attacher.Regs) error {
	return h.oneOrExam(tid, func(t Thread) error { return t.Regs(r) }, func(e *Exam) error {
		*r = sys.CallRegs(e.Call.Nr, e.Call.Args, e.Call.PC, e.Call.SP)
		return nil
	})
}

// SetRegs writes the registers of a held thread; see [Thread.SetRegs]. Those of one
// that is in the kernel can't be: [ErrInKernel].
func (h *Held) SetRegs(tid int, r *attacher.Regs) error {
	return h.one(tid, func(t Thread) error { return t.SetRegs(r) })
}

// ReadAt reads len(buf) bytes of the memory of a held thread at addr, or none.
func (h *Held) ReadAt(tid int, buf []byte, addr uint64) error {
	return h.oneOrExam(tid, func(t Thread) error { return t.ReadAt(buf, addr) },
		func(e *Exam) error { return e.ReadAt(buf, addr) })
}

// WriteAt writes buf to the memory of a held thread at addr, also where the thread
// may only read itself. Of one that is in the kernel it is [ErrInKernel]: what it
// does there may go by that memory.
func (h *Held) WriteAt(tid int, buf []byte, addr uint64) error {
	return h.one(tid, func(t Thread) error { return t.WriteAt(buf, addr) })
}
