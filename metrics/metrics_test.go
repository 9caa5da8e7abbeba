package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"

	"massattach/attacher"
	"massattach/attacher/attachertest"
	"massattach/metrics"
	"massattach/stopper"
	"massattach/threadset"
)

type families map[string]*dto.MetricFamily

func gather(t *testing.T, g prometheus.Gatherer) families {
	t.Helper()
	all, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	m := make(families)
	for _, f := range all {
		m[f.GetName()] = f
	}
	return m
}

// find is the metric that has the labels: names and values, by turns.
func find(t *testing.T, m families, name string, labels ...string) *dto.Metric {
	t.Helper()
	for _, metric := range m[name].GetMetric() {
		var has []string
		for _, l := range metric.GetLabel() {
			has = append(has, l.GetName(), l.GetValue())
		}
		missing := false
		for pair := range slices.Chunk(labels, 2) {
			i := slices.Index(has, pair[0])
			missing = missing || i < 0 || has[i+1] != pair[1]
		}
		if !missing {
			return metric
		}
	}
	t.Errorf("there is no %s with %q", name, labels)
	return new(dto.Metric)
}

func value(t *testing.T, m families, name string, labels ...string) float64 {
	t.Helper()
	metric := find(t, m, name, labels...)
	return metric.GetGauge().GetValue() + metric.GetCounter().GetValue()
}

func histogram(t *testing.T, m families, name string, labels ...string) *dto.Histogram {
	t.Helper()
	return find(t, m, name, labels...).GetHistogram()
}

func phaseName(p int) string { return threadset.Phase(p).String() }

// Every name of the contract is there, with a help that Prometheus's linter has
// nothing to say about.
func TestNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rec metrics.Recorder
		reg := prometheus.NewPedanticRegistry()
		reg.MustRegister(&rec, metrics.NewCensus(func() []int { return nil }), metrics.NewBuildInfo())
		m := attachertest.New(100, 4)
		s, err := attacher.Attach(t.Context(), 100, &attacher.Options{Kernel: m, Proc: m, Trace: rec.Session()})
		if err != nil {
			t.Fatal(err)
		}
		st, err := stopper.New(s, &stopper.Options{Trace: rec.Stopper()})
		if err != nil {
			t.Fatal(err)
		}
		if err := st.Hold(t.Context(), stopper.Request{}, func(*stopper.Held) error { return nil }); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		problems, err := testutil.GatherAndLint(reg)
		if err != nil || len(problems) > 0 {
			t.Errorf("lint: %v %v", problems, err)
		}
		got := gather(t, reg)
		var names []string
		for name, f := range got {
			names = append(names, name)
			for _, metric := range f.GetMetric() {
				for _, l := range metric.GetLabel() {
					if slices.Contains([]string{"pid", "tid", "comm"}, l.GetName()) {
						t.Errorf("%s has the label %s", name, l.GetName())
					}
				}
			}
		}
		slices.Sort(names)
		want := []string{
			"massattach_attach_duration_seconds", "massattach_attach_errors_total", "massattach_build_info",
			"massattach_converged", "massattach_detach_duration_seconds", "massattach_eintr_left_total",
			"massattach_eintr_repaired_total", "massattach_events_total", "massattach_hold_duration_seconds",
			"massattach_last_probe_timestamp_seconds", "massattach_scan_duration_seconds",
			"massattach_seize_latency_seconds", "massattach_signal_forward_latency_seconds",
			"massattach_stop_duration_seconds", "massattach_stop_latency_seconds", "massattach_stop_missed_total",
			"massattach_target_threads", "massattach_threads", "massattach_tracers",
		}
		if !slices.Equal(names, want) {
			t.Errorf("names\n%s\nwant\n%s", strings.Join(names, "\n"), strings.Join(want, "\n"))
		}
	})
}

// Two targets have a recorder each in one registry, and a label of its owner's.
func TestTwoTargets(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	recs := make([]metrics.Recorder, 2)
	for i := range recs {
		under := prometheus.WrapRegistererWith(prometheus.Labels{"target": fmt.Sprint("db", i)}, reg)
		under.MustRegister(&recs[i], metrics.NewCensus(func() []int { return nil }))
	}
	recs[1].Refuse(attacher.CauseAlreadyTraced)
	m := gather(t, reg)
	for i, want := range []float64{0, 1} {
		got := value(t, m, "massattach_attach_errors_total", "target", fmt.Sprint("db", i), "cause", "already-traced")
		if got != want {
			t.Errorf("target %d: %v refused, not %v", i, got, want)
		}
	}
}

// An attach that fails is counted by its cause, and is no converged one.
func TestFailures(t *testing.T) {
	denied := &attacher.DeniedError{PID: 5, Threads: 3, Failure: attacher.Failure{TID: 6, Errno: syscall.EPERM, Cause: attacher.CauseYama}}
	for _, c := range []struct {
		err   error
		cause string
		n     float64
	}{
		{fmt.Errorf("x: %w", denied), "yama", 3},
		{errors.Join(fmt.Errorf("x: %w", attacher.ErrGone), errors.New("y")), "gone", 1},
		{fmt.Errorf("x: %w", context.DeadlineExceeded), "deadline", 1},
		{errors.New("x"), "unknown", 1},
		{fmt.Errorf("x: %w", context.Canceled), "", 0},
	} {
		var rec metrics.Recorder
		reg := prometheus.NewPedanticRegistry()
		reg.MustRegister(&rec)
		if _, ok := gather(t, reg)["massattach_converged"]; ok {
			t.Error("converged before anything was tried")
		}
		rec.Session().Broken(c.err)
		m := gather(t, reg)
		if value(t, m, "massattach_converged") != 0 {
			t.Errorf("%v: converged", c.err)
		}
		sum := 0.0
		for _, metric := range m["massattach_attach_errors_total"].GetMetric() {
			sum += metric.GetCounter().GetValue()
		}
		if c.cause != "" && value(t, m, "massattach_attach_errors_total", "cause", c.cause) != c.n || sum != c.n {
			t.Errorf("%v: %v", c.err, m["massattach_attach_errors_total"])
		}
	}
}

// The real refusals of a fake kernel: of some threads, of all, of none that lives.
func TestRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rec metrics.Recorder
		reg := prometheus.NewPedanticRegistry()
		reg.MustRegister(&rec)
		m := attachertest.New(100, 4)
		if _, err := attacher.Attach(t.Context(), 999, &attacher.Options{Kernel: m, Proc: m, Trace: rec.Session()}); err == nil {
			t.Fatal("attached to nobody")
		}
		if n := value(t, gather(t, reg), "massattach_attach_errors_total", "cause", "gone"); n != 1 {
			t.Errorf("%v gone", n)
		}
		s, err := attacher.Attach(t.Context(), 100, &attacher.Options{Kernel: m, Proc: m, Trace: rec.Session()})
		if err != nil {
			t.Fatal(err)
		}
		other, err := attacher.Attach(t.Context(), 100, &attacher.Options{Kernel: m, Proc: m, Trace: rec.Session()})
		if err == nil {
			other.Close()
			t.Fatal("attached twice")
		}
		got := gather(t, reg)
		if value(t, got, "massattach_converged") != 0 {
			t.Error("converged beside one that was refused")
		}
		if n := value(t, got, "massattach_attach_errors_total", "cause", "already-traced"); n != 4 {
			t.Errorf("%v of 4 already traced", n)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		again, err := attacher.Attach(t.Context(), 100, &attacher.Options{Kernel: m, Proc: m, Trace: rec.Session()})
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		if got := gather(t, reg); value(t, got, "massattach_converged") != 1 || value(t, got, "massattach_threads", "phase", "running") != 4 {
			t.Errorf("%v, %v", got["massattach_converged"], got["massattach_threads"])
		}
	})
}

// An attach that has found everybody, one of whom another tracer has, has not reached
// them all.
func TestOneRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rec metrics.Recorder
		reg := prometheus.NewPedanticRegistry()
		reg.MustRegister(&rec)
		m := attachertest.New(100, 4)
		m.TraceBy(102, "gdb")
		s, err := attacher.Attach(t.Context(), 100, &attacher.Options{Kernel: m, Proc: m, Trace: rec.Session()})
		if err != nil {
			t.Fatal(err)
		}
		if got := gather(t, reg); value(t, got, "massattach_converged") != 0 {
			t.Error("converged, but for one")
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if got := gather(t, reg); value(t, got, "massattach_converged") != 0 {
			t.Error("converged at the end, but for one")
		}
	})
}

// An arrest that misses somebody says why.
func TestMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rec metrics.Recorder
		reg := prometheus.NewPedanticRegistry()
		reg.MustRegister(&rec)
		m := attachertest.New(100, 4)
		m.Set(101, attachertest.Disk)
		s, err := attacher.Attach(t.Context(), 100, &attacher.Options{Kernel: m, Proc: m, Trace: rec.Session()})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		st, err := stopper.New(s, &stopper.Options{Trace: rec.Stopper()})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := st.Arrest(t.Context(), stopper.Request{Within: time.Second}); err == nil {
			t.Error("no error")
		}
		got := gather(t, reg)
		if n := value(t, got, "massattach_stop_missed_total", "reason", "uninterruptible"); n != 1 {
			t.Errorf("%v missed", n)
		}
		manner := []string{"style", "interrupt", "mechanism", "ptrace"}
		if h := histogram(t, got, "massattach_stop_latency_seconds", manner...); h.GetSampleCount() != 3 {
			t.Errorf("%d have stopped", h.GetSampleCount())
		}
		if h := histogram(t, got, "massattach_stop_duration_seconds", manner...); h.GetSampleSum() != 1 {
			t.Errorf("the arrest took %v s", h.GetSampleSum())
		}
		m.Return(101, 0)
	})
}

// While sessions come and go and somebody scrapes, no counter goes back and no
// sample is lost.
func TestScrapesMeanwhile(t *testing.T) {
	const threads, rounds = 50, 30
	var rec metrics.Recorder
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(&rec)
	over := make(chan struct{})
	var scraping sync.WaitGroup
	for range 2 {
		scraping.Go(func() {
			seized, repaired := uint64(0), 0.0
			for {
				m := gather(t, reg)
				now, mended := histogram(t, m, "massattach_seize_latency_seconds").GetSampleCount(), value(t, m, "massattach_eintr_repaired_total")
				if now < seized || mended < repaired {
					t.Errorf("from %d and %v to %d and %v", seized, repaired, now, mended)
				}
				seized, repaired = now, mended
				select {
				case <-over:
					return
				default:
				}
			}
		})
	}
	var attaching sync.WaitGroup
	for i := range 3 {
		attaching.Go(func() {
			for range rounds {
				m := attachertest.New(100*(i+1), threads)
				s, err := attacher.Attach(context.Background(), 100*(i+1), &attacher.Options{Kernel: m, Proc: m, Trace: rec.Session()})
				if err != nil {
					t.Error(err)
					return
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	attaching.Wait()
	close(over)
	scraping.Wait()
	if n := histogram(t, gather(t, reg), "massattach_seize_latency_seconds").GetSampleCount(); n != 3*rounds*threads {
		t.Errorf("%d of %d seizes", n, 3*rounds*threads)
	}
}

// What nobody scrapes is counted all the same, and does not pile up.
func TestUnscraped(t *testing.T) {
	var rec metrics.Recorder
	hooks := rec.Session()
	batch := make([]time.Duration, 500)
	const batches = 1000
	for range batches {
		hooks.Forwarded(batch)
	}
	// Nobody who adds waits for who observes: they are down to that when it is done.
	for begin := time.Now(); rec.Forwarding() >= metrics.Patience; time.Sleep(time.Millisecond) {
		if time.Since(begin) > time.Minute {
			t.Fatalf("%d durations wait", rec.Forwarding())
		}
	}
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(&rec)
	if n := histogram(t, gather(t, reg), "massattach_signal_forward_latency_seconds").GetSampleCount(); n != uint64(batches*len(batch)) {
		t.Errorf("%d of %d", n, batches*len(batch))
	}
}
