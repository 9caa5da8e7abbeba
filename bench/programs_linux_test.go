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
// %kept is the median attached by the median untraced; beside it stand the
// quartiles of what each window kept of the untraced one of its round, and as
// %spread the middle half of the untraced ones, as a part of their median.
// %cpu is the time of processors that each request and the like took, of the
// program and its tracers, by that of untraced ones: where others use the
// machine, too, it says more.
func BenchmarkPrograms(b *testing.B) {
	const window = time.Second
	rounds := 1
	if os.Getenv("MASSATTACH_CAMPAIGN") != "" {
		rounds = 16
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
			_, _ = measure(b, p, ways[0], window) // it warms up
			var rates, costs [3][]float64
			for b.Loop() {
				for i := range rounds {
					for j := range ways {
						way := (i + j) % len(ways)
						rate, cost := measure(b, p, ways[way], window)
						rates[way], costs[way] = append(rates[way], rate), append(costs[way], cost)
					}
				}
			}
			if err := p.Check(); err != nil {
				b.Error(err)
			}
			reportKept(b, rates[0], rates[1], rates[2])
			b.ReportMetric(100*median(costs[1])/median(costs[0]), "%cpu")
			b.ReportMetric(100*median(costs[2])/median(costs[0]), "%cpu-raw")
		})
	}
}

// measure answers the rate of one window, and the seconds of processors that
// each request took.
func measure(b *testing.B, p *programs.Program, attach func(pid int) (io.Closer, error), window time.Duration) (rate, cost float64) {
	b.Helper()
	used := func() time.Duration {
		d, err := p.CPU()
		if err != nil {
			b.Fatal(err)
		}
		return d + cpu(b)
	}
	crew, err := p.Attach(attach)
	if err != nil {
		b.Fatal(err)
	}
	before := used()
	l, err := p.Load(b.Context(), window)
	if err != nil {
		b.Error(err)
	}
	cost = (used() - before).Seconds() / float64(l.Done)
	if err := crew.Close(); err != nil {
		b.Error(err)
	}
	return l.Rate(), cost
}

func reportKept(b *testing.B, untraced, attached, bare []float64) {
	free := median(untraced)
	b.ReportMetric(free, "untraced/s")
	b.ReportMetric(median(attached), "attached/s")
	b.ReportMetric(median(bare), "raw/s")
	b.ReportMetric(100*median(attached)/free, "%kept")
	b.ReportMetric(100*median(bare)/free, "%kept-raw")
	kept, keptRaw := parts(attached, untraced), parts(bare, untraced)
	for q := 1; q < 4; q++ {
		b.ReportMetric(100*quartile(kept, q), fmt.Sprintf("%%kept-q%d", q))
		b.ReportMetric(100*quartile(keptRaw, q), fmt.Sprintf("%%kept-raw-q%d", q))
	}
	b.ReportMetric(100*(quartile(untraced, 3)-quartile(untraced, 1))/free, "%spread")
}

// parts are the ratios pair by pair.
func parts(of, whole []float64) []float64 {
	p := make([]float64, len(of))
	for i := range p {
		p[i] = of[i] / whole[i]
	}
	return p
}

func quartile(v []float64, q int) float64 {
	return slices.Sorted(slices.Values(v))[len(v)*q/4]
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
