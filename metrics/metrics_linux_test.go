package metrics_test

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"massattach/attacher"
	"massattach/internal/bpf"
	"massattach/internal/target"
	"massattach/metrics"
	"massattach/procfs"
	"massattach/stopper"
)

func TestMain(m *testing.M) {
	target.Main()
	os.Exit(m.Run())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func start(t *testing.T, spec target.Spec) *target.Target {
	t.Helper()
	p, err := target.Start(t.Context(), spec)
	must(t, err)
	t.Cleanup(func() { p.Close() })
	return p
}

// styles are those that work here.
func styles() []stopper.Style {
	all := []stopper.Style{stopper.Interrupt}
	if bpf.NotifySupported() == nil {
		all = append(all, stopper.Notify)
	}
	return all
}

// The figures are those of the reports: counts exactly, quantiles within a bucket.
func TestFiguresAreTheReports(t *testing.T) {
	const hold = 20 * time.Millisecond
	p := start(t, target.Spec{Epoll: 150, Futex: 100, Recv: 20, Spin: 1, Churn: 1})
	var rec metrics.Recorder
	reg := prometheus.NewPedanticRegistry()
	must(t, reg.Register(&rec))

	var took, scans []time.Duration // each SEIZE of the attach, each read of the whole list
	var mu sync.Mutex
	trace := rec.Session()
	scanned, counted := trace.Scanned, trace.Seized
	trace.Scanned = func(threads int, d time.Duration) {
		mu.Lock()
		scans = append(scans, d)
		mu.Unlock()
		scanned(threads, d)
	}
	trace.Seized = func(d []time.Duration) {
		mu.Lock()
		took = append(took, d...)
		mu.Unlock()
		counted(d)
	}
	s, err := attacher.Attach(t.Context(), p.PID(), &attacher.Options{Trace: trace})
	must(t, err)
	defer s.Close()
	var arrests []stopper.Report
	var stops [][]time.Duration
	hooks := rec.Stopper()
	resumed := hooks.Resumed
	hooks.Resumed = func(r stopper.Report, took []time.Duration) {
		arrests, stops = append(arrests, r), append(stops, slices.Clone(took))
		resumed(r, took)
	}
	st, err := stopper.New(s, &stopper.Options{Trace: hooks})
	must(t, err)
	if _, err := p.Flood(t.Context(), target.Flood{Count: 100}); err != nil {
		t.Fatal(err)
	}
	for _, style := range styles() {
		must(t, st.Hold(t.Context(), stopper.Request{Style: style}, func(*stopper.Held) error {
			time.Sleep(hold)
			return nil
		}))
	}
	if got := value(t, gather(t, reg), "massattach_tracers"); got < 1 {
		t.Errorf("%v tracers while attached", got)
	}
	must(t, s.Close())
	r, m := s.Report(), gather(t, reg)

	for name, want := range map[string]int{
		"massattach_tracers":              0,
		"massattach_converged":            bit(r.Converged && r.Threads.Failed == 0),
		"massattach_eintr_repaired_total": r.Repair.Repaired,
		"massattach_eintr_left_total":     r.Repair.Left,
	} {
		if got := value(t, m, name); got != float64(want) {
			t.Errorf("%s is %v, the report has %d", name, got, want)
		}
	}
	for event, want := range map[string]int{
		"signal": r.Events.Signals, "birth": r.Events.Births, "exit": r.Events.Exits, "exec": r.Events.Execs,
		"group-stop": r.Events.GroupStops, "overflow": r.Events.Overflows,
	} {
		if got := value(t, m, "massattach_events_total", "event", event); got != float64(want) {
			t.Errorf("event %s: %v, the report has %d", event, got, want)
		}
	}
	if r.Events.Signals < 100 {
		t.Errorf("%d signals", r.Events.Signals)
	}
	for phase, n := range r.Phases {
		if got := value(t, m, "massattach_threads", "phase", phaseName(phase)); got != float64(n) {
			t.Errorf("phase %s: %v, the report has %d", phaseName(phase), got, n)
		}
	}
	duration(t, m, "massattach_attach_duration_seconds", []time.Duration{r.Attach.Elapsed})
	duration(t, m, "massattach_detach_duration_seconds", []time.Duration{r.Detach.Elapsed})
	duration(t, m, "massattach_seize_latency_seconds", took)
	if h := histogram(t, m, "massattach_signal_forward_latency_seconds"); h.GetSampleCount() != uint64(r.Events.Signals) {
		t.Errorf("%d signals forwarded, the report has %d", h.GetSampleCount(), r.Events.Signals)
	}
	duration(t, m, "massattach_scan_duration_seconds", scans)
	if len(arrests) != len(styles()) {
		t.Fatalf("%d arrests", len(arrests))
	}
	for i, a := range arrests {
		style := a.Style.String()
		manner := []string{"style", style, "mechanism", a.Mechanism}
		duration(t, m, "massattach_stop_duration_seconds", []time.Duration{a.Elapsed}, manner...)
		duration(t, m, "massattach_stop_latency_seconds", stops[i], manner...)
		duration(t, m, "massattach_hold_duration_seconds", []time.Duration{a.Held}, "style", style)
		if q := attacher.QuantilesOf(stops[i]); q != a.Latency || a.Stopped+a.InKernel < 270 {
			t.Errorf("%+v, of %+v", q, a)
		}
	}
	if age := time.Since(time.UnixMilli(int64(1e3 * value(t, m, "massattach_last_probe_timestamp_seconds")))); age < 0 || age > time.Minute {
		t.Errorf("the last probe was %v ago", age)
	}
}

// duration compares a histogram with what it was made of, and the quantiles of both,
// by its classic and by its native buckets.
func duration(t *testing.T, m families, name string, took []time.Duration, labels ...string) {
	t.Helper()
	h := histogram(t, m, name, labels...)
	if h.GetSampleCount() != uint64(len(took)) {
		t.Errorf("%s has %d samples of %d", name, h.GetSampleCount(), len(took))
	}
	sum := time.Duration(0)
	for _, d := range took {
		sum += d
	}
	if d := h.GetSampleSum() - sum.Seconds(); math.Abs(d) > 1e-6*float64(len(took)) {
		t.Errorf("%s adds up to %v s, not to %v", name, h.GetSampleSum(), sum)
	}
	slices.Sort(took)
	for _, q := range []float64{0.5, 0.99} {
		rank := min(len(took)-1, int(q*float64(len(took))))
		want := took[rank].Seconds()
		low, high := classicBucket(h, uint64(rank))
		if want < low || want > high {
			t.Errorf("%s: quantile %v is %v s, and in the bucket from %v to %v", name, q, want, low, high)
		}
		low, high = nativeBucket(h, uint64(rank))
		if want < low*(1-1e-9) || want > high*(1+1e-9) || high > low*1.1 {
			t.Errorf("%s: quantile %v is %v s, and in the native bucket from %v to %v", name, q, want, low, high)
		}
	}
}

// classicBucket is the bounds of the one that has the sample of that rank.
func classicBucket(h *dto.Histogram, rank uint64) (low, high float64) {
	for _, b := range h.GetBucket() {
		if b.GetCumulativeCount() > rank {
			return low, b.GetUpperBound()
		}
		low = b.GetUpperBound()
	}
	return low, math.Inf(1)
}

func nativeBucket(h *dto.Histogram, rank uint64) (low, high float64) {
	if h.GetZeroCount() > rank {
		return 0, h.GetZeroThreshold()
	}
	base := math.Pow(2, math.Pow(2, -float64(h.GetSchema())))
	seen, index, delta, n := h.GetZeroCount(), int32(0), 0, int64(0)
	for _, span := range h.GetPositiveSpan() {
		index += span.GetOffset()
		for range span.GetLength() {
			n += h.GetPositiveDelta()[delta]
			delta++
			if seen += uint64(n); seen > rank {
				return math.Pow(base, float64(index-1)), math.Pow(base, float64(index))
			}
			index++
		}
	}
	return 0, 0
}

// A census counts each thread once, and not more often than once a second, by either of
// its means. It leaves nothing open.
func TestCensus(t *testing.T) {
	for _, proc := range []bool{false, true} {
		t.Run(fmt.Sprintf("proc=%t", proc), func(t *testing.T) { testCensus(t, proc) })
	}
}

func testCensus(t *testing.T, proc bool) {
	open := descriptors(t)
	p := start(t, target.Spec{Epoll: 40, Spin: 1})
	asked := 0
	c := metrics.NewCensus(func() []int {
		asked++
		return []int{p.PID(), 1 << 30}
	})
	if proc {
		c.ByProc(p.PID())
	} else if err := bpf.TasksSupported(); err != nil {
		t.Skip(err)
	}
	reg := prometheus.NewPedanticRegistry()
	must(t, reg.Register(c))
	count := func() (n float64) {
		for _, m := range gather(t, reg)["massattach_target_threads"].GetMetric() {
			n += m.GetGauge().GetValue()
		}
		return n
	}
	of, err := procfs.FS{}.Open(p.PID())
	must(t, err)
	defer of.Close()
	want, err := of.NumThreads()
	must(t, err)
	before := time.Now()
	for i := range 100 {
		if got := count(); got != float64(want) {
			t.Fatalf("look %d: %v threads of %d", i, got, want)
		}
		if value(t, gather(t, reg), "massattach_target_threads", "state", "R") < 1 {
			t.Error("nobody runs")
		}
	}
	if most := 1 + int(time.Since(before)/time.Second); asked > most {
		t.Errorf("%d looks in %v", asked, time.Since(before))
	}
	if c.Iterates(p.PID()) == proc {
		t.Errorf("by /proc: %t", !proc)
	}
	c.Close()
	p.Close()
	of.Close()
	if now := descriptors(t); len(now) > len(open) {
		t.Errorf("descriptors: %q, before: %q", now, open)
	}
}

// descriptors are the files of this process that programs are loaded by.
func descriptors(t *testing.T) (names []string) {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	for _, e := range all {
		if name, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.Contains(name, "bpf") {
			names = append(names, name)
		}
	}
	return names
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}
