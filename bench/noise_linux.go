package bench

import (
	"context"
	"math"
	"slices"
	"time"

	"massattach/bench/raw"
	"massattach/internal/report"
	"massattach/internal/target"
)

// noise measures what the machine does to figures while nothing changes: the same bare
// attach against itself, by turns; the pauses of a thread that spins while nobody does
// anything; and this command when it does nothing.
func (r *run) noise(ctx context.Context) error {
	if r.Progress != nil {
		r.Progress(Step{Case: "noise", Threads: r.noiseSize})
	}
	t, err := target.Start(ctx, mix(r.noiseSize))
	if err != nil {
		return err
	}
	defer t.Close()
	s := &stage{Options: r.Options, plan: r.plan, ctx: ctx, target: t}
	n := &r.result.Noise
	n.WindowSeconds = r.window.Seconds()
	var a, b, pauses, processes []float64
	for range r.plan.noise {
		for _, to := range []*[]float64{&a, &b} {
			rs, err := raw.Attach(t.PID())
			if err != nil {
				return err
			}
			*to = append(*to, rs.Elapsed.Seconds())
			time.Sleep(breath)
			rs.Release()
			time.Sleep(breath)
		}
		quiet, err := s.observe(ctx, func(ctx context.Context) (sample, error) {
			_, err := t.Window(ctx, r.window)
			return make(sample), err
		})
		if err != nil {
			return err
		}
		pauses = append(pauses, quiet[report.FigurePause])
	}
	for range r.least {
		took, err := s.process(ctx, command{argv: append(slices.Clone(r.Command), "--version")})
		if err != nil {
			return err
		}
		processes = append(processes, took[report.FigureSeconds])
	}
	i, _ := ratioOf(a, b)
	n.Median, n.Low, n.High, n.Runs = i.median, i.low, i.high, len(a)
	n.PauseSeconds, n.PauseMaxSeconds = median(pauses), slices.Max(pauses)
	n.ProcessSeconds = median(processes)
	return nil
}

// hides reports whether a ratio of one cell to another is one that the machine shows of
// the same to the same: for a pause, whether they differ by less than the pauses of a
// target that nobody looks at.
func hides(n report.Noise, i interval, one, other report.Cell) bool {
	if i.low <= 1 && 1 <= i.high {
		return true
	}
	if one.Figure == report.FigurePause {
		return math.Abs(one.Median-other.Median) <= n.PauseMaxSeconds-n.PauseSeconds
	}
	return n.Low <= i.median && i.median <= n.High
}
