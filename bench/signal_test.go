package bench

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"massattach/bench/raw"
	"massattach/internal/target"
)

// Real-time signals to 64 threads at full rate, beside one bare thread that
// waits for any and continues it with its signal. With idle tracees beside them
// the bare one has those, too: seized before the busy ones, which it then finds
// at once, or after them.
func BenchmarkSignals(b *testing.B) {
	for _, c := range []struct {
		idle  int
		first bool // the busy ones are seized first, and found last
	}{{0, false}, {10_000, false}, {10_000, true}} {
		idle := c.idle
		b.Run(fmt.Sprintf("idle=%d/busyfirst=%v", idle, c.first), func(b *testing.B) {
			p := start(b, target.Spec{Futex: idle, Recv: 64, Orphan: true})
			flood := func() float64 {
				f, err := p.Flood(b.Context(), target.Flood{For: time.Second, Window: 64})
				if err != nil {
					b.Fatal(err)
				}
				if f.Lost != 0 {
					b.Fatalf("%d signals lost", f.Lost)
				}
				return f.Rate()
			}
			var free, bare, ours []float64
			for b.Loop() {
				free = append(free, flood())
				tids, err := raw.List(p.PID())
				if err != nil {
					b.Fatal(err)
				}
				if c.first {
					slices.Reverse(tids) // the busy ones were made last
				}
				rs, err := raw.Forward(tids)
				if err != nil {
					b.Fatal(err)
				}
				bare = append(bare, flood())
				rs.Release()
				s := attach(b, p.PID(), nil)
				ours = append(ours, flood())
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(median(free), "untraced-signals/s")
			b.ReportMetric(median(bare), "raw-signals/s")
			b.ReportMetric(median(ours), "signals/s")
			b.ReportMetric(median(ours)/median(bare), "x-raw")
			if a := account(b, p); a.SignalErrors() != 0 {
				b.Errorf("%d signals out of order or changed", a.SignalErrors())
			}
		})
	}
}
