package serve

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"massattach/attacher"
	"massattach/internal/report"
	"massattach/internal/target"
	"massattach/stopper"
)

// A probe attaches, arrests in each style, and lets go; the target notices nothing, the
// report is one of the contract, and the metrics say the same.
func TestProbe(t *testing.T) {
	p := start(t, target.Mix(300))
	d := watch(t, quick(Target{Name: "x", PID: p.PID(), Arrest: styles()}))
	eventually(t, "three probes", func() bool { return status(t, d, "x").Probes[Complete] >= 3 })
	d.turn <- struct{}{} // nobody begins another
	eventually(t, "the last one is noted", func() bool {
		n := metric(t, d, "massattach_attach_duration_seconds", map[string]string{"target": "x"})
		return n == float64(status(t, d, "x").Probes[Complete])
	})
	d.Close()
	undisturbed(t, p)
	free(t, p.PID())

	s := status(t, d, "x")
	if n := s.Probes[Complete]; len(s.Probes) != 1 || s.Last.Outcome != Complete || s.Last.Error != nil || s.PID != p.PID() {
		t.Errorf("%d complete of %+v", n, s)
	}
	last, _ := d.Report(p.PID())
	r, ok := last.(Report)
	if !ok || !r.Converged || r.Threads.Attached != r.Threads.Found || !r.Detach.Confirmed || len(r.Stops) != len(styles()) {
		t.Fatalf("%+v", last)
	}
	for i, style := range styles() {
		stop := r.Stops[i]
		if stop.Style != style.String() || stop.Requested != r.Threads.Found || stop.Missed != 0 {
			t.Errorf("%+v", stop)
		}
		n := metric(t, d, "massattach_stop_duration_seconds", map[string]string{"target": "x", "style": style.String()})
		if n != float64(s.Probes[Complete]) {
			t.Errorf("%v arrests in style %v of %d probes", n, style, s.Probes[Complete])
		}
	}
	if n := metric(t, d, "massattach_attach_duration_seconds", map[string]string{"target": "x"}); n != float64(s.Probes[Complete]) {
		t.Errorf("%v attaches of %d probes", n, s.Probes[Complete])
	}
	if n := metric(t, d, "massattach_converged", map[string]string{"target": "x"}); n != 1 {
		t.Errorf("converged is %v", n)
	}
	lint(t, d)
}

// Kept, it attaches once, and only arrests.
func TestProbeKeep(t *testing.T) {
	p := start(t, target.Mix(100))
	d := watch(t, quick(Target{Name: "x", PID: p.PID(), Arrest: []stopper.Style{stopper.Interrupt}, Keep: true}))
	eventually(t, "three probes", func() bool { return status(t, d, "x").Probes[Complete] >= 3 })
	if s := status(t, d, "x"); !s.Attached || s.Follow != "event" {
		t.Errorf("between two probes: %+v", s)
	}
	if n := metric(t, d, "massattach_attach_duration_seconds", map[string]string{"target": "x"}); n != 1 {
		t.Errorf("%v attaches", n)
	}
	if n := metric(t, d, "massattach_stop_duration_seconds", map[string]string{"target": "x", "style": "interrupt"}); n < 3 {
		t.Errorf("%v arrests", n)
	}
	d.Close()
	if status(t, d, "x").Attached {
		t.Error("it is attached behind the end")
	}
	undisturbed(t, p)
	free(t, p.PID())
}

// Whom another tool traces is left alone, and that is counted; when the other one has
// gone, it is probed.
func TestProbeTraced(t *testing.T) {
	for _, other := range []string{"massattach", "strace"} {
		t.Run(other, func(t *testing.T) {
			p := start(t, target.Mix(60))
			var letGo func()
			if other == "strace" {
				path, err := exec.LookPath("strace")
				if err != nil {
					if os.Getenv("CI") == "true" {
						t.Fatal(err)
					}
					t.Skip(err)
				}
				cmd := exec.Command(path, "-f", "-qq", "-e", "trace=none", "-o", os.DevNull, "-p", strconv.Itoa(p.PID()))
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				letGo = func() { _ = cmd.Process.Signal(syscall.SIGINT); _ = cmd.Wait() }
				eventually(t, "strace traces it", func() bool { _, is := traced(p.PID()); return is })
			} else {
				s, err := attacher.Attach(t.Context(), p.PID(), nil)
				if err != nil {
					t.Fatal(err)
				}
				letGo = func() { s.Close() }
			}
			t.Cleanup(letGo)
			d := watch(t, quick(Target{Name: "x", PID: p.PID(), Arrest: styles()}))
			eventually(t, "two skipped probes", func() bool { return status(t, d, "x").Probes[Skipped] >= 2 })
			s := status(t, d, "x")
			if s.Probes[Complete] != 0 || s.Last.Error == nil || s.Last.Error.Cause != string(attacher.CauseAlreadyTraced) || s.Last.Error.Hint == "" {
				t.Errorf("%+v", s)
			}
			n := metric(t, d, "massattach_attach_errors_total", map[string]string{"target": "x", "cause": "already-traced"})
			if n < 2 {
				t.Errorf("%v counted", n)
			}
			if n := metric(t, d, "massattach_converged", map[string]string{"target": "x"}); n != 0 {
				t.Errorf("converged is %v", n)
			}
			if last, _ := d.Report(p.PID()); last.(*report.Failed).Error.Cause != "already-traced" {
				t.Errorf("%+v", last)
			}
			letGo()
			eventually(t, "a probe", func() bool { return status(t, d, "x").Probes[Complete] >= 1 })
		})
	}
}

// One thread that another tool traces is enough.
func TestProbeThreadTraced(t *testing.T) {
	path, err := exec.LookPath("strace")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	p := start(t, target.Spec{Futex: 30, Epoll: 5})
	all, err := p.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tid := all[target.KindFutex][0]
	cmd := exec.Command(path, "-qq", "-e", "trace=none", "-o", os.DevNull, "-p", strconv.Itoa(tid))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Signal(syscall.SIGINT); _ = cmd.Wait() })
	eventually(t, "strace traces it", func() bool { return tracerOf(t, p.PID(), tid) != 0 })
	d := watch(t, quick(Target{Name: "x", PID: p.PID(), Arrest: styles()}))
	eventually(t, "two skipped probes", func() bool { return status(t, d, "x").Probes[Skipped] >= 2 })
	d.Close()
	if n := metric(t, d, "massattach_attach_errors_total", map[string]string{"target": "x", "cause": "already-traced"}); n < 2 {
		t.Errorf("%v counted", n)
	}
	if r := mustReport(t, d, p.PID()); len(r.Stops) != 0 {
		t.Errorf("it was arrested: %+v", r.Stops)
	}
}

// A thread that does not stop in time is named, and the others run on; also long before
// the deadline of the probe.
func TestProbeDeadline(t *testing.T) {
	for _, deadline := range []time.Duration{900 * time.Millisecond, time.Hour} {
		t.Run(deadline.String(), func(t *testing.T) { testProbeDeadline(t, deadline) })
	}
}

func testProbeDeadline(t *testing.T, deadline time.Duration) {
	leastStanding = time.Second
	t.Cleanup(func() { leastStanding = patience }) // when the daemon is closed
	p := start(t, target.Spec{Futex: 20})
	v, err := p.StartVfork(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	one := quick(Target{Name: "x", PID: p.PID(), Arrest: []stopper.Style{stopper.Interrupt}})
	one.Deadline = deadline
	d := watch(t, one)
	eventually(t, "two partial probes", func() bool { return status(t, d, "x").Probes[Partial] >= 2 })
	// Where the machine is busy others may be missing as well, or the attach may take all
	// the time.
	eventually(t, "a probe that lacks this thread alone", func() bool {
		last, _ := d.Report(p.PID())
		r, ok := last.(Report)
		return ok && r.Stop != nil && len(r.Stop.Missing) == 1 && r.Stop.Missing[0].TID == v.TID
	})
	d.Close()
	if err := p.EndVfork(t.Context(), v.TID); err != nil {
		t.Fatal(err)
	}
	undisturbed(t, p)
	free(t, p.PID())
}

// A target that ends is found again within 2 s of its return, by rule and by pidfile, also
// while it is kept; one that was given by number is gone.
func TestFindAgain(t *testing.T) {
	pidfile := filepath.Join(t.TempDir(), "pid")
	spec := target.Spec{Futex: 40, PIDFile: pidfile}
	first := start(t, spec)
	rule := Rule{MinThreads: 40, Comm: rename(t, first), Cmdline: "massattach*"}
	keep := quick(Target{Name: "file", PIDFile: pidfile, Keep: true, Arrest: []stopper.Style{stopper.Interrupt}})
	// One that traces all the time would be in the way of the other: it is arrested less.
	byRule := quick(Target{Name: "rule", Rule: rule})
	d := watch(t, keep, byRule, quick(Target{Name: "number", PID: first.PID()}))
	eventually(t, "all are found", func() bool {
		return status(t, d, "file").Attached && status(t, d, "rule").PID == first.PID() && status(t, d, "number").State == Watched
	})
	for range 3 {
		old := status(t, d, "file").PID
		if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it is missed", func() bool {
			return status(t, d, "file").State == Missing && status(t, d, "rule").State == Missing
		})
		again := start(t, spec)
		rename(t, again)
		began := time.Now()
		eventually(t, "it is found again", func() bool {
			return status(t, d, "file").Attached && status(t, d, "file").PID == again.PID() && status(t, d, "rule").PID == again.PID()
		})
		t.Logf("found again after %v", time.Since(began))
	}
	if s := status(t, d, "number"); s.State != Gone || s.PID != first.PID() {
		t.Errorf("%+v", s)
	}
}

// Of several that match it is the one that has lived longest.
func TestFindOldest(t *testing.T) {
	spec := target.Spec{Futex: 30}
	first := start(t, spec)
	rule := Rule{MinThreads: 30, Comm: rename(t, first)}
	time.Sleep(20 * time.Millisecond) // births are known by 10 ms
	rename(t, start(t, spec))
	rename(t, start(t, target.Spec{Futex: 5})) // has too few
	start(t, spec)                             // has another name
	p, n, err := Target{Rule: rule}.find()
	if err != nil || p == nil {
		t.Fatalf("%v, %d, %v", p, n, err)
	}
	defer p.Close()
	if p.pid != first.PID() || n != 2 {
		t.Errorf("found %d of %d, want %d of 2", p.pid, n, first.PID())
	}
}

// The daemon never finds itself.
func TestFindNotItself(t *testing.T) {
	rule := Rule{Comm: commOf(os.Getpid())}
	st, ok, _ := Target{Rule: rule}.matches(os.Getpid())
	if ok {
		t.Errorf("it has found itself, born at %d", st)
	}
	if _, ok, _ := (Target{PID: os.Getpid()}).matches(os.Getpid()); !ok {
		t.Error("its number is nobody's")
	}
}

// A number of a process that has ended is nobody.
func TestFindNobody(t *testing.T) {
	p := start(t, target.Spec{})
	pid := p.PID()
	p.Close()
	d := watch(t, quick(Target{PID: pid}))
	eventually(t, "it is gone", func() bool { return status(t, d, strconv.Itoa(pid)).State == Gone })
	if !d.Ready() {
		t.Error("it is not ready")
	}
}

// A new set of targets leaves those alone that have not changed, and lets go of the
// others; counters go on.
func TestWatchAnew(t *testing.T) {
	a, b := start(t, target.Mix(60)), start(t, target.Mix(60))
	one := quick(Target{Name: "a", PID: a.PID(), Keep: true, Arrest: []stopper.Style{stopper.Interrupt}})
	two := quick(Target{Name: "b", PID: b.PID(), Keep: true})
	d := watch(t, one, two)
	attached := func(name string) func() bool { return func() bool { return status(t, d, name).Attached } }
	eventually(t, "a is attached", attached("a"))
	eventually(t, "b is attached", attached("b"))

	if err := d.Watch([]Target{one, {Name: "c"}}); err == nil {
		t.Error("a bad target was taken")
	}
	if len(d.Targets()) != 2 || !status(t, d, "b").Attached {
		t.Error("a bad target has changed something")
	}
	changed := two
	changed.Every *= 2
	if err := d.Watch([]Target{one, changed}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "b is attached again", attached("b"))
	for name, want := range map[string]float64{"a": 1, "b": 2} {
		if n := metric(t, d, "massattach_attach_duration_seconds", map[string]string{"target": name}); n != want {
			t.Errorf("%v attaches to %s, want %v", n, name, want)
		}
	}
	if err := d.Watch([]Target{one}); err != nil {
		t.Fatal(err)
	}
	free(t, b.PID())
	undisturbed(t, b)
	if len(d.Targets()) != 1 || !status(t, d, "a").Attached {
		t.Error("a is not watched alone")
	}
	// The name is free again.
	if err := d.Watch([]Target{one, two}); err != nil {
		t.Fatal(err)
	}
}

func mustReport(t *testing.T, d *Daemon, pid int) Report {
	t.Helper()
	last, _ := d.Report(pid)
	r, ok := last.(Report)
	if !ok {
		t.Fatalf("the last report is %+v", last)
	}
	return r
}

func tracerOf(t *testing.T, pid, tid int) int {
	t.Helper()
	p, err := attacher.ProcFS{}.Open(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	st, err := p.Status(tid)
	if err != nil {
		t.Fatal(err)
	}
	return st.TracerPid
}

// rename gives a target a name that no other process has.
func rename(t *testing.T, p *target.Target) string {
	t.Helper()
	name := fmt.Sprintf("serve-%d", os.Getpid())
	if err := p.SetComm(t.Context(), p.PID(), name); err != nil {
		t.Fatal(err)
	}
	return name
}
