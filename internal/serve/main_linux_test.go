package serve

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"massattach/internal/bpf"
	"massattach/internal/target"
	"massattach/procfs"
	"massattach/stopper"
)

func TestMain(m *testing.M) {
	target.Main()
	os.Setenv("GORACE", "atexit_sleep_ms=0")
	leastStanding = patience
	os.Exit(m.Run())
}

// patience bounds every wait of a test.
const patience = time.Minute

// start runs a target until the test ends. It is nobody's child here.
func start(t testing.TB, s target.Spec) *target.Target {
	t.Helper()
	if os.Geteuid() != 0 {
		if scope, _ := (procfs.FS{}).YamaScope(); scope > 0 {
			if os.Getenv("CI") == "true" {
				t.Fatal("not root, and Yama is in the way")
			}
			t.Skipf("kernel.yama.ptrace_scope is %d: an ordinary user can't trace what is no child of the tracer", scope)
		}
	}
	s.Orphan = true
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	p, err := target.Start(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// styles are those that work here.
func styles() []stopper.Style {
	all := []stopper.Style{stopper.Interrupt}
	if slices.Contains(strings.Split(os.Getenv("MASSATTACH_REQUIRE"), ","), "task_work") || bpf.NotifySupported() == nil {
		all = append(all, stopper.Notify)
	}
	return all
}

// quick is a target that is probed often.
func quick(t Target) Target {
	t.Every, t.Deadline = 100*time.Millisecond, patience
	return t
}

// watch is a daemon until the test ends.
func watch(t testing.TB, targets ...Target) *Daemon {
	t.Helper()
	d := New(Options{Say: t.Logf})
	t.Cleanup(d.Close)
	if err := d.Watch(targets); err != nil {
		t.Fatal(err)
	}
	return d
}

func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// status is that of the daemon's target by that name.
func status(t testing.TB, d *Daemon, name string) Status {
	t.Helper()
	for _, s := range d.Targets() {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("there is no target %s", name)
	return Status{}
}

// undisturbed checks the target's own account, and that nobody of it is held.
func undisturbed(t testing.TB, p *target.Target) {
	t.Helper()
	a, err := p.Account(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if a.EINTR != 0 || a.Early != 0 {
		t.Errorf("the target saw %d EINTR and %d early returns: %+v", a.EINTR, a.Early, a.Kinds)
	}
}

// free checks that nobody is traced or stopped.
func free(t testing.TB, pid int) {
	t.Helper()
	p, err := procfs.FS{}.Open(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	tids, err := p.AppendTIDs(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tid := range tids {
		st, err := p.Status(tid)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil || st.TracerPid != 0 || st.State == 't' || st.State == 'T' {
			t.Errorf("thread %d: tracer %d, state %c, %v", tid, st.TracerPid, st.State, err)
		}
	}
}

// metric is the value of one metric of a daemon.
func metric(t testing.TB, d *Daemon, name string, labels map[string]string) float64 {
	t.Helper()
	families, err := d.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	metrics:
		for _, m := range f.GetMetric() {
			has := make(map[string]string)
			for _, l := range m.GetLabel() {
				has[l.GetName()] = l.GetValue()
			}
			for k, v := range labels {
				if has[k] != v {
					continue metrics
				}
			}
			switch {
			case m.Counter != nil:
				return m.Counter.GetValue()
			case m.Gauge != nil:
				return m.Gauge.GetValue()
			default:
				return float64(m.Histogram.GetSampleCount())
			}
		}
	}
	t.Fatalf("there is no %s%v", name, labels)
	return 0
}

func lint(t testing.TB, d *Daemon) {
	t.Helper()
	problems, err := testutil.GatherAndLint(d.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Error(fmt.Sprint(p))
	}
}
