package stopper

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"massattach/attacher"
	"massattach/procfs"
)

// Held is threads that one holder holds. Its methods may be called from any
// goroutine, but not from a function that runs on a tracer's thread.
type Held struct {
	st      *Stopper
	style   Style
	hunt    *hunt          // that has caught it, nil for an arrest
	parked  []int          // threads that were left alone
	event   attacher.Event // by which
	changed chan struct{}  // has room for one: all that are wanted may have stopped

	belated   atomic.Int32 // threads that were born while all were held in notify style
	watching  sync.WaitGroup
	unwatch   context.CancelFunc // nil: nobody watches
	releasing atomic.Bool
	released  chan struct{} // closed when it has let go
	err       error         // of that

	mu       sync.Mutex
	wanted   map[int]bool // nil: all
	missing  []Missing
	complete bool
	members  int // threads that it holds, or is about to
	stopped  int // of these: that have stopped
	inKernel int // of these: that are in the kernel, in notify style
	silenced int // that were interrupted, because they could not be sent a signal
	final    *Report
	forget   func() bool // the context that ends the hold
	begin    time.Time
	last     time.Time // that a thread has stopped
	ended    time.Time // the arrest
	took     []time.Duration
	picking  time.Duration
	born     int
}

func newHeld(st *Stopper) *Held {
	return &Held{st: st, changed: make(chan struct{}, 1), released: make(chan struct{})}
}

// ErrReleased says that the holder has let go.
var ErrReleased = errors.New("the threads are held no longer")

// ErrNotHeld says that this holder does not hold the thread: it isn't among
// those that were asked for, it could not be stopped, or it has ended.
var ErrNotHeld = errors.New("the thread is not held")

// ErrInKernel says that the thread is held in notify style and has not stopped: it is
// in the kernel.
var ErrInKernel = errors.New("the thread is in the kernel")

// picked notes which threads were picked, and how long that took.
func (h *Held) picked(tids []int, took time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.picking = took
	h.wanted = make(map[int]bool, len(tids))
	for _, tid := range tids {
		h.wanted[tid] = true
	}
}

// starts notes when the first thread is asked.
func (h *Held) starts() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.begin.IsZero() {
		h.begin = time.Now()
	}
}

// done ends the arrest.
func (h *Held) done(complete bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.complete = complete
	h.ended = time.Now()
}

// isOver says whether the arrest has ended.
func (h *Held) isOver() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.ended.IsZero()
}

// joined notes a thread that is wanted, and may be settled for somebody else.
func (h *Held) joined(t *thread) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.members++
	h.count(t, 1)
	if t.settled(h) {
		h.note(0)
	}
}

// note keeps how long a thread took, until the holder lets go.
func (h *Held) note(took time.Duration) {
	if h.final == nil {
		h.took = append(h.took, took)
	}
}

// count adds n for a thread to what it is.
func (h *Held) count(t *thread, n int) {
	switch {
	case t.stopped:
		h.stopped += n
	case t.settled(h):
		h.inKernel += n
	}
}

// stoppedOne notes that one stops now.
func (h *Held) stoppedOne(t *thread, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t.settled(h) {
		h.inKernel--
	} else {
		h.note(now.Sub(h.asked(t)))
		h.last = now
	}
	h.stopped++
	h.tell()
	if h.hunt != nil {
		h.hunt.caught(h)
	}
}

// asked is when a thread was asked for h. The thread was entered before that began.
func (h *Held) asked(t *thread) time.Time {
	if h.begin.After(t.asked) {
		return h.begin
	}
	return t.asked
}

// sleeps notes that one is in the kernel.
func (h *Held) sleeps(t *thread, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.style != Notify {
		return
	}
	h.inKernel++
	h.note(now.Sub(h.asked(t)))
	h.last = now
	h.tell()
}

// silent notes that one could not be sent a signal, and is to be interrupted.
func (h *Held) silent(t *thread) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.style == Notify {
		h.silenced++
	}
	if t.settled(h) {
		h.inKernel--
	}
}

// lost notes that one has ended, or was let go.
func (h *Held) lost(t *thread) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.members--
	h.count(t, -1)
	h.tell()
}

// renamed notes that an exec has given a thread another number.
func (h *Held) renamed(old, tid int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.wanted != nil {
		delete(h.wanted, old)
		h.wanted[tid] = true
	}
}

// bornMeanwhile notes threads that were seized since the arrest began.
func (h *Held) bornMeanwhile(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.born += n
}

func (h *Held) tell() {
	if h.members != h.stopped+h.inKernel {
		return
	}
	select {
	case h.changed <- struct{}{}:
	default:
	}
}

// settled says whether all that are wanted have stopped, or are in the kernel in
// notify style.
func (h *Held) settled() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.members == h.stopped+h.inKernel
}

// still is how many have.
func (h *Held) still() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.stopped + h.inKernel
}

// until has the hold end with ctx.
func (h *Held) until(ctx context.Context) {
	forget := context.AfterFunc(ctx, func() { _ = h.Resume() })
	h.mu.Lock()
	defer h.mu.Unlock()
	h.forget = forget
}

// Resume lets go: each thread that nobody else holds runs on, or stays stopped if
// that is job control's wish. It returns when that is done, and may be called
// more than once. Threads that have been killed are no error, nor is the end of the
// session, which lets all of them run.
func (h *Held) Resume() error {
	if h.releasing.Swap(true) {
		<-h.released
		return h.err
	}
	defer close(h.released)
	if h.unwatch != nil {
		h.unwatch()
		h.watching.Wait()
	}
	missing := h.Missing()
	h.mu.Lock()
	if h.forget != nil {
		h.forget()
	}
	r := h.account(missing)
	final := r
	h.final = &final
	h.mu.Unlock()
	if h.hunt == nil {
		h.st.shut(h)
	}
	var held tally
	if held, h.err = h.st.release(func(o *Held) bool { return o == h }, false); !h.st.session.IsClosed() {
		// Some may have ended, and nobody had heard of it.
		r.Stopped, r.InKernel, r.Requested = held.stopped, held.inKernel, held.stopped+held.inKernel+r.Missed
	}
	h.mu.Lock()
	h.final = &r
	h.mu.Unlock()
	if f := h.st.trace.Resumed; f != nil && h.hunt == nil {
		took := slices.Clone(h.took) // nothing is added to it any more
		r.Latency = attacher.QuantilesOf(slices.Clone(took))
		f(r, took)
	}
	return h.err
}

// release has the owners let go for those who are to go; see [ward.release]. It
// answers how many threads they have held to the end.
func (st *Stopper) release(goes func(*Held) bool, unsettled bool) (held tally, err error) {
	var (
		reported map[int]bool
		failed   error
		mu       sync.Mutex
	)
	if st.view.Load().mechanism != nil {
		defer st.arms.lock()()
		reported, failed = st.disarm(goes, unsettled)
	}
	err = st.session.Do(context.Background(), procfs.Selection{}, func(o *attacher.Owner) error {
		resume, unexpect, n := st.ward(o.ID()).release(goes, unsettled, reported)
		o.Unexpect(unexpect)
		o.Disarmed(unexpect)
		var errs []error
		for _, tid := range resume {
			switch err := o.Resume(tid); {
			case err == nil:
				n.stopped++
			case !gone(err):
				errs = append(errs, err)
			}
		}
		mu.Lock()
		defer mu.Unlock()
		held.stopped += n.stopped
		held.inKernel += n.inKernel
		return errors.Join(errs...)
	})
	if errors.Is(err, attacher.ErrClosed) {
		err = nil // they have been let go
	}
	return held, errors.Join(failed, err)
}

// TIDs are the threads that are stopped now, in ascending order.
func (h *Held) TIDs() []int {
	var tids []int
	for _, w := range h.st.view.Load().wards {
		tids = w.heldBy(h, tids)
	}
	slices.Sort(tids)
	return tids
}

// InKernel are the threads that are held in notify style and have not stopped, in
// ascending order: they are in the kernel, and stop when they would leave it.
func (h *Held) InKernel() []int {
	stopped := h.TIDs()
	return slices.DeleteFunc(h.settledTIDs(), func(tid int) bool {
		_, ok := slices.BinarySearch(stopped, tid)
		return ok
	})
}

// settledTIDs are both, in ascending order.
func (h *Held) settledTIDs() []int {
	var tids []int
	for _, w := range h.st.view.Load().wards {
		tids = w.settledFor(h, tids)
	}
	slices.Sort(tids)
	return tids
}

// Parked are the threads that [Request.Park] has left in their calls.
func (h *Held) Parked() []int { return slices.Clone(h.parked) }

// Event is what the thread was held for, if [Stopper.At] has.
func (h *Held) Event() attacher.Event { return h.event }
