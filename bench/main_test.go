package bench

import (
	"context"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"massattach/attacher"
	"massattach/internal/programs"
	"massattach/internal/target"
)

func TestMain(m *testing.M) {
	target.Main()
	programs.Main()
	// As the command does: see its main.
	runtime.GOMAXPROCS(max(4, runtime.GOMAXPROCS(0)))
	os.Exit(m.Run())
}

func start(b testing.TB, s target.Spec) *target.Target {
	b.Helper()
	p, err := target.Start(b.Context(), s)
	if err != nil {
		b.Skip(err) // a limit is too low: it says which
	}
	b.Cleanup(func() { p.Close() })
	return p
}

func attach(b testing.TB, pid int, o *attacher.Options) *attacher.Session {
	b.Helper()
	s, err := attacher.Attach(context.Background(), pid, o)
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func account(b testing.TB, p *target.Target) target.Account {
	b.Helper()
	a, err := p.Account(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	return a
}

// pairs are the figures of two things that were measured by turns.
type pairs struct{ ours, raw []float64 }

func (p *pairs) add(ours, raw time.Duration) {
	p.ours = append(p.ours, float64(ours))
	p.raw = append(p.raw, float64(raw))
}

// report gives the medians, and the ratio of the first to the second with the
// middle half of the ratios pair by pair.
func (p *pairs) report(b *testing.B, unit string) {
	ours, raw := median(p.ours), median(p.raw)
	b.ReportMetric(ours, unit)
	b.ReportMetric(raw, "raw-"+unit)
	b.ReportMetric(ours/raw, "x-raw")
	ratios := make([]float64, len(p.ours))
	for i := range ratios {
		ratios[i] = p.ours[i] / p.raw[i]
	}
	slices.Sort(ratios)
	b.ReportMetric(ratios[len(ratios)/4], "x-raw-q1")
	b.ReportMetric(ratios[len(ratios)*3/4], "x-raw-q3")
}

// ratio gives the ratio of the medians alone.
func (p *pairs) ratio(b *testing.B, unit string) {
	b.ReportMetric(median(p.ours)/median(p.raw), unit)
}
