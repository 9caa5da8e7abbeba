package stopper

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"massattach/attacher"
	"massattach/procfs"
	"massattach/threadset"
)

// Missing is a thread that has not stopped in time, as it was then.
type Missing struct {
	TID    int
	State  byte // one of procfs.States, 0 when it could not be read
	Wchan  string
	Reason Reason
}

// Reason is why a thread has not stopped: one word.
type Reason string

const (
	// Uninterruptible: it sleeps in the kernel and no signal wakes it.
	Uninterruptible Reason = "uninterruptible"
	// Vfork: it waits until its vfork child execs or ends.
	Vfork Reason = "vfork"
	// Frozen: the freezer of its cgroup has it.
	Frozen Reason = "frozen"
	// NotScheduled: it has got no CPU since.
	NotScheduled Reason = "not-scheduled"
	// Unknown: it looks as if it could.
	Unknown Reason = "unknown"
)

// Words is the reason in words.
func (r Reason) Words() string {
	switch r {
	case Uninterruptible:
		return "in an uninterruptible sleep"
	case Vfork:
		return "waits for its vfork child"
	case Frozen:
		return "frozen by its cgroup"
	case NotScheduled:
		return "waits for a CPU"
	}
	return "did not stop"
}

func (m Missing) String() string {
	s := fmt.Sprintf("thread %d %s", m.TID, m.Reason.Words())
	switch {
	case m.State == 0:
		return s
	case m.Wchan == "":
		return fmt.Sprintf("%s (%c)", s, m.State)
	}
	return fmt.Sprintf("%s (%c, %s)", s, m.State, m.Wchan)
}

// reasonOf judges what /proc says of a thread that has not stopped.
func reasonOf(t procfs.Thread) Reason {
	switch {
	case strings.Contains(t.Wchan, "refrigerator"), strings.Contains(t.Wchan, "freeze"):
		return Frozen
	case t.State == 'D' && (t.Syscall == "vfork" || t.Syscall == "clone" || t.Syscall == "clone3" || strings.Contains(t.Wchan, "vfork")):
		return Vfork
	case t.State == 'D':
		return Uninterruptible
	case t.State == 'R':
		return NotScheduled
	}
	return Unknown
}

// PartialError says that some threads have not stopped in time. All run on.
type PartialError struct {
	PID                int
	Requested, Stopped int
	Missing            []Missing // the others
	Err                error     // context.Canceled or context.DeadlineExceeded
}

func (e *PartialError) Error() string {
	s := fmt.Sprintf("stop %d: %d of %d threads stopped", e.PID, e.Stopped, e.Requested)
	switch n := len(e.Missing); {
	case n == 0:
		s += ", and perhaps not all are known"
	case n == 1:
		s += ": " + e.Missing[0].String()
	default:
		s += fmt.Sprintf(": %v, and %d more", e.Missing[0], n-1)
	}
	return s + "; all run on: " + e.Err.Error()
}

func (e *PartialError) Unwrap() error { return e.Err }

// late finds out who has not stopped, which nobody waits for any longer.
func (h *Held) late(ctx context.Context) *PartialError {
	// Who has stopped and only waits for its tracer to get a CPU is not missing.
	_ = h.st.session.Do(context.Background(), procfs.Selection{}, func(o *attacher.Owner) error {
		o.Collect()
		return nil
	})
	var missing []Missing
	for _, tid := range h.running() {
		missing = append(missing, Missing{TID: tid, Reason: Unknown})
	}
	h.st.describe(missing)
	missing = slices.DeleteFunc(missing, func(m Missing) bool { return m.State == 'Z' || m.State == 'X' })
	// It resumes nobody, and so nothing can go wrong.
	_, _ = h.st.release(func(o *Held) bool { return o == h }, true)
	held := h.settledTIDs() // some have come to their stop since
	missing = slices.DeleteFunc(missing, func(m Missing) bool {
		_, ok := slices.BinarySearch(held, m.TID)
		return ok
	})
	h.mu.Lock()
	defer h.mu.Unlock()
	h.missing = missing
	return &PartialError{
		PID: h.st.session.PID(), Requested: h.stopped + h.inKernel + len(missing), Stopped: h.stopped + h.inKernel,
		Missing: slices.Clone(missing), Err: ctx.Err(),
	}
}

// running are the threads that were asked for and are not held.
func (h *Held) running() (tids []int) {
	held := make(map[int]bool)
	for _, tid := range h.settledTIDs() {
		held[tid] = true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for th := range h.st.session.Threads() {
		if th.Phase.Seized() && !held[th.TID] && (h.wanted == nil || h.wanted[th.TID]) {
			tids = append(tids, th.TID)
		}
	}
	slices.Sort(tids)
	return tids
}

// described is of how many missing threads the details are read, at some 20 µs
// each.
const described = 1000

// describe reads why threads have not stopped.
func (st *Stopper) describe(missing []Missing) {
	index := make(map[int]*Missing)
	var tids []int
	for i := range missing[:min(len(missing), described)] {
		index[missing[i].TID] = &missing[i]
		tids = append(tids, missing[i].TID)
	}
	if tids == nil {
		return
	}
	_, _ = st.session.Select(procfs.Selection{
		TIDs:  tids,
		Reads: procfs.DetailState | procfs.DetailSyscall | procfs.DetailWchan,
		Func: func(t procfs.Thread) bool {
			if m := index[t.TID]; m != nil {
				m.State, m.Wchan, m.Reason = t.State, t.Wchan, reasonOf(t)
			}
			return false
		},
	})
}

// Missing names the threads that have not stopped in time, with what they were
// doing then; those that have ended since are left out. Of more than 1,000 the
// others have no more than a number.
func (h *Held) Missing() []Missing {
	h.mu.Lock()
	missing := slices.Clone(h.missing)
	h.mu.Unlock()
	if len(missing) == 0 {
		return nil
	}
	alive := make(map[int]threadset.Phase)
	for th := range h.st.session.Threads() {
		alive[th.TID] = th.Phase
	}
	return slices.DeleteFunc(missing, func(m Missing) bool {
		p, ok := alive[m.TID]
		return !ok || !p.Seized()
	})
}

// gone says whether an error is that of a thread that has ended.
func gone(err error) bool { return errors.Is(err, syscall.ESRCH) }
