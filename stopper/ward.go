package stopper

import (
	"slices"
	"sync"
	"time"

	"massattach/attacher"
)

// ward is what the tracees of one tracer are wanted for. Only that tracer's
// thread enters and releases; others look, and an exec takes the leader out.
type ward struct {
	mu      sync.Mutex
	threads map[int]*thread // those that somebody wants
	due     map[int]bool    // that were sent a signal, and are let go when they stop for it
}

func newWard() *ward { return &ward{threads: make(map[int]*thread), due: make(map[int]bool)} }

// thread is a tracee that somebody holds, or is about to.
type thread struct {
	holders     []*Held
	stopped     bool
	interrupted bool      // its stop is sure to come, unless it can't
	asked       time.Time // when it was to stop, or to be armed

	// In notify style.
	armed    int  // by which arming, 0 for none
	inKernel bool // confirmed to be in the kernel, and not stopped
	mute     bool // it can't be sent a signal, and is interrupted
}

// settled says whether h has what it wants of the thread.
func (t *thread) settled(h *Held) bool { return t.stopped || t.inKernel && h.style == Notify }

// remove takes a holder away. Not in place: a list may be shared.
func (t *thread) remove(h *Held) {
	t.holders = slices.DeleteFunc(slices.Clone(t.holders), func(o *Held) bool { return o == h })
}

// enter has h want a thread, by the arming that is given in notify style. It says
// whether that one is still to be interrupted, or armed.
func (w *ward) enter(tid int, h *Held, now time.Time, arming int) (ask bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.threads[tid]
	if t == nil {
		t = &thread{asked: now}
		w.threads[tid] = t
	}
	if !slices.Contains(t.holders, h) {
		t.holders = append(t.holders, h)
		h.joined(t)
	}
	switch {
	case t.stopped:
	case arming == 0:
		ask = !t.interrupted
		t.interrupted = true
	case t.armed == 0:
		t.armed = arming
		ask = true
	}
	return ask
}

// wanted says whether anybody wants tid, and whether it is to stop at once, wherever
// it is.
func (w *ward) wanted(tid int) (wanted, at bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.threads[tid]
	if t == nil {
		return false, false
	}
	return true, slices.ContainsFunc(t.holders, func(h *Held) bool { return h.style == Interrupt })
}

// paid notes that tid has stopped for its signal.
func (w *ward) paid(tid int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.due, tid)
}

// owes says whether somebody is still to stop for his signal.
func (w *ward) owes() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.due) > 0
}

// awaits says whether somebody waits for tid to stop.
func (w *ward) awaits(tid int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.threads[tid]
	return t != nil && !t.stopped
}

// arrest has an owner's tracees stop for h, and answers how many had to be asked.
func (w *ward) arrest(o *attacher.Owner, tids []int, h *Held) int {
	expect := make([]int, 0, len(tids))
	now := time.Now()
	for i, tid := range tids {
		if i%32 == 31 {
			now = time.Now()
		}
		if !w.enter(tid, h, now, 0) {
			continue
		}
		// Who can't be asked has ended, or is about to report an exec, by which it
		// has another number: either is heard of.
		_ = o.Interrupt(tid)
		expect = append(expect, tid)
	}
	o.Expect(expect)
	return len(expect)
}

// stop notes that a thread has stopped, and tells who wants it.
func (w *ward) stop(tid int, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.threads[tid]
	if t == nil || t.stopped {
		return
	}
	for _, h := range t.holders {
		h.stoppedOne(t, now)
	}
	t.stopped, t.inKernel, t.interrupted = true, false, false
}

// lose takes a thread out that is no tracee any more.
func (w *ward) lose(tid int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.remove(tid)
	if t == nil {
		return
	}
	for _, h := range t.holders {
		h.lost(t)
	}
}

// take is lose, but for telling the holders.
func (w *ward) take(tid int) *thread {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.remove(tid)
}

func (w *ward) remove(tid int) *thread {
	t := w.threads[tid]
	delete(w.due, tid)
	delete(w.threads, tid)
	return t
}

// rename gives the thread old the number tid, which nobody has any more.
func (w *ward) rename(old, tid int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.threads[old]
	if t == nil {
		return
	}
	delete(w.threads, old)
	w.threads[tid] = t
	for _, h := range t.holders {
		h.renamed(old, tid)
	}
}

// release takes away those who are to go: of all their threads, or only of those
// that are not settled. Whom nobody wants any more is to be resumed, or is not
// waited for any more; left are those that go on standing still for others, and
// those that were in the kernel.
func (w *ward) release(goes func(*Held) bool, unsettled bool, reported map[int]bool) (resume, unexpect []int, left tally) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for tid, t := range w.threads {
		went := false
		for _, h := range t.holders {
			if goes(h) && !(unsettled && t.settled(h)) {
				t.remove(h)
				h.lost(t)
				went = true
				if !t.stopped && t.settled(h) {
					left.inKernel++
				}
			}
		}
		if t.armed == 0 {
			t.inKernel = false // it may leave the kernel from now on, unseen
		}
		if len(t.holders) > 0 {
			if went && t.stopped {
				left.stopped++
			}
			continue
		}
		delete(w.threads, tid)
		switch {
		case t.stopped:
			resume = append(resume, tid)
		case reported[tid]:
			w.due[tid] = true
			fallthrough
		default:
			unexpect = append(unexpect, tid)
		}
	}
	// In an order that repeats.
	slices.Sort(resume)
	slices.Sort(unexpect)
	return resume, unexpect, left
}

// tally is a number of threads that have stopped, and one of those in the kernel.
type tally struct{ stopped, inKernel int }

// settledFor appends the threads to dst of which h has what it wants.
func (w *ward) settledFor(h *Held, dst []int) []int {
	w.mu.Lock()
	defer w.mu.Unlock()
	for tid, t := range w.threads {
		if t.settled(h) && slices.Contains(t.holders, h) {
			dst = append(dst, tid)
		}
	}
	return dst
}

// heldBy appends the threads that h holds to dst.
func (w *ward) heldBy(h *Held, dst []int) []int {
	w.mu.Lock()
	defer w.mu.Unlock()
	from := len(dst)
	for tid, t := range w.threads {
		if t.stopped && slices.Contains(t.holders, h) {
			dst = append(dst, tid)
		}
	}
	slices.Sort(dst[from:])
	return dst
}

// sleeps says whether h holds tid, and it is in the kernel.
func (w *ward) sleeps(h *Held, tid int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.threads[tid]
	return t != nil && !t.stopped && t.settled(h) && slices.Contains(t.holders, h)
}

// holds says whether h holds tid.
func (w *ward) holds(h *Held, tid int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.threads[tid]
	return t != nil && t.stopped && slices.Contains(t.holders, h)
}
