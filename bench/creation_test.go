package bench

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"massattach/attacher"
	"massattach/bench/raw"
	"massattach/internal/target"
)

// What is left of a thread's rate of creating others that end at once, beside
// idle ones: by turns in an untraced window, and traced. The creator is pinned
// to a CPU.
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
		idle   int
		attach func(b *testing.B, p *target.Target) (detach func())
	}{
		{"follow=none", 10_000, ours(attacher.FollowNone)},
		{"follow=event", 10_000, ours(attacher.FollowEvent)},
		{"follow=scan", 10_000, ours(attacher.FollowScan)},
		{"follow=clone", 5_000, ours(attacher.FollowClone)},
		{"raw-clone", 5_000, func(b *testing.B, p *target.Target) func() {
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
		b.Run(fmt.Sprintf("%s/idle=%d", c.name, c.idle), func(b *testing.B) {
			p := start(b, target.Spec{Epoll: c.idle, Churn: 1, CPUs: []int{0}, Orphan: true})
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

// How many threads are not traced yet 5 ms after they have settled, as the
// target reads it, beside a creator at full rate; and how long they are free.
func BenchmarkGap(b *testing.B) {
	births := int64(500)
	if os.Getenv("MASSATTACH_CAMPAIGN") != "" {
		births = 10_000
	}
	p := start(b, target.Spec{Epoll: 10_000, Churn: 1, CPUs: []int{0}, Orphan: true, Births: target.Births{
		Rate: 300, Life: 200 * time.Millisecond, Check: attacher.DefaultSettle + 5*time.Millisecond}})
	var checked, untraced, late int64
	var gap attacher.Quantiles
	for b.Loop() {
		s := attach(b, p.PID(), &attacher.Options{Follow: attacher.FollowEvent})
		time.Sleep(300 * time.Millisecond)
		before := account(b, p).Births
		checked, untraced, late = 0, 0, 0
		// A busy machine may read all of them late.
		for checked+late < births {
			time.Sleep(50 * time.Millisecond)
			after := account(b, p).Births
			checked, untraced, late = after.Checked-before.Checked, after.Untraced-before.Untraced, after.Late-before.Late
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		if r := s.Report(); r.Follow != attacher.FollowEvent {
			b.Skip(r.FollowMissing)
		} else {
			gap = r.Attach.Gap
		}
	}
	if checked > 0 {
		b.ReportMetric(100*float64(untraced)/float64(checked), "%untraced")
	}
	b.ReportMetric(float64(late), "unread")
	b.ReportMetric(float64(gap.P50), "p50-gap-ns")
	b.ReportMetric(float64(gap.P99), "p99-gap-ns")
	b.ReportMetric(float64(gap.Max), "max-gap-ns")
	if a := account(b, p); a.EINTR != 0 || a.Early != 0 {
		b.Errorf("the target saw %d EINTR, %d early returns", a.EINTR, a.Early)
	}
}
