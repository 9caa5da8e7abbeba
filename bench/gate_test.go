//go:build linux

package bench

import (
	"context"
	"os"
	"slices"
	"testing"
	"time"

	"massattach/attacher"
	"massattach/internal/report"
)

// gateEnv has the gate measure. It is no part of go test, where other packages' tests
// take the CPUs meanwhile.
const gateEnv = "MASSATTACH_GATE"

// twice is how often a limit must be kept, or not, to count as kept or not: the best of
// three.
const twice = 2

// passGate measures what the limits are about, again and again until each was kept or
// broken twice, and answers those that were broken.
func passGate(t *testing.T, limits []limit, kernel attacher.Kernel) (broken []violation) {
	t.Helper()
	kept, over := make(map[string]int), make(map[string]int)
	for len(limits) > 0 {
		o := &Options{Kernel: kernel, Peers: []string{}, Command: []string{"true"},
			pace: &plan{rounds: 15, least: 9, slice: 3 * time.Second, window: 50 * time.Millisecond, limit: 10 * time.Second, noise: 3, noiseSize: 1_000}}
		for _, l := range limits {
			o.Cases = append(o.Cases, l.kase)
			if !slices.Contains(o.Sizes, l.n) {
				o.Sizes = append(o.Sizes, l.n)
			}
		}
		b, err := Run(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		now, err := violations(b, limits)
		if err != nil {
			t.Fatal(err)
		}
		var left []limit
		for _, l := range limits {
			r, _ := b.Ratio(l.kase, l.n, report.SubjectRaw, report.FigureSeconds)
			t.Logf("%s at %d threads: %.2f (%.2f to %.2f), limit %.2f", l.kase, l.n, r.Median, r.Low, r.High, l.most)
			i := slices.IndexFunc(now, func(v violation) bool { return v.limit == l })
			if i >= 0 {
				over[l.kase]++
			} else {
				kept[l.kase]++
			}
			switch {
			case over[l.kase] == twice:
				broken = append(broken, now[i])
			// One that is far from its limit need not be looked at again.
			case kept[l.kase] == twice || i < 0 && over[l.kase] == 0 && r.High < l.most:
			default:
				left = append(left, l)
			}
		}
		limits = left
	}
	return broken
}

// TestGate is the regression gate: run by .ci/run, alone.
func TestGate(t *testing.T) {
	if os.Getenv(gateEnv) == "" {
		t.Skip("it needs the machine for itself: by hand, with " + gateEnv + "=1")
	}
	rounds := 1
	if os.Getenv("MASSATTACH_CAMPAIGN") != "" {
		rounds = 20
	}
	for range rounds {
		for _, v := range passGate(t, limits, nil) {
			t.Error(v)
		}
	}
}

// The gate catches a build that takes some µs more for each SEIZE, and for each INTERRUPT.
func TestGateCatches(t *testing.T) {
	if os.Getenv(gateEnv) == "" {
		t.Skip("it needs the machine for itself: by hand, with " + gateEnv + "=1")
	}
	slowed := slices.DeleteFunc(slices.Clone(limits), func(l limit) bool { return l.kase != "attach" && l.kase != "arrest" })
	over := passGate(t, slowed, tardyKernel{attacher.Linux})
	for _, l := range slowed {
		if !slices.ContainsFunc(over, func(v violation) bool { return v.kase == l.kase }) {
			t.Errorf("%s was slowed, and passes", l.kase)
		}
	}
}

// tardyKernel is Linux where a SEIZE takes 20 µs more, and an INTERRUPT 80: some five
// times as long as they do, and three times as long as attach and arrest take in all.
type tardyKernel struct{ attacher.Kernel }

func (k tardyKernel) Tracer() (attacher.Tracer, error) {
	t, err := k.Kernel.Tracer()
	if err != nil {
		return nil, err
	}
	return tardyTracer{t}, nil
}

type tardyTracer struct{ attacher.Tracer }

func (t tardyTracer) Seize(tid, options int) error {
	spin(20 * time.Microsecond)
	return t.Tracer.Seize(tid, options)
}

func (t tardyTracer) Interrupt(tid int) error {
	spin(80 * time.Microsecond)
	return t.Tracer.Interrupt(tid)
}

func spin(d time.Duration) {
	for begin := time.Now(); time.Since(begin) < d; {
	}
}

// Without a machine: who is over a limit for sure is named, who may be is not, and a
// limit that was not measured is an error.
func TestViolations(t *testing.T) {
	ratio := func(kase string, median, low float64) report.Ratio {
		return report.Ratio{Case: kase, N: 1000, Of: report.SubjectOurs, To: report.SubjectRaw, Figure: report.FigureSeconds, Median: median, Low: low, High: median + 1}
	}
	b := &report.Bench{Ratios: []report.Ratio{ratio("slow", 2, 1.9), ratio("perhaps", 2, 1.1), ratio("fine", 1, 0.9)}}
	over, err := violations(b, []limit{{"slow", 1000, 1.5}, {"perhaps", 1000, 1.5}, {"fine", 1000, 1.5}})
	if err != nil || len(over) != 1 || over[0].kase != "slow" {
		t.Errorf("%v, %v", over, err)
	}
	if _, err := violations(b, []limit{{"nowhere", 1000, 2}}); err == nil {
		t.Error("a limit that was not measured is kept")
	}
}

// A gate with a context that has ended fails instead of passing.
func TestRunInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b, err := Run(ctx, &Options{Peers: []string{}, Cases: []string{"scan"}, Command: []string{"true"}, pace: brisk()})
	if err == nil && !b.Interrupted {
		t.Errorf("%+v", b)
	}
}
