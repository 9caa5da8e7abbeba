//go:build linux

package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"massattach/internal/target"
)

// figure is the value of a metric in the text form.
func figure(t *testing.T, text, metric string) float64 {
	t.Helper()
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, metric+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Errorf("there is no %s", metric)
	return 0
}

// Metrics are served from the attach to the detach, and nothing else is. What they
// say is what the report says.
func TestMetricsListen(t *testing.T) {
	tg := startTarget(t, target.Spec{Epoll: 100, Recv: 10, Spin: 1})
	p := attach(t, tg, "--metrics-listen", "127.0.0.1:0", "--format", "json")
	p.says("/metrics\n")
	at := regexp.MustCompile(`metrics at (http://127\.0\.0\.1:\d+)/metrics`).FindStringSubmatch(p.stderr.String())
	get := func(method, path string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, at[1]+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	ctx, cancel := bounded()
	defer cancel()
	if _, err := tg.Flood(ctx, target.Flood{Count: 20}); err != nil {
		t.Fatal(err)
	}
	code, text := get("GET", "/metrics")
	if code != http.StatusOK {
		t.Fatalf("%d: %s", code, text)
	}
	n := float64(tg.Threads())
	for metric, want := range map[string]float64{
		`massattach_threads{phase="running"}`:                    n,
		`massattach_seize_latency_seconds_count`:                 n,
		`massattach_converged`:                                   1,
		`massattach_events_total{event="signal"}`:                200,
		`massattach_signal_forward_latency_seconds_count`:        200,
		`massattach_attach_errors_total{cause="other-user"}`:     0,
		`massattach_stop_missed_total{reason="uninterruptible"}`: 0,
	} {
		if got := figure(t, text, metric); got != want {
			t.Errorf("%s is %v, not %v", metric, got, want)
		}
	}
	if figure(t, text, "massattach_tracers") < 1 {
		t.Error("no tracers")
	}
	for path, want := range map[string]int{"/": 404, "/debug/pprof/": 404, "/metrics/x": 404} {
		if code, _ := get("GET", path); code != want {
			t.Errorf("%s: %d", path, code)
		}
	}
	if code, _ := get("POST", "/metrics"); code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", code)
	}
	p.signal(syscall.SIGTERM)
	p.ends(exitComplete)
	if !strings.Contains(p.stdout.String(), fmt.Sprintf(`"attached":%d,`, tg.Threads())) || !strings.Contains(p.stdout.String(), `"signals":200,`) {
		t.Error(p.stdout.String())
	}
	if _, err := http.Get(at[1] + "/metrics"); err == nil {
		t.Error("it is still served")
	}
}

// When the file can't be written at the end that is said, the report is printed all
// the same, and the target is free.
func TestMetricsFileVanishes(t *testing.T) {
	tg := startTarget(t, target.Spec{Epoll: 10})
	dir := filepath.Join(t.TempDir(), "m")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	p := attach(t, tg, "--metrics-file", filepath.Join(dir, "m.prom"))
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGTERM)
	p.ends(exitError)
	if !strings.Contains(p.stderr.String(), "--metrics-file "+dir) || !strings.Contains(p.stdout.String(), "detached") {
		t.Errorf("%s\n%s", p.stdout.String(), p.stderr.String())
	}
}
