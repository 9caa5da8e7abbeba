package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// classic are the upper bounds of the classic buckets, in seconds.
var classic = func() (bounds []float64) {
	for _, decade := range []float64{1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1} {
		bounds = append(bounds, decade, 2.5*decade, 5*decade)
	}
	return append(bounds, 10)
}()

func timing(name, help string) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{
		Name: "massattach_" + name, Help: help, Buckets: classic,
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  160,
		NativeHistogramMinResetDuration: time.Hour,
		// Nothing takes less than this; the default would have a bucket for
		// each of the decades down to 1e-39.
		NativeHistogramZeroThreshold: 1e-9,
	}
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("massattach_"+name, help, labels, nil)
}

// What is read from reports, and not counted here.
var (
	descThreads   = describe("threads", "Threads by phase, of the session that is open, or was open last; an end counts all who have ever come to it.", "phase")
	descTracers   = describe("tracers", "Tracer threads at work.")
	descEvents    = describe("events_total", "What happened to the target while it was attached to.", "event")
	descErrors    = describe("attach_errors_total", "Threads that could not be seized, and attaches that came to nothing, by cause.", "cause")
	descMissed    = describe("stop_missed_total", "Threads that an arrest did not reach, by reason.", "reason")
	descRepaired  = describe("eintr_repaired_total", "System calls that a stop has interrupted, and that went on unseen.")
	descLeft      = describe("eintr_left_total", "System calls that may have returned EINTR, or an early result, because of a stop.")
	descConverged = describe("converged", "1 if the last attach has found and reached every thread, 0 if not, or if it failed.")
	descProbe     = describe("last_probe_timestamp_seconds", "When the last attach or arrest was over, or a session that stays was looked at, in seconds since 1970.")
)

var described = []*prometheus.Desc{
	descThreads, descTracers, descEvents, descErrors, descMissed,
	descRepaired, descLeft, descConverged, descProbe,
}

// timings are the histograms.
type timings struct {
	scan, attach, detach prometheus.Histogram
	stop, hold           *prometheus.HistogramVec
	seize, forward       *backlog
	latency              *backlogs
}

func newTimings() *timings {
	style := []string{"style"}
	manner := []string{"style", "mechanism"}
	return &timings{
		scan:    prometheus.NewHistogram(timing("scan_duration_seconds", "How long it took to read the whole list of threads.")),
		attach:  prometheus.NewHistogram(timing("attach_duration_seconds", "How long it took to attach to all threads.")),
		detach:  prometheus.NewHistogram(timing("detach_duration_seconds", "How long it took to let go of all threads.")),
		stop:    prometheus.NewHistogramVec(timing("stop_duration_seconds", "How long it took to arrest all threads that were asked for."), manner),
		hold:    prometheus.NewHistogramVec(timing("hold_duration_seconds", "How long threads were held, from the end of the arrest."), style),
		seize:   &backlog{to: prometheus.NewHistogram(timing("seize_latency_seconds", "How long it took to seize a thread."))},
		forward: &backlog{to: prometheus.NewHistogram(timing("signal_forward_latency_seconds", "How long a signal of the target's own was delayed."))},
		latency: &backlogs{to: prometheus.NewHistogramVec(timing("stop_latency_seconds", "How long after it was asked a thread had stopped, or was confirmed to be in the kernel."), manner)},
	}
}

func (t *timings) all() []prometheus.Collector {
	return []prometheus.Collector{t.scan, t.attach, t.detach, t.stop, t.hold, t.seize.to, t.forward.to, t.latency.to}
}

// settle has everything observed that is still to be.
func (t *timings) settle() {
	t.seize.drain()
	t.forward.drain()
	t.latency.drain()
}
