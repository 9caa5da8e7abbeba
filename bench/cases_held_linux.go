package bench

import (
	"context"
	"fmt"
	"time"

	"massattach/attacher"
	"massattach/bench/raw"
	"massattach/internal/report"
	"massattach/internal/target"
)

// heldCases are about what a target can still do while it is attached to by this
// process.
var heldCases = []kase{{
	BenchCase: report.BenchCase{Name: "signals", Kind: report.InProcess, Figure: report.FigureRate, More: true,
		About: "real-time signals a second to 64 threads beside the others; raw: one thread that waits for any and continues it",
		Why:   "massattach looks at each stop whether it has interrupted a call"},
	sizes: someSizes,
	spec:  func(n int) target.Spec { return target.Spec{Futex: n, Recv: 64, Orphan: true} },
	subjects: func(s *stage) ([]subject, error) {
		flood := func(ctx context.Context) (sample, error) {
			f, err := s.target.Flood(ctx, target.Flood{For: s.window(), Window: 64})
			if err == nil && f.Lost != 0 {
				err = fmt.Errorf("%d signals lost", f.Lost)
			}
			if err != nil {
				return nil, err
			}
			return sample{report.FigureRate: f.Rate()}, nil
		}
		return []subject{
			s.ours(func(ctx context.Context) (sample, error) { return s.attached(ctx, attacher.FollowEvent, flood) }),
			bare(func(ctx context.Context) (sample, error) { return s.bareHeld(ctx, raw.Forward, flood) }),
			{name: report.SubjectUntouched, run: flood},
		}, nil
	},
}, {
	BenchCase: report.BenchCase{Name: "calls", Kind: report.InProcess, Figure: report.FigureKept, More: true,
		About: "part of the rate of a loop of system calls that is left while it is attached to; raw: one thread that waits"},
	sizes: someSizes,
	spec: func(n int) target.Spec {
		return target.Spec{Sys: 1, Epoll: n, CPUs: []int{0}, Orphan: true}
	},
	subjects: func(s *stage) ([]subject, error) { return s.keptSubjects(countCalls, raw.Forward), nil },
}, {
	BenchCase: report.BenchCase{Name: "creation", Kind: report.InProcess, Figure: report.FigureKept, More: true,
		About: "part of a thread's rate of creating others that is left, by follow mode; raw: one thread with PTRACE_O_TRACECLONE"},
	sizes: []int{1_000, 5_000, 10_000},
	spec: func(n int) target.Spec {
		return target.Spec{Epoll: n, Churn: 1, CPUs: []int{0}, Orphan: true}
	},
	subjects: func(s *stage) ([]subject, error) {
		subjects := s.keptSubjects(countBirths, raw.Follow)
		for _, follow := range []attacher.Follow{attacher.FollowScan, attacher.FollowClone} {
			subjects = append(subjects, subject{name: fmt.Sprintf("%s %v", report.SubjectOurs, follow), run: func(ctx context.Context) (sample, error) {
				return s.kept(ctx, countBirths, func(ctx context.Context, traced func(context.Context) (sample, error)) (sample, error) {
					return s.attached(ctx, follow, traced)
				})
			}})
		}
		return subjects, nil
	},
}}

func countCalls(w target.Window) int64  { return w.Calls }
func countBirths(w target.Window) int64 { return w.Born }

// keptSubjects are ours and the bare tracer, in whose presence something is counted.
func (s *stage) keptSubjects(count func(target.Window) int64, seize func([]int) (*raw.Session, error)) []subject {
	return []subject{
		s.ours(func(ctx context.Context) (sample, error) {
			return s.kept(ctx, count, func(ctx context.Context, traced func(context.Context) (sample, error)) (sample, error) {
				return s.attached(ctx, attacher.FollowEvent, traced)
			})
		}),
		bare(func(ctx context.Context) (sample, error) {
			return s.kept(ctx, count, func(ctx context.Context, traced func(context.Context) (sample, error)) (sample, error) {
				return s.bareHeld(ctx, seize, traced)
			})
		}),
	}
}

// kept counts in a window before, in one within during, and in one behind it, and
// answers which part of the rate was left.
func (s *stage) kept(ctx context.Context, count func(target.Window) int64,
	during func(ctx context.Context, traced func(context.Context) (sample, error)) (sample, error)) (sample, error) {
	rate := func(ctx context.Context) (float64, error) {
		w, err := s.target.Window(ctx, s.window())
		return w.Rate(count(w)), err
	}
	before, err := rate(ctx)
	if err != nil {
		return nil, err
	}
	figures, err := during(ctx, func(ctx context.Context) (sample, error) {
		time.Sleep(10 * breath)
		r, err := rate(ctx)
		return sample{report.FigureRate: r}, err
	})
	if err != nil {
		return nil, err
	}
	time.Sleep(10 * breath)
	behind, err := rate(ctx)
	figures[report.FigureKept] = figures[report.FigureRate] / ((before + behind) / 2)
	return figures, err
}

// attached calls f while all threads are attached.
func (s *stage) attached(ctx context.Context, follow attacher.Follow, f func(context.Context) (sample, error)) (sample, error) {
	session, err := s.attach(ctx, follow)
	if err != nil {
		return nil, err
	}
	figures, err := f(ctx)
	if cerr := session.Close(); err == nil {
		err = cerr
	}
	return figures, err
}

// bareHeld calls f while all threads have a bare tracer.
func (s *stage) bareHeld(ctx context.Context, seize func([]int) (*raw.Session, error), f func(context.Context) (sample, error)) (sample, error) {
	tids, err := raw.List(s.pid())
	if err != nil {
		return nil, err
	}
	rs, err := seize(tids)
	if err != nil {
		return nil, err
	}
	defer rs.Release()
	return f(ctx)
}
