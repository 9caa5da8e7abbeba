package bench

import (
	"syscall"
	"testing"
	"time"

	"massattach/attacher"
	"massattach/internal/target"
)

// What a session costs while nothing happens: part of one CPU.
func BenchmarkIdle(b *testing.B) {
	for _, follow := range []attacher.Follow{attacher.FollowNone, attacher.FollowEvent, attacher.FollowScan} {
		b.Run("follow="+follow.String(), func(b *testing.B) {
			spec := target.Mix(10_000)
			spec.Spin, spec.Orphan = 0, true
			p := start(b, spec)
			s := attach(b, p.PID(), &attacher.Options{Follow: follow})
			defer s.Close()
			time.Sleep(200 * time.Millisecond)
			var used, passed time.Duration
			for b.Loop() {
				before, begin := cpu(b), time.Now()
				time.Sleep(2 * time.Second)
				used += cpu(b) - before
				passed += time.Since(begin)
			}
			b.ReportMetric(100*used.Seconds()/passed.Seconds(), "%cpu")
		})
	}
}

func cpu(b testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// What is left of a loop of system calls while its thread is attached: pairs of
// windows, one untraced and one traced, the thread pinned to one CPU.
func BenchmarkSyscallLoop(b *testing.B) {
	p := start(b, target.Spec{Sys: 1, Epoll: 10_000, CPUs: []int{0}, Orphan: true})
	window := func() float64 {
		w, err := p.Window(b.Context(), 500*time.Millisecond)
		if err != nil {
			b.Fatal(err)
		}
		return w.Rate(w.Calls)
	}
	var kept []float64
	for b.Loop() {
		for i := range 8 {
			var free, traced float64
			measureTraced := func() {
				s := attach(b, p.PID(), nil)
				time.Sleep(100 * time.Millisecond)
				traced = window()
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
				time.Sleep(100 * time.Millisecond)
			}
			if i%2 == 0 {
				free = window()
				measureTraced()
			} else {
				measureTraced()
				free = window()
			}
			kept = append(kept, traced/free)
		}
	}
	b.ReportMetric(100*median(kept), "%kept")
}
