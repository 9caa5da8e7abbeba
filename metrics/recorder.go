package metrics

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"massattach/attacher"
	"massattach/stopper"
)

// Recorder collects the metrics of the sessions and stoppers that have its hooks.
// The zero Recorder is ready to use; it must not be copied after that. All methods
// may be called at any time, by anybody.
type Recorder struct {
	once    sync.Once
	timings *timings

	mu     sync.Mutex
	open   map[*attacher.Session]struct{} // not detached yet
	ended  []state                        // of those that were open together with these, or last
	past   counts                         // of all sessions that have ended
	missed map[stopper.Reason]int
	last   time.Time // end of a session, of a hold, or of a look at a session
}

func (r *Recorder) times() *timings {
	r.once.Do(func() {
		r.timings = newTimings()
		r.open = make(map[*attacher.Session]struct{})
		r.missed = make(map[stopper.Reason]int)
	})
	return r.timings
}

// Session answers hooks for [attacher.Options]. One who has hooks of his own calls
// these from them.
func (r *Recorder) Session() *attacher.Trace {
	t := r.times()
	return &attacher.Trace{
		Scanned:   func(_ int, took time.Duration) { t.scan.Observe(took.Seconds()) },
		Seized:    t.seize.add,
		Forwarded: t.forward.add,
		Attached: func(s *attacher.Session, took time.Duration) {
			t.attach.Observe(took.Seconds())
			r.opened(s)
		},
		Broken: r.broke,
		Detached: func(s *attacher.Session, took time.Duration) {
			t.detach.Observe(took.Seconds())
			r.closed(s)
		},
	}
}

// Stopper answers hooks for [stopper.Options].
func (r *Recorder) Stopper() *stopper.Trace {
	t := r.times()
	return &stopper.Trace{Resumed: func(rep stopper.Report, took []time.Duration) {
		if rep.Requested == 0 {
			return
		}
		style := rep.Style.String()
		t.latency.of(style, rep.Mechanism).add(took)
		t.stop.WithLabelValues(style, rep.Mechanism).Observe(rep.Elapsed.Seconds())
		t.hold.WithLabelValues(style).Observe(rep.Held.Seconds())
		r.resumed(rep)
	}}
}

// Refuse counts an attach that was not even tried.
func (r *Recorder) Refuse(cause attacher.Cause) {
	r.times()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed(cause, 1)
}

// Look notes that a session which stays open, and in which nobody was arrested, was
// looked at: the last probe was now.
func (r *Recorder) Look() {
	r.times()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = time.Now()
}

func (r *Recorder) opened(s *attacher.Session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.regroup()
	r.open[s] = struct{}{}
}

func (r *Recorder) closed(s *attacher.Session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, s)
	rep := s.Report()
	r.ended = append(r.ended, stateOf(rep))
	r.past.add(rep)
	r.last = time.Now()
}

// broke counts an attach that failed.
func (r *Recorder) broke(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed(causeOf(err))
}

// failed counts n threads, or an attach, that failed. r.mu is held.
func (r *Recorder) failed(cause attacher.Cause, n int) {
	r.regroup()
	r.ended = append(r.ended, state{})
	if n > 0 {
		r.past.errors(cause, n)
	}
}

// regroup forgets those who have ended, if nobody is left who was open with them.
func (r *Recorder) regroup() {
	if len(r.open) == 0 {
		r.ended = nil
	}
}

func (r *Recorder) resumed(rep stopper.Report) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range rep.Missing {
		r.missed[m.Reason]++
	}
	r.last = time.Now()
}

// Describe implements [prometheus.Collector].
func (r *Recorder) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range described {
		ch <- d
	}
	for _, c := range r.times().all() {
		c.Describe(ch)
	}
}

// Collect implements [prometheus.Collector].
func (r *Recorder) Collect(ch chan<- prometheus.Metric) {
	t := r.times()
	t.settle()
	for _, c := range t.all() {
		c.Collect(ch)
	}
	r.collect(ch)
}
