package bench

import (
	"context"
	"fmt"
	"time"

	"massattach/attacher"
	"massattach/bench/raw"
	"massattach/internal/report"
	"massattach/internal/target"
	"massattach/procfs"
)

// breath is how long the target is left alone between two treatments.
const breath = 5 * time.Millisecond

// attachCases are about attaching and letting go, within this process.
var attachCases = []kase{{
	BenchCase: report.BenchCase{Name: "scan", Kind: report.InProcess, Figure: report.FigureSeconds,
		About: "list all threads; raw: getdents64 in a loop"},
	sizes: allSizes, spec: mix,
	subjects: func(s *stage) ([]subject, error) {
		var room []int
		return []subject{
			s.ours(func(context.Context) (sample, error) {
				begin := time.Now()
				p, err := procfs.FS{}.Open(s.pid())
				if err != nil {
					return nil, err
				}
				defer p.Close()
				room, err = p.AppendTIDs(room[:0])
				return sample{report.FigureSeconds: time.Since(begin).Seconds()}, err
			}),
			bare(func(context.Context) (sample, error) {
				begin := time.Now()
				_, err := raw.List(s.pid())
				return sample{report.FigureSeconds: time.Since(begin).Seconds()}, err
			}),
		}, nil
	},
}, {
	BenchCase: report.BenchCase{Name: "attach", Kind: report.InProcess, Figure: report.FigureSeconds,
		About: "seize all threads, from the first read of the list to the last SEIZE; raw: getdents64 and SEIZE on one thread"},
	sizes: allSizes, quick: quickSizes, spec: mix,
	subjects: func(s *stage) ([]subject, error) {
		return []subject{
			s.ours(func(ctx context.Context) (sample, error) {
				session, err := s.attach(ctx, attacher.FollowEvent)
				if err != nil {
					return nil, err
				}
				time.Sleep(breath)
				if err := session.Close(); err != nil {
					return nil, err
				}
				r := session.Report()
				if !r.Converged || r.Threads.Attached < s.threads() {
					return nil, fmt.Errorf("attached %d of %d", r.Threads.Attached, s.threads())
				}
				return sample{report.FigureSeconds: r.Attach.Elapsed.Seconds()}, nil
			}),
			bare(s.bareAttach),
		}, nil
	},
}, {
	BenchCase: report.BenchCase{Name: "detach", Kind: report.InProcess, Figure: report.FigureSeconds,
		Why:   "massattach looks at every tracee once more before its tracer ends, and at the tracers until they are gone",
		About: "let all threads go, until the last tracer is gone; raw: as many bare threads that end"},
	sizes: allSizes, quick: quickSizes, spec: mix,
	subjects: func(s *stage) ([]subject, error) {
		return []subject{
			s.ours(func(ctx context.Context) (sample, error) {
				session, err := s.attach(ctx, attacher.FollowEvent)
				if err != nil {
					return nil, err
				}
				time.Sleep(2 * breath)
				err = session.Close()
				return sample{report.FigureSeconds: session.Report().Detach.Elapsed.Seconds()}, err
			}),
			bare(func(context.Context) (sample, error) {
				tids, err := raw.List(s.pid())
				if err != nil {
					return nil, err
				}
				rs, err := raw.Split(tids, (len(tids)+attacher.DefaultShare-1)/attacher.DefaultShare)
				if err != nil {
					return nil, err
				}
				time.Sleep(2 * breath)
				return sample{report.FigureSeconds: rs.Release().Seconds()}, nil
			}),
		}, nil
	},
},
	amidChurn(attacher.FollowNone, raw.ForwardLiving, "none"),
	amidChurn(attacher.FollowScan, raw.ForwardLiving, "none"),
	amidChurn(attacher.FollowEvent, raw.ForwardLiving, "none"),
	amidChurn(attacher.FollowClone, raw.Follow, "PTRACE_O_TRACECLONE"),
}

// amidChurn is the attach while threads come and go.
func amidChurn(follow attacher.Follow, seize func([]int) (*raw.Session, error), rawFollow string) kase {
	return kase{
		BenchCase: report.BenchCase{Name: "attach-" + follow.String(), Kind: report.InProcess, Figure: report.FigureSeconds,
			Why:   "massattach lists a second time where threads have ended meanwhile, and then the newest until it finds nobody, raw lists once and misses who is born; with event it loads its programs first",
			About: fmt.Sprintf("attach with --follow %v while 2 threads create others without pause and 300 a second live for 0.8 s; raw follows by: %s", follow, rawFollow)},
		sizes: someSizes,
		spec: func(n int) target.Spec {
			spec := mix(n)
			spec.Churn, spec.Births = 2, target.Births{Rate: 300, Life: 800 * time.Millisecond}
			return spec
		},
		subjects: func(s *stage) ([]subject, error) {
			return []subject{
				s.ours(func(ctx context.Context) (sample, error) {
					session, err := s.attach(ctx, follow)
					if err != nil {
						return nil, err
					}
					took := session.Report().Attach.Elapsed
					time.Sleep(breath)
					return sample{report.FigureSeconds: took.Seconds()}, session.Close()
				}),
				bare(func(context.Context) (sample, error) {
					begin := time.Now()
					tids, err := raw.List(s.pid())
					if err != nil {
						return nil, err
					}
					rs, err := seize(tids)
					if err != nil {
						return nil, err
					}
					took := time.Since(begin)
					time.Sleep(breath)
					rs.Release()
					return sample{report.FigureSeconds: took.Seconds()}, nil
				}),
			}, nil
		},
	}
}

// bareAttach is the bare attach, and the end of it.
func (s *stage) bareAttach(context.Context) (sample, error) {
	rs, err := raw.Attach(s.pid())
	if err != nil {
		return nil, err
	}
	time.Sleep(breath)
	rs.Release()
	return sample{report.FigureSeconds: rs.Elapsed.Seconds()}, nil
}
