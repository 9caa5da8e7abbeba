package bench

import (
	"io"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"massattach/attacher"
	"massattach/internal/target"
	"massattach/metrics"
	"massattach/procfs"
	"massattach/stopper"
)

// What a registered recorder costs an attach to, and an arrest of, 10,000 threads:
// with one and without, by turns. A scrape comes after each, and counts what the
// hooks have kept.
func BenchmarkMetrics(b *testing.B) {
	spec := target.Mix(10_000)
	spec.Orphan = true
	p := start(b, spec)
	var rec metrics.Recorder
	reg := prometheus.NewRegistry()
	reg.MustRegister(&rec)
	visit := func(o *attacher.Options, so *stopper.Options) (attached, arrested time.Duration) {
		s := attach(b, p.PID(), o)
		st, err := stopper.New(s, so)
		if err != nil {
			b.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
		h := hold(b, st, stopper.Request{})
		begin := time.Now()
		arrested = h.Report().Elapsed
		if err := h.Resume(); err != nil {
			b.Fatal(err)
		}
		arrested += time.Since(begin)
		time.Sleep(20 * time.Millisecond)
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		attached = s.Report().Attach.Elapsed
		time.Sleep(20 * time.Millisecond)
		return attached, arrested
	}
	var attaching, arresting pairs
	var scrapes []float64
	for i := 0; b.Loop(); i++ {
		var with, without [2]time.Duration
		measured := func() {
			with[0], with[1] = visit(&attacher.Options{Trace: rec.Session()}, &stopper.Options{Trace: rec.Stopper()})
			begin := time.Now()
			scrape(b, reg)
			scrapes = append(scrapes, float64(time.Since(begin)))
		}
		bare := func() { without[0], without[1] = visit(nil, nil) }
		if i%2 == 0 { // neither is always the one that comes after the other
			measured()
			bare()
		} else {
			bare()
			measured()
		}
		attaching.add(with[0], without[0])
		arresting.add(with[1], without[1])
	}
	attaching.report(b, "ns/attach")
	arresting.ratio(b, "x-arrest")
	b.ReportMetric(median(scrapes), "ns/scrape")
}

// scrape is what a GET of /metrics does.
func scrape(b *testing.B, g prometheus.Gatherer) {
	b.Helper()
	all, err := g.Gather()
	if err != nil {
		b.Fatal(err)
	}
	to := expfmt.NewEncoder(io.Discard, expfmt.NewFormat(expfmt.TypeTextPlain))
	for _, f := range all {
		if err := to.Encode(f); err != nil {
			b.Fatal(err)
		}
	}
}

// A census of 10,000 threads, beside a pass over what /proc says of each: it is taken
// once a second at the most, for which this waits.
func BenchmarkCensus(b *testing.B) {
	p := start(b, target.Mix(10_000))
	c := metrics.NewCensus(func() []int { return []int{p.PID()} })
	defer c.Close()
	reg := prometheus.NewRegistry()
	reg.MustRegister(c)
	scrape(b, reg)
	of, err := procfs.FS{}.Open(p.PID())
	if err != nil {
		b.Fatal(err)
	}
	defer of.Close()
	var counting pairs
	for b.Loop() {
		time.Sleep(1100 * time.Millisecond)
		begin := time.Now()
		for _, err := range of.Threads(procfs.Selection{}, procfs.DetailState) {
			if err != nil {
				b.Fatal(err)
			}
		}
		proc := time.Since(begin)
		begin = time.Now()
		scrape(b, reg)
		counting.add(time.Since(begin), proc)
	}
	counting.report(b, "ns/census")
}
