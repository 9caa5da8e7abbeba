package bench

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"testing"
	"time"

	"massattach/attacher"
	"massattach/bench/raw"
	"massattach/internal/programs"

	"golang.org/x/sys/unix"
)

// What is left of the throughput of real programs while they are attached to:
// windows by turns untraced, attached, and with a bare SEIZE of all threads.
// %kept is the median attached by the median untraced, %spread what lies between
// the best and the worst of the untraced ones, as a part of their median.
func BenchmarkPrograms(b *testing.B) {
	rounds, window := 1, time.Second
	if os.Getenv("MASSATTACH_CAMPAIGN") != "" {
		rounds, window = 8, 4*time.Second
	}
	for _, k := range programs.All {
		b.Run(k.Name, func(b *testing.B) {
			if err := k.Missing(); err != nil {
				b.Skip(err)
			}
			p, err := k.Start(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			defer p.Close()
			ways := []func(pid int) (io.Closer, error){
				// As often as the others it looks for processes.
				func(int) (io.Closer, error) { return closer(func() {}), nil },
				func(pid int) (io.Closer, error) { return attacher.Attach(b.Context(), pid, nil) },
				func(pid int) (io.Closer, error) { return forward(b.Context(), k, pid) },
			}
			_ = rate(b, p, ways[0], window) // it warms up
			rates := make([][]float64, len(ways))
			for b.Loop() {
				for i := range rounds {
					for j := range ways {
						way := (i + j) % len(ways)
						rates[way] = append(rates[way], rate(b, p, ways[way], window))
					}
				}
			}
			if err := p.Check(); err != nil {
				b.Error(err)
			}
			report(b, rates[0], rates[1], rates[2])
		})
	}
}

// rate is that of one window.
func rate(b *testing.B, p *programs.Program, attach func(pid int) (io.Closer, error), window time.Duration) float64 {
	b.Helper()
	crew, err := p.Attach(attach)
	if err != nil {
		b.Fatal(err)
	}
	l, err := p.Load(b.Context(), window)
	if err != nil {
		b.Error(err)
	}
	if err := crew.Close(); err != nil {
		b.Error(err)
	}
	return l.Rate()
}

func report(b *testing.B, untraced, attached, bare []float64) {
	free := median(untraced)
	b.ReportMetric(free, "untraced/s")
	b.ReportMetric(median(attached), "attached/s")
	b.ReportMetric(median(bare), "raw/s")
	b.ReportMetric(100*median(attached)/free, "%kept")
	b.ReportMetric(100*median(bare)/free, "%kept-raw")
	b.ReportMetric(100*(slices.Max(untraced)-slices.Min(untraced))/free, "%spread")
	kept := make([]float64, len(untraced))
	for i := range kept {
		kept[i] = 100 * attached[i] / untraced[i]
	}
	slices.Sort(kept)
	b.ReportMetric(kept[len(kept)/4], "%kept-q1")
	b.ReportMetric(kept[len(kept)*3/4], "%kept-q3")
}

// forward attaches bare tracers to all threads of a process, each to as many as
// one of the attacher's has.
func forward(ctx context.Context, k *programs.Kind, pid int) (io.Closer, error) {
	if comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); err == nil && k == programs.Shell && string(comm) != "bash\n" {
		// A bare tracer breaks job control: it has the shell itself only.
		return closer(func() {}), nil
	}
	var bare []*raw.Session
	release := closer(func() {
		for _, s := range bare {
			s.Release()
		}
	})
	for {
		tids, err := raw.List(pid)
		for share := range slices.Chunk(tids, attacher.DefaultShare) {
			if err != nil {
				break
			}
			var s *raw.Session
			if s, err = raw.Forward(share); err == nil {
				bare = append(bare, s)
			}
		}
		if err == nil {
			return release, nil
		}
		release()
		bare = nil
		if err != unix.ESRCH || ctx.Err() != nil || unix.Kill(pid, 0) != nil {
			return nil, err
		}
		// A thread of the list is gone: once more.
	}
}

type closer func()

func (f closer) Close() error {
	f()
	return nil
}
