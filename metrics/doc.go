// Package metrics shows what sessions and stoppers do as Prometheus metrics: how
// long it takes to attach to a process, to arrest its threads, to forward a signal,
// and what that does to the process.
//
// A [Recorder] is a [prometheus.Collector] that fills the hooks of package attacher
// and package stopper; one line registers it on a registry of one's own:
//
//	var rec metrics.Recorder
//	prometheus.MustRegister(&rec)
//	s, err := attacher.Attach(ctx, pid, &attacher.Options{Trace: rec.Session()})
//	st, err := stopper.New(s, &stopper.Options{Trace: rec.Stopper()})
//
// No metric has a label for a process, a thread or their names: there may be too
// many of them, and numbers come again. Who watches several targets has a Recorder
// for each, and registers it by [prometheus.WrapRegistererWith] with a label that is
// the name he knows the target by.
//
// # Figures
//
// Counts are those of [attacher.Report] and [stopper.Report], the latencies those
// they have quantiles of: what a report says of a session that has ended, its
// metrics say as well. Histograms are native ones where the scraper takes them
// (within 10 %), with classic buckets beside them, three a decade from 100 ns to
// 10 s.
//
// # Cost
//
// The hooks copy a batch of durations, which are counted at the next scrape, or
// when there are 65,536 of them: not on a tracer's thread.
package metrics
