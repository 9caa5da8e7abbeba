package serve

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"massattach/internal/report"
	"massattach/metrics"
)

// findEvery is how often a missing process is looked for.
const findEvery = time.Second

// watcher is the life of one target. Its goroutine does all that is done to the
// process.
type watcher struct {
	daemon *Daemon
	target Target
	gauges *gauges

	cancel context.CancelFunc
	over   chan struct{} // closed when its goroutine has ended, and everybody was let go

	attachment *attachment // nil: nobody is attached to; its goroutine's

	mu     sync.Mutex
	status Status
	looked bool
	last   any    // the last report: a Report or a *report.Failed; nil: none yet
	said   string // the last that was said of a probe
}

// gauges are what a target is measured by. They outlive a change of the target, so
// that its counters go on.
type gauges struct {
	recorder metrics.Recorder
	census   *metrics.Census
	registry prometheus.Registerer
	pid      atomic.Int64 // of its process, 0: it is missing
}

// newGauges registers the metrics of a target.
func newGauges(name string, on prometheus.Registerer) (*gauges, error) {
	g := &gauges{registry: prometheus.WrapRegistererWith(prometheus.Labels{"target": name}, on)}
	g.census = metrics.NewCensus(func() []int {
		if pid := int(g.pid.Load()); pid != 0 {
			return []int{pid}
		}
		return nil
	})
	for _, c := range []prometheus.Collector{&g.recorder, g.census} {
		if err := g.registry.Register(c); err != nil {
			g.unregister()
			return nil, err
		}
	}
	return g, nil
}

func (g *gauges) unregister() {
	g.registry.Unregister(&g.recorder)
	g.registry.Unregister(g.census)
	g.census.Close()
}

// startWatcher starts one.
func startWatcher(d *Daemon, t Target, g *gauges) *watcher {
	ctx, cancel := context.WithCancel(context.Background())
	w := &watcher{daemon: d, target: t, gauges: g, cancel: cancel, over: make(chan struct{}), status: newStatus(t)}
	go func() {
		defer close(w.over)
		w.run(ctx)
	}()
	return w
}

// stop ends it, and returns when everybody has been let go.
func (w *watcher) stop() {
	w.cancel()
	<-w.over
}

func (w *watcher) run(ctx context.Context) {
	for ctx.Err() == nil {
		p := w.seek(ctx)
		if p == nil {
			return
		}
		w.attend(ctx, p)
		w.lost(ctx, p)
		p.Close()
		if w.target.PID != 0 {
			return // its number may be somebody else's soon
		}
	}
}

// seek returns when the process has been found; nil: ctx has ended, or it can't come
// back any more.
func (w *watcher) seek(ctx context.Context) *process {
	tick := time.NewTicker(findEvery)
	defer tick.Stop()
	for said := ""; ; {
		// Of a pidfile or a rule an error says that there is none: no /proc, or no
		// pidfile yet.
		p, matches, err := w.target.find()
		if w.target.PID == 0 || err == nil {
			w.found(p, matches)
		}
		switch {
		case p != nil:
			return p
		case w.target.PID != 0 && err == nil:
			w.say("there is no such process")
			return nil
		case w.target.PID != 0 && err.Error() != said:
			said = err.Error()
			w.say("%s", said)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// attend probes a process until it ends, or is another's, or ctx ends.
func (w *watcher) attend(ctx context.Context, p *process) {
	defer w.detach()
	for next := time.Now(); ; {
		timer := time.NewTimer(time.Until(next))
		select {
		case <-timer.C:
		case <-p.ended:
		case <-ctx.Done():
		}
		timer.Stop()
		if isClosed(p.ended) || ctx.Err() != nil {
			return
		}
		if !w.daemon.takeTurn(ctx, p.ended) {
			return
		}
		// It may have ended while others had their turns, and its number be another's.
		is := w.is(p)
		begin := time.Now()
		var r result
		if is {
			r = w.probe(ctx, p.pid)
		}
		w.daemon.giveTurn()
		if !is || ctx.Err() != nil {
			return // it is not to be probed, or that was broken off
		}
		w.note(begin, r)
		// Those that were missed are not made up for.
		next = next.Add(w.target.Every)
		if late := time.Since(next); late > 0 {
			next = next.Add(late.Truncate(w.target.Every) + w.target.Every)
		}
	}
}

// is says whether p is still there, and the one that is wanted: an exec makes another of
// it. That it can't be told is no reason to leave it.
func (w *watcher) is(p *process) bool {
	if isClosed(p.ended) {
		return false
	}
	start, ok, err := w.target.matches(p.pid)
	return err != nil || ok && start == p.start
}

// found notes what a search has come to.
func (w *watcher) found(p *process, matches int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.looked = true
	w.status.Matches = matches
	switch {
	case p != nil:
		w.status.State, w.status.PID, w.status.Comm = Watched, p.pid, commOf(p.pid)
		w.gauges.pid.Store(int64(p.pid))
		w.last = nil
		among := ""
		if matches > 1 {
			among = fmt.Sprintf(", the oldest of %d that match", matches)
		}
		w.say("found %s%s", report.Name(w.status.Comm, p.pid), among)
	case w.target.PID != 0:
		w.status.State = Gone
	default:
		w.status.State = Missing
	}
}

// lost notes that it is not watched any more.
func (w *watcher) lost(ctx context.Context, p *process) {
	w.gauges.pid.Store(0)
	w.mu.Lock()
	w.status.State = Missing
	if w.target.PID != 0 {
		w.status.State = Gone
	}
	name := report.Name(w.status.Comm, p.pid)
	w.mu.Unlock()
	switch {
	case ctx.Err() != nil:
	case isClosed(p.ended):
		w.say("%s has ended", name)
	default:
		w.say("%s matches no more", name)
	}
}

// note keeps what became of a probe.
func (w *watcher) note(begin time.Time, r result) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.status.Probes[r.outcome]++
	w.status.Last = newProbe(begin, r.outcome, r.why)
	w.last = r.report
	// Once, and not for each probe.
	if r.message != "" && r.message != w.said {
		w.say("%s: %s", report.Name(w.status.Comm, w.status.PID), r.message)
	}
	w.said = r.message
}

func (w *watcher) setAttached(is bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.status.Attached = is
}

func (w *watcher) snapshot() (s Status, looked bool, last any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s = w.status
	s.Probes = maps.Clone(s.Probes)
	return s, w.looked, w.last
}

func (w *watcher) say(format string, args ...any) {
	w.daemon.say("target %s: %s", w.target.Title(), fmt.Sprintf(format, args...))
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
