package fleet

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	api "github.com/prometheus/client_golang/api/prometheus/v1"

	"massattach/deploy/grafana/chart"
	"massattach/deploy/grafana/dashboard"
	"massattach/deploy/internal/try"
)

// rateWindow is over how long the tests take rates.
const rateWindow = "20s"

// The alerts that are about the targets alone, however late the machine scrapes and probes.
const (
	notConverged = "MassattachNotConverged"
	disturbs     = "MassattachDisturbsTarget"
)

// Three instances, each of which probes a target in both styles every 2 s: every query
// of the dashboard has data, also without native histograms, and can be drawn; every rule
// loads, and records; no alert about a target fires while all is well, and what should
// fire does, and for no other, when a debugger takes one of the threads.
//
// MASSATTACH_DRAW names a directory to keep the drawings in.
func TestDashboard(t *testing.T) {
	try.Root(t)
	try.Need(t, "ip", "nsenter", "prometheus", "promtool", "strace")
	threads := size(400, 3000)
	var instances []*instance
	var targets []*try.Target
	for i, name := range []string{"shop", "search", "billing"} {
		tg := try.StartTarget(t, threads)
		tg.Signal(t, 3*time.Millisecond)
		targets = append(targets, tg)
		instances = append(instances, startInstance(t, i+1, []watch{
			{Name: name, PID: tg.PID, Every: "2s", Arrest: []string{"notify", "interrupt"}},
		}))
	}
	server := startPrometheus(t, instances, "1s", native)
	classic := startPrometheus(t, instances, "1s")
	begin := time.Now()

	for _, in := range instances {
		page, err := in.get("/metrics")
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("promtool", "check", "metrics")
		cmd.Stdin = bytes.NewReader(page)
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("promtool check metrics: %v\n%s", err, out)
		}
	}
	rules := rulesLoad(t, server)

	time.Sleep(time.Duration(size(20, 180)) * time.Second) // of curves to draw
	if alerts := firing(t, server, notConverged, disturbs); len(alerts) > 0 {
		t.Errorf("all is well, but %q", alerts)
	}
	draw(t, func(p dashboard.Panel) (svg []byte) {
		try.Until(t, "there is all to draw", func() error {
			r := chart.Range{From: begin, To: time.Now(), Window: rateWindow}
			if p.Kind != dashboard.Heatmap {
				if _, err := chart.Fetch(context.Background(), classic, p, r); err != nil {
					return fmt.Errorf("without native histograms: %w", err)
				}
			}
			series, err := chart.Fetch(context.Background(), server, p, r)
			if err != nil {
				return err
			}
			svg = chart.Draw(p, series, r)
			return nil
		})
		return svg
	})
	for _, r := range rules {
		if r.Record == "" {
			continue
		}
		for _, from := range []api.API{server, classic} {
			try.Until(t, r.Record, func() error {
				v, err := query(from, r.Record)
				if err == nil && len(v) == 0 {
					err = errors.New("no data")
				}
				return err
			})
		}
	}

	debug(t, targets[1].PID)
	want := []string{notConverged + " search node-02"}
	try.Until(t, "the alert fires", func() error {
		if alerts := firing(t, server, notConverged); !slices.Equal(alerts, want) {
			return fmt.Errorf("firing are %q, not %q", alerts, want)
		}
		return nil
	})
	for _, tg := range targets {
		if n := tg.EINTR(t); n > 0 {
			t.Errorf("%d calls of process %d returned EINTR", n, tg.PID)
		}
	}
}

// draw draws each panel.
func draw(t *testing.T, panel func(dashboard.Panel) []byte) {
	t.Helper()
	dir := os.Getenv("MASSATTACH_DRAW")
	if dir == "" {
		dir = t.TempDir()
	}
	for _, row := range dashboard.Rows() {
		for _, p := range row.Panels {
			writeFile(t, filepath.Join(dir, fmt.Sprintf("%d.svg", p.ID)), panel(p))
		}
	}
}

// debug has another tracer attach to one thread of a process, not the main one, until
// the test is over.
func debug(t *testing.T, pid int) {
	t.Helper()
	tids, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	// The thread that was born last, in whatever mix: others are in epoll_wait, which
	// strace makes return EINTR. As text 9999 is the last of a range to 12000.
	slices.SortFunc(tids, func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) })
	tid := filepath.Base(tids[len(tids)-1])
	if tid == strconv.Itoa(pid) {
		tid = filepath.Base(tids[0])
	}
	// Between two probes; in one it is told that somebody is there already.
	try.Until(t, "strace attaches", func() error {
		cmd := exec.Command("strace", "-p", tid, "-o", "/dev/null")
		try.Start(t, cmd)
		time.Sleep(500 * time.Millisecond)
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/status", pid, tid))
		tracer := fmt.Sprintf("TracerPid:\t%d\n", cmd.Process.Pid)
		if err == nil && !bytes.Contains(status, []byte(tracer)) {
			err = fmt.Errorf("thread %s is not strace's", tid)
		}
		if err != nil {
			_ = cmd.Process.Kill() // a late one would be in the way of the next
			_ = cmd.Wait()
		}
		return err
	})
}
