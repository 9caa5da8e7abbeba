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
}

// thread is a tracee that somebody holds, or is about to.
type thread struct {
	holders []*Held
	stopped bool
	asked   time.Time // when it was to stop
}

// remove takes a holder away. Not in place: a list may be shared.
func (t *thread) remove(h *Held) {
	t.holders = slices.DeleteFunc(slices.Clone(t.holders), func(o *Held) bool { return o == h })
}

// enter has h want a thread. It says whether that one is still to be asked to
// stop.
func (w *ward) enter(tid int, h *Held, now time.Time) (ask bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.threads[tid]
	if t == nil {
		t = &thread{asked: now}
		w.threads[tid] = t
		ask = true
	}
	if !slices.Contains(t.holders, h) {
		t.holders = append(t.holders, h)
		h.joined(t.stopped)
	}
	return ask
}

// wanted says whether anybody wants tid.
func (w *ward) wanted(tid int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.threads[tid] != nil
}

// awaits says whether somebody waits for tid to stop.
func (w *ward) awaits(tid int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.threads[tid]
	return t != nil && !t.stopped
}

// arrest has an owner's tracees stop for h.
func (w *ward) arrest(o *attacher.Owner, tids []int, h *Held) {
	expect := make([]int, 0, len(tids))
	now := time.Now()
	for i, tid := range tids {
		if i%32 == 31 {
			now = time.Now()
		}
		if !w.enter(tid, h, now) {
			continue
		}
		// Who can't be asked has ended, or is about to report an exec, by which it
		// has another number: either is heard of.
		_ = o.Interrupt(tid)
		expect = append(expect, tid)
	}
	o.Expect(expect)
}

// stop notes that a thread has stopped, and tells who wants it.
func (w *ward) stop(tid int, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.threads[tid]
	if t == nil || t.stopped {
		return
	}
	t.stopped = true
	for _, h := range t.holders {
		h.stoppedOne(now, now.Sub(t.asked))
	}
}

// lose takes a thread out that is no tracee any more.
func (w *ward) lose(tid int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drop(tid)
}

func (w *ward) drop(tid int) {
	t := w.threads[tid]
	if t == nil {
		return
	}
	delete(w.threads, tid)
	for _, h := range t.holders {
		h.lost(t.stopped)
	}
}

// rename gives the thread old the number tid, which was that of another.
func (w *ward) rename(old, tid int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drop(tid)
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
// that have not stopped. Whom nobody wants any more is to be resumed, or is not
// waited for any more.
func (w *ward) release(goes func(*Held) bool, running bool) (resume, unexpect []int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for tid, t := range w.threads {
		if running && t.stopped {
			continue
		}
		for _, h := range t.holders {
			if goes(h) {
				t.remove(h)
				h.lost(t.stopped)
			}
		}
		if len(t.holders) > 0 {
			continue
		}
		delete(w.threads, tid)
		if t.stopped {
			resume = append(resume, tid)
		} else {
			unexpect = append(unexpect, tid)
		}
	}
	// In an order that repeats.
	slices.Sort(resume)
	slices.Sort(unexpect)
	return resume, unexpect
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

// holds says whether h holds tid.
func (w *ward) holds(h *Held, tid int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.threads[tid]
	return t != nil && t.stopped && slices.Contains(t.holders, h)
}
