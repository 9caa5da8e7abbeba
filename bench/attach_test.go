package bench

import (
	"fmt"
	"os"
	"testing"
	"time"

	"massattach/bench/raw"
	"massattach/internal/target"
)

// Attach to all threads, from the first read of their list to the last SEIZE,
// beside one thread that lists and seizes.
func BenchmarkAttach(b *testing.B) {
	for _, n := range []int{1_000, 10_000} {
		b.Run(fmt.Sprintf("threads=%d", n), func(b *testing.B) { benchmarkAttach(b, n) })
	}
}

func benchmarkAttach(b *testing.B, n int) float64 {
	spec := target.Mix(n)
	spec.Orphan = true
	p := start(b, spec)
	var f pairs
	for b.Loop() {
		rs, err := raw.Attach(p.PID())
		if err != nil {
			b.Fatal(err)
		}
		rs.Release()
		time.Sleep(5 * time.Millisecond)
		s := attach(b, p.PID(), nil)
		time.Sleep(5 * time.Millisecond)
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		r := s.Report()
		if r.Threads.Attached < rs.Threads || !r.Converged {
			b.Fatalf("attached %d of %d", r.Threads.Attached, rs.Threads)
		}
		f.add(r.Attach.Elapsed, rs.Elapsed)
		time.Sleep(5 * time.Millisecond)
	}
	f.report(b, "ns/attach")
	if a := account(b, p); a.EINTR != 0 || a.Early != 0 {
		b.Errorf("the target saw %d EINTR, %d early returns", a.EINTR, a.Early)
	}
	return median(f.ours)
}

// How the time of an attach grows with the threads: the exponent of a line
// through the logarithms of the sizes so far. Sizes that the machine's limits don't allow are left
// out; in a campaign (MASSATTACH_CAMPAIGN=1, as root) the limits are raised
// meanwhile.
func BenchmarkGrowth(b *testing.B) {
	if os.Getenv("MASSATTACH_CAMPAIGN") != "" {
		restore, err := target.RaiseLimits(110_000)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			if err := restore(); err != nil {
				b.Error(err)
			}
		})
	}
	var points []point
	for _, n := range []int{1_000, 3_000, 10_000, 30_000, 100_000} {
		b.Run(fmt.Sprintf("threads=%d", n), func(b *testing.B) {
			if t := benchmarkAttach(b, n); t > 0 {
				points = append(points, point{float64(n), t})
			}
			if e, ok := growthOf(points); ok {
				b.ReportMetric(e.median, "exponent")
			}
		})
	}
}

// Let go of all threads, until the last tracer thread is gone, beside the end
// of as many bare tracer threads.
func BenchmarkDetach(b *testing.B) {
	const n, share = 10_000, 500
	spec := target.Mix(n)
	spec.Orphan = true
	p := start(b, spec)
	var f pairs
	for b.Loop() {
		tids, err := raw.List(p.PID())
		if err != nil {
			b.Fatal(err)
		}
		rs, err := raw.Split(tids, (len(tids)+share-1)/share)
		if err != nil {
			b.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
		bare := rs.Release()
		time.Sleep(10 * time.Millisecond)
		s := attach(b, p.PID(), nil)
		time.Sleep(10 * time.Millisecond)
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		f.add(s.Report().Detach.Elapsed, bare)
	}
	f.report(b, "ns/detach")
	if a := account(b, p); a.EINTR != 0 || a.Early != 0 {
		b.Errorf("the target saw %d EINTR, %d early returns", a.EINTR, a.Early)
	}
}
