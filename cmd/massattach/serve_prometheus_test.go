//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"massattach/internal/programs"
	"massattach/internal/target"
)

// shown are the names of all metrics that serve has for a target; true: a histogram.
var shown = map[string]bool{
	"massattach_scan_duration_seconds":          true,
	"massattach_attach_duration_seconds":        true,
	"massattach_seize_latency_seconds":          true,
	"massattach_stop_latency_seconds":           true,
	"massattach_stop_duration_seconds":          true,
	"massattach_hold_duration_seconds":          true,
	"massattach_detach_duration_seconds":        true,
	"massattach_signal_forward_latency_seconds": true,
	"massattach_threads":                        false,
	"massattach_target_threads":                 false,
	"massattach_tracers":                        false,
	"massattach_events_total":                   false,
	"massattach_attach_errors_total":            false,
	"massattach_stop_missed_total":              false,
	"massattach_eintr_repaired_total":           false,
	"massattach_eintr_left_total":               false,
	"massattach_converged":                      false,
	"massattach_last_probe_timestamp_seconds":   false,
	"massattach_build_info":                     false,
}

// needProgram skips where a program is missing, which it must not be in CI.
func needProgram(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if inCI() {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	return path
}

// promtool has nothing to say of what serve shows.
func TestServePromtool(t *testing.T) {
	promtool := needProgram(t, "promtool")
	tg := startTarget(t, target.Mix(60))
	d := startServe(t, "--every", "100ms", "--arrest", bothStyles(t), strconv.Itoa(tg.PID()))
	d.probes(strconv.Itoa(tg.PID()), 2)
	answer, err := http.Get(d.base + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	metrics, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(promtool, "check", "metrics")
	cmd.Stdin = bytes.NewReader(metrics)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v:\n%s", err, out)
	}
}

// A real Prometheus scrapes serve, and answers a query for each name: with classic
// histograms, and with native ones.
func TestServePrometheus(t *testing.T) {
	prometheus := needProgram(t, "prometheus")
	for _, native := range []bool{false, true} {
		t.Run(fmt.Sprintf("native=%v", native), func(t *testing.T) {
			tg := startTarget(t, target.Mix(100))
			d := startServe(t, "--every", "200ms", "--arrest", bothStyles(t), strconv.Itoa(tg.PID()))
			d.probes(strconv.Itoa(tg.PID()), 2)
			p := startPrometheus(t, prometheus, strings.TrimPrefix(d.base, "http://"), native)
			for name, histogram := range shown {
				query := name
				if histogram {
					query = name + "_count"
					if native {
						query = "histogram_count(" + name + ")"
					}
				}
				eventually(t, query, func() bool { return p.series(query) > 0 })
			}
			quantile := "histogram_quantile(0.5, rate(massattach_seize_latency_seconds_bucket[1m]))"
			if native {
				quantile = "histogram_quantile(0.5, rate(massattach_seize_latency_seconds[1m]))"
			}
			eventually(t, quantile, func() bool { return p.series(quantile) > 0 })
		})
	}
}

// promServer is a running Prometheus.
type promServer struct {
	t    *testing.T
	base string
}

func startPrometheus(t *testing.T, path, scrapes string, native bool) *promServer {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	text := fmt.Sprintf("global: {scrape_interval: 1s}\nscrape_configs:\n- job_name: massattach\n  static_configs:\n  - targets: ['%s']\n", scrapes)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	port, err := programs.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	address := "127.0.0.1:" + port
	cmd := exec.Command(path, "--config.file", config, "--storage.tsdb.path", filepath.Join(dir, "data"), "--web.listen-address", address)
	if native {
		cmd.Args = append(cmd.Args, "--enable-feature=native-histograms")
	}
	var said output
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		late := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
		defer late.Stop()
		<-ended
		if t.Failed() {
			t.Log(said.String())
		}
	})
	p := &promServer{t, "http://" + address}
	eventually(t, "Prometheus is ready", func() bool {
		if isClosed(ended) {
			t.Fatal("Prometheus has ended")
		}
		answer, err := http.Get(p.base + "/-/ready")
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	return p
}

// series is how many series a query has for an answer.
func (p *promServer) series(query string) int {
	p.t.Helper()
	answer, err := http.Get(p.base + "/api/v1/query?query=" + url.QueryEscape(query))
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	var a struct {
		Status string
		Error  string
		Data   struct{ Result []json.RawMessage }
	}
	if err := json.NewDecoder(answer.Body).Decode(&a); err != nil || a.Status != "success" {
		p.t.Fatalf("%s: %v %s", query, err, a.Error)
	}
	return len(a.Data.Result)
}
