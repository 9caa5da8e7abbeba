//go:build linux

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"massattach/internal/target"
)

// Signals at full rate, and 2,000 births a second: untraced, attached to, and
// watched by a reader who takes everything or nothing. What was told and what
// was lost adds up in each run.
func BenchmarkWatch(b *testing.B) {
	for _, follow := range []string{"event", "scan", "clone"} {
		b.Run("follow="+follow, func(b *testing.B) { benchmarkWatch(b, follow) })
	}
}

func benchmarkWatch(b *testing.B, follow string) {
	needTracing(b)
	tg, err := target.Start(b.Context(), target.Spec{
		Futex: 100, Recv: 64, Births: target.Births{Rate: 2000, Life: 100 * time.Millisecond},
	})
	if err != nil {
		b.Fatal(err)
	}
	defer tg.Close()
	flood := func() float64 {
		f, err := tg.Flood(b.Context(), target.Flood{For: time.Second, Window: 64})
		if err != nil || f.Lost != 0 {
			b.Fatalf("%+v, %v", f, err)
		}
		return f.Rate()
	}
	flags := []string{"--follow", follow, "--phase-fd", "3", "--format", "json", strconv.Itoa(tg.PID())}
	rates := make(map[string][]float64)
	var lines, lost, cost []float64
	for b.Loop() {
		rates["untraced"] = append(rates["untraced"], flood())

		p := prepare(b, "massattach", append([]string{"attach"}, flags...)...)
		p.start().enters(phaseHold)
		rates["attach"] = append(rates["attach"], flood())
		p.signal(syscall.SIGINT)
		p.ends(exitComplete)

		p = prepare(b, "massattach", append([]string{"watch"}, flags...)...)
		file, err := os.Create(filepath.Join(b.TempDir(), "events"))
		if err != nil {
			b.Fatal(err)
		}
		p.Stdout = file
		p.start().enters(phaseHold)
		begin := time.Now()
		rates["watch"] = append(rates["watch"], flood())
		p.signal(syscall.SIGINT)
		p.ends(exitComplete)
		took := time.Since(begin).Seconds()
		file.Close()
		text, err := os.ReadFile(file.Name())
		if err != nil {
			b.Fatal(err)
		}
		all := readEvents(b, string(text))
		all.ended(b, false)
		lines = append(lines, float64(all.events)/took)
		lost = append(lost, float64(all.lost))
		cost = append(cost, (p.ProcessState.UserTime()+p.ProcessState.SystemTime()).Seconds()/took)

		stdout := clogPipe(b)
		p = prepare(b, "massattach", append([]string{"watch"}, flags...)...)
		p.Stdout = stdout.w
		p.start().enters(phaseHold)
		rates["blocked"] = append(rates["blocked"], flood())
		p.signal(syscall.SIGINT)
		p.ends(exitComplete)
	}
	for kind, r := range rates {
		b.ReportMetric(median(r), kind+"-signals/s")
	}
	b.ReportMetric(median(lines), "events/s")
	b.ReportMetric(median(lost), "lost-events")
	b.ReportMetric(median(cost), "cpus")
	b.ReportMetric(median(rates["blocked"])/median(rates["watch"]), "blocked/watch")
	b.ReportMetric(median(rates["watch"])/median(rates["attach"]), "watch/attach")
}

func median(all []float64) float64 {
	s := slices.Sorted(slices.Values(all))
	return s[len(s)/2]
}
