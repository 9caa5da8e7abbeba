package stopper

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"massattach/attacher"
	"massattach/stopper/notify"
)

// Stopper arrests threads of one session. Its methods may be called from any
// goroutine, but not from a function that runs on a tracer's thread.
type Stopper struct {
	session *attacher.Session
	trace   *Trace
	view    atomic.Pointer[view] // read at each stop
	mu      sync.Mutex           // for who makes a new view, or the examiner
	exam    *Examiner            // nil until somebody examines

	mechanism  string
	openNotify func(int, string) (notify.Mechanism, error)
	arms       arms
}

// view is what there is beside the threads. It is never written to: who changes
// something makes another.
type view struct {
	wards map[int]*ward // by the tracer's id
	open  []*Held       // holds of all threads that are in force
	hunts []*hunt       // who waits for events

	mechanism notify.Mechanism // of notify style, nil: nobody has asked for it
}

// Options of [New]; nil is the zero value, and that the default.
type Options struct {
	// Trace observes the stopper.
	Trace *Trace
	// Mechanism is the name of that of notify style; "" is the best that works here.
	Mechanism string
	// OpenNotify opens it for a process. Tests give a fake.
	OpenNotify func(pid int, mechanism string) (notify.Mechanism, error)
}

// Trace is a set of functions that observe a stopper. Each may be nil. They are
// called from any goroutine, and must not block.
type Trace struct {
	// Resumed is called when a holder has let go, also after an arrest that
	// failed. took is for how long after it was asked each thread had stopped, or
	// was confirmed, in no order; it is the callee's.
	Resumed func(r Report, took []time.Duration)
}

// New makes a stopper for a session, which can have one. It becomes the session's
// arbiter, and ends with it.
func New(s *attacher.Session, o *Options) (*Stopper, error) {
	if o == nil {
		o = new(Options)
	}
	st := &Stopper{session: s, trace: o.Trace, mechanism: o.Mechanism, openNotify: o.OpenNotify}
	if st.trace == nil {
		st.trace = new(Trace)
	}
	if st.openNotify == nil {
		st.openNotify = notify.Open
	}
	st.arms.token = make(chan struct{}, 1)
	st.arms.token <- struct{}{}
	st.view.Store(&view{wards: make(map[int]*ward)})
	if err := s.SetArbiter((*arbiter)(st)); err != nil {
		return nil, err
	}
	return st, nil
}

// change makes a new view.
func (st *Stopper) change(f func(*view)) {
	st.mu.Lock()
	defer st.mu.Unlock()
	v := *st.view.Load()
	f(&v)
	st.view.Store(&v)
}

// ward is that of the tracer whose id is given.
func (st *Stopper) ward(owner int) *ward {
	if w := st.view.Load().wards[owner]; w != nil {
		return w
	}
	st.change(func(v *view) {
		if v.wards[owner] == nil {
			v.wards = maps.Clone(v.wards)
			v.wards[owner] = newWard()
		}
	})
	return st.view.Load().wards[owner]
}

// open makes h a hold of all threads, that are and that will be.
func (st *Stopper) open(h *Held) {
	st.change(func(v *view) { v.open = append(slices.Clone(v.open), h) })
}

// shut ends that.
func (st *Stopper) shut(h *Held) {
	st.change(func(v *view) {
		v.open = slices.DeleteFunc(slices.Clone(v.open), func(o *Held) bool { return o == h })
	})
}
