package bench

import (
	"slices"
	"testing"
	"time"

	"massattach/attacher"
	"massattach/bench/raw"
	"massattach/internal/target"
)

// What is left of a thread's rate of creating others that end at once, beside
// 5,000 idle ones: by turns in an untraced window, and traced.
func BenchmarkCreation(b *testing.B) {
	ours := func(follow attacher.Follow) func(b *testing.B, p *target.Target) func() {
		return func(b *testing.B, p *target.Target) func() {
			s := attach(b, p.PID(), &attacher.Options{Follow: follow})
			return func() {
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	for _, c := range []struct {
		name   string
		attach func(b *testing.B, p *target.Target) (detach func())
	}{
		{"follow=none", ours(attacher.FollowNone)},
		{"follow=scan", ours(attacher.FollowScan)},
		{"follow=clone", ours(attacher.FollowClone)},
		{"raw-clone", func(b *testing.B, p *target.Target) func() {
			tids, err := raw.List(p.PID())
			if err != nil {
				b.Fatal(err)
			}
			s, err := raw.Follow(tids)
			if err != nil {
				b.Fatal(err)
			}
			return func() { s.Release() }
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			p := start(b, target.Spec{Epoll: 5_000, Churn: 1, Orphan: true})
			window := func() float64 {
				w, err := p.Window(b.Context(), 250*time.Millisecond)
				if err != nil {
					b.Fatal(err)
				}
				return w.Rate(w.Born)
			}
			var kept []float64
			for b.Loop() {
				for range 8 {
					before := window()
					detach := c.attach(b, p)
					time.Sleep(50 * time.Millisecond)
					traced := window()
					detach()
					time.Sleep(50 * time.Millisecond)
					kept = append(kept, traced/((before+window())/2))
				}
			}
			slices.Sort(kept)
			b.ReportMetric(100*median(kept), "%kept")
			b.ReportMetric(100*kept[len(kept)/4], "%kept-q1")
			b.ReportMetric(100*kept[len(kept)*3/4], "%kept-q3")
		})
	}
}
