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
	hunt    *hunt          // that has caught it, nil for an arrest
	parked  []int          // threads that were left alone
	event   attacher.Event // by which
	changed chan struct{}  // has room for one: all that are wanted may have stopped

	releasing atomic.Bool
	released  chan struct{} // closed when it has let go
	err       error         // of that

	mu       sync.Mutex
	wanted   map[int]bool // nil: all
	missing  []Missing
	complete bool
	members  int // threads that it holds, or is about to
	stopped  int // of these: that it holds
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
	return &Held{st: st, changed: make(chan struct{}, 1), released: make(chan struct{}), begin: time.Now()}
}

// ErrReleased says that the holder has let go.
var ErrReleased = errors.New("the threads are held no longer")

// ErrNotHeld says that this holder does not hold the thread: it isn't among
// those that were asked for, it could not be stopped, or it has ended.
var ErrNotHeld = errors.New("the thread is not held")

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

func (h *Held) start() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.begin = time.Now()
}

// done ends the arrest.
func (h *Held) done(complete bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.complete = complete
	h.ended = time.Now()
}

// joined notes a thread that is wanted, and may have stopped for somebody else.
func (h *Held) joined(stopped bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.members++
	if stopped {
		h.stopped++
		h.took = append(h.took, 0)
	}
}

// stoppedOne notes that one has stopped.
func (h *Held) stoppedOne(now time.Time, took time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopped++
	h.took = append(h.took, took)
	h.last = now
	h.tell()
	if h.hunt != nil {
		h.hunt.caught(h)
	}
}

// lost notes that one has ended, or was let go.
func (h *Held) lost(stopped bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.members--
	if stopped {
		h.stopped--
	}
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

func (h *Held) bornMeanwhile(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.born += n
}

func (h *Held) tell() {
	if h.members != h.stopped {
		return
	}
	select {
	case h.changed <- struct{}{}:
	default:
	}
}

// settled says whether all that are wanted have stopped.
func (h *Held) settled() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.members == h.stopped
}

// still is how many have stopped.
func (h *Held) still() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.stopped
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
	r := h.Report()
	h.mu.Lock()
	if h.forget != nil {
		h.forget()
	}
	h.final = &r
	h.mu.Unlock()
	if h.hunt == nil {
		h.st.shut(h)
	}
	h.err = h.st.release(func(o *Held) bool { return o == h }, false)
	if f := h.st.trace.Resumed; f != nil && h.hunt == nil {
		f(r)
	}
	return h.err
}

// release has the owners let go for those who are to go; see [ward.release].
func (st *Stopper) release(goes func(*Held) bool, running bool) error {
	err := st.session.Do(context.Background(), procfs.Selection{}, func(o *attacher.Owner) error {
		resume, unexpect := st.ward(o.ID()).release(goes, running)
		o.Unexpect(unexpect)
		var errs []error
		for _, tid := range resume {
			if err := o.Resume(tid); err != nil && !gone(err) {
				errs = append(errs, err)
			}
		}
		return errors.Join(errs...)
	})
	if errors.Is(err, attacher.ErrClosed) {
		return nil // they have been let go
	}
	return err
}

// TIDs are the threads that are held now, in ascending order.
func (h *Held) TIDs() []int {
	var tids []int
	for _, w := range h.st.view.Load().wards {
		tids = w.heldBy(h, tids)
	}
	slices.Sort(tids)
	return tids
}

// Parked are the threads that [Request.Park] has left in their calls.
func (h *Held) Parked() []int { return slices.Clone(h.parked) }

// Event is what the thread was held for, if [Stopper.At] has.
func (h *Held) Event() attacher.Event { return h.event }
