package metrics

import (
	"context"
	"errors"
	"maps"

	"github.com/prometheus/client_golang/prometheus"

	"massattach/attacher"
	"massattach/stopper"
	"massattach/threadset"
)

// Causes of an attach that came to nothing, beside those of a thread.
const (
	CauseGone     attacher.Cause = "gone"     // there is no such process any more
	CauseDeadline attacher.Cause = "deadline" // it took too long
)

// causes are those that are always shown.
var causes = []attacher.Cause{
	attacher.CauseAlreadyTraced, attacher.CauseOtherUser, attacher.CauseNoCapability, attacher.CauseYama,
	attacher.CauseUserNamespace, attacher.CauseSeccomp, attacher.CauseNotDumpable, attacher.CauseKernelThread,
	attacher.CauseSelf, attacher.CauseUnknown, CauseGone, CauseDeadline,
}

var reasons = []stopper.Reason{
	stopper.Uninterruptible, stopper.Vfork, stopper.Frozen, stopper.NotScheduled, stopper.Unknown,
}

// causeOf says why an attach failed, and how many threads refused; none if it was
// broken off.
func causeOf(err error) (attacher.Cause, int) {
	if denied, ok := errors.AsType[*attacher.DeniedError](err); ok {
		return denied.Failure.Cause, denied.Threads
	}
	switch {
	case errors.Is(err, context.Canceled):
		return "", 0
	case errors.Is(err, context.DeadlineExceeded):
		return CauseDeadline, 1
	case errors.Is(err, attacher.ErrGone):
		return CauseGone, 1
	}
	return attacher.CauseUnknown, 1
}

// state is how a session stands, or stood when it ended.
type state struct {
	phases    threadset.Counts
	converged bool
	tracers   int
}

func stateOf(r attacher.Report) state {
	return state{phases: r.Phases, converged: r.Converged && r.Threads.Failed == 0, tracers: r.Tracers}
}

// counts only grow.
type counts struct {
	signals, births, exits, execs, groupStops, overflows int
	repaired, left                                       int
	failed                                               map[attacher.Cause]int
}

func (c *counts) add(r attacher.Report) {
	c.signals += r.Events.Signals
	c.births += r.Events.Births
	c.exits += r.Events.Exits
	c.execs += r.Events.Execs
	c.groupStops += r.Events.GroupStops
	c.overflows += r.Events.Overflows
	c.repaired += r.Repair.Repaired
	c.left += r.Repair.Left
	for cause, n := range r.Causes {
		c.errors(cause, n)
	}
}

func (c *counts) errors(cause attacher.Cause, n int) {
	if c.failed == nil {
		c.failed = make(map[attacher.Cause]int)
	}
	c.failed[cause] += n
}

// collect sends what reports say. A session is either open or past, so that no
// counter goes back.
func (r *Recorder) collect(ch chan<- prometheus.Metric) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all, states := r.past, r.ended
	all.failed = maps.Clone(r.past.failed)
	for s := range r.open {
		rep := s.Report()
		all.add(rep)
		states = append(states[:len(states):len(states)], stateOf(rep))
	}
	counter := func(d *prometheus.Desc, n int, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	var phases threadset.Counts
	tracers, converged := 0, 1.0
	for _, s := range states {
		for p, n := range s.phases {
			phases[p] += n
		}
		tracers += s.tracers
		if !s.converged {
			converged = 0
		}
	}
	for p, n := range phases {
		gauge(descThreads, float64(n), threadset.Phase(p).String())
	}
	gauge(descTracers, float64(tracers))
	if len(states) > 0 {
		gauge(descConverged, converged)
	}
	if !r.last.IsZero() {
		gauge(descProbe, float64(r.last.UnixNano())/1e9)
	}
	counter(descEvents, all.signals, attacher.EventSignal.String())
	counter(descEvents, all.births, attacher.EventBirth.String())
	counter(descEvents, all.exits, attacher.EventExit.String())
	counter(descEvents, all.execs, attacher.EventExec.String())
	counter(descEvents, all.groupStops, attacher.EventGroupStop.String())
	counter(descEvents, all.overflows, "overflow")
	counter(descRepaired, all.repaired)
	counter(descLeft, all.left)
	for _, cause := range causes {
		counter(descErrors, all.failed[cause], string(cause))
	}
	for _, reason := range reasons {
		counter(descMissed, r.missed[reason], string(reason))
	}
}
