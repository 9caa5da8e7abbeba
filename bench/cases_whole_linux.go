package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"massattach/internal/report"
	"massattach/internal/target"
)

// figureStopped is seconds until all stood still.
const figureStopped = "stopped"

// child is the standard target as a child of ours: so that the end of a stop is heard of.
func child(n int) target.Spec {
	s := target.Mix(n)
	s.Wake = true
	return s
}

// wholeCases are about whole processes, ours and the peers', from their start to their
// end.
var wholeCases = []kase{{
	BenchCase: report.BenchCase{Name: "session", Kind: report.WholeProcess, Figure: report.FigureSeconds,
		About: "attach to all threads and detach, as a process from its start to its end; massattach with --follow none, with its default, event, and massattach threads, which only reads /proc"},
	sizes: allSizes, quick: []int{1_000, 4_000}, spec: mix,
	subjects: func(s *stage) ([]subject, error) {
		subjects := []subject{
			s.command(report.SubjectOurs, "attach", "--for", "0s", "--follow", "none"),
			s.command(report.SubjectOurs+" event", "attach", "--for", "0s"),
			// A process that computes as much and traces nobody: what a thread of the
			// target waits for a CPU meanwhile is no fault of ptrace's.
			s.command(report.SubjectOurs+" threads", "threads"),
		}
		subjects = append(subjects, s.peersOf("strace", "gdb", "lldb", "dlv", "criu", "perf")...)
		return append(subjects, subject{name: report.SubjectUntouched, run: s.untouchedFor(s.threads())}), nil
	},
}, {
	BenchCase: report.BenchCase{Name: "stop", Kind: report.WholeProcess, Figure: report.FigureSeconds,
		About: "stop all threads and let them go on at once: by massattach as a process (in both styles), by SIGSTOP, and by the cgroup freezer"},
	sizes: allSizes, quick: []int{4_000}, spec: child,
	subjects: func(s *stage) ([]subject, error) {
		subjects := []subject{
			s.command(report.SubjectOurs, "stop"),
			s.command(report.SubjectOurs+" notify", "stop", "--style", "notify"),
			{name: "sigstop", peer: "sigstop", run: s.sigstop},
		}
		f, err := s.freezing()
		if err != nil {
			return append(subjects, subject{name: "freezer", peer: "freezer", run: func(context.Context) (sample, error) {
				return nil, &outcomeError{report.OutcomeRefused, err.Error()}
			}}), nil
		}
		s.atEnd(f.close)
		return append(subjects, subject{name: "freezer", peer: "freezer", run: f.run}), nil
	},
}, {
	BenchCase: report.BenchCase{Name: "look", Kind: report.WholeProcess, Figure: report.FigureSeconds,
		About: "say where each thread stands: massattach examine, which stops none; eu-stack, one frame each"},
	sizes: allSizes, spec: mix,
	subjects: func(s *stage) ([]subject, error) {
		return append([]subject{s.command(report.SubjectOurs, "examine")}, s.peersOf("eu-stack")...), nil
	},
}, {
	BenchCase: report.BenchCase{Name: "held", Kind: report.WholeProcess, Figure: report.FigureKept, More: true,
		About: "part of the rate of a loop of system calls that is left while a tool is attached and does nothing"},
	sizes: []int{1_000}, spec: func(n int) target.Spec {
		return target.Spec{Sys: 1, Epoll: n, CPUs: []int{0}, Orphan: true}
	},
	subjects: func(s *stage) ([]subject, error) { return s.holders(s.keptBy(countCalls)), nil },
}, {
	BenchCase: report.BenchCase{Name: "held-creation", Kind: report.WholeProcess, Figure: report.FigureKept, More: true,
		About: "part of a thread's rate of creating others that is left while a tool is attached and does nothing"},
	sizes: []int{1_000}, spec: func(n int) target.Spec {
		return target.Spec{Epoll: n, Churn: 1, CPUs: []int{0}, Orphan: true}
	},
	subjects: func(s *stage) ([]subject, error) { return s.holders(s.keptBy(countBirths)), nil },
}, {
	BenchCase: report.BenchCase{Name: "idle", Kind: report.WholeProcess, Figure: report.FigureShare,
		About: "part of one CPU that a tool uses which is attached while nothing happens, and its memory"},
	sizes: someSizes, spec: func(n int) target.Spec {
		spec := mix(n)
		spec.Spin = 0
		return spec
	},
	subjects: func(s *stage) ([]subject, error) {
		return s.holders(func(ctx context.Context, hold holder) (sample, error) {
			return hold(ctx, func(ctx context.Context, p *os.Process) (sample, error) {
				time.Sleep(10 * breath)
				before, err := cpuOf(p.Pid)
				if err != nil {
					return nil, err
				}
				begin := time.Now()
				select {
				case <-ctx.Done():
					return nil, ctx.Err()
				case <-time.After(s.plan.idle):
				}
				after, err := cpuOf(p.Pid)
				return sample{report.FigureShare: (after - before).Seconds() / time.Since(begin).Seconds()}, err
			})
		}), nil
	},
}}

// command is this program as a process, attached to the target in some way. What it
// reports is checked.
func (s *stage) command(name string, verb ...string) subject {
	argv := append(append([]string{}, s.Command...), verb...)
	argv = append(argv, "--format", "json", pidOf(s.pid()))
	return subject{name: name, run: func(ctx context.Context) (sample, error) {
		var stopped time.Duration
		figures, err := s.process(ctx, command{argv: argv, check: func(output []byte) error {
			var r struct {
				Converged bool `json:"converged"`
				Threads   json.RawMessage
				Stop      *report.Stop `json:"stop"`
			}
			if err := json.Unmarshal(output, &r); err != nil {
				return fmt.Errorf("%s: %w", verb[0], err)
			}
			if verb[0] == "examine" || verb[0] == "threads" {
				return nil // lists
			}
			var all report.Totals
			if err := json.Unmarshal(r.Threads, &all); err != nil {
				return err
			}
			if !r.Converged || all.Attached < s.threads() || r.Stop != nil && r.Stop.Missed > 0 {
				return fmt.Errorf("%d of %d were attached to", all.Attached, s.threads())
			}
			if r.Stop != nil {
				stopped = time.Duration(r.Stop.ElapsedNS)
			}
			return nil
		}})
		if stopped > 0 && err == nil {
			figures[figureStopped] = stopped.Seconds()
		}
		return figures, err
	}}
}

func (s *stage) peersOf(names ...string) (subjects []subject) {
	for _, name := range names {
		subjects = append(subjects, s.session(s.found[name]))
	}
	return subjects
}

// untouchedFor leaves the target alone, for about as long as massattach takes for n
// threads: how long a thread waits for a CPU meanwhile is the machine's.
func (s *stage) untouchedFor(n int) func(context.Context) (sample, error) {
	d := 50*time.Millisecond + time.Duration(n)*5*time.Microsecond
	return func(ctx context.Context) (sample, error) {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(d):
			return sample{}, nil
		}
	}
}

// sigstop stops the target and lets it go on when all of it stands still, which the
// kernel tells its parent.
func (s *stage) sigstop(ctx context.Context) (sample, error) {
	begin := time.Now()
	if err := unix.Kill(s.pid(), unix.SIGSTOP); err != nil {
		return nil, err
	}
	var stopped time.Duration
	stands := make(chan error, 1)
	go func() { // ends with the target at the latest
		err := error(unix.EINTR)
		for errors.Is(err, unix.EINTR) {
			err = unix.Waitid(unix.P_PID, s.pid(), nil, unix.WSTOPPED, nil)
		}
		stopped = time.Since(begin)
		stands <- err
	}()
	var err error
	select {
	case err = <-stands:
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), unix.Kill(s.pid(), unix.SIGCONT))
	}
	err = errors.Join(err, unix.Kill(s.pid(), unix.SIGCONT))
	return sample{report.FigureSeconds: time.Since(begin).Seconds(), figureStopped: stopped.Seconds()}, err
}

// A holder has a tool stay attached while f is at work.
type holder func(ctx context.Context, f func(context.Context, *os.Process) (sample, error)) (sample, error)

// holders are the tools that stay attached, while something is measured.
func (s *stage) holders(measure func(context.Context, holder) (sample, error)) []subject {
	argv := append(append([]string{}, s.Command...), "attach", pidOf(s.pid()))
	subjects := []subject{s.ours(func(ctx context.Context) (sample, error) {
		return measure(ctx, func(ctx context.Context, f func(context.Context, *os.Process) (sample, error)) (sample, error) {
			return s.holding(ctx, argv, s.awaitAttached, f)
		})
	})}
	for i := range peers {
		p := s.found[peers[i].name]
		if p.holding == nil {
			continue
		}
		ready := s.awaitAttached
		if p.name == "perf" {
			ready = func(ctx context.Context) error { // it traces without ptrace
				select {
				case <-ctx.Done():
				case <-time.After(time.Second):
				}
				return nil
			}
		}
		subjects = append(subjects, subject{name: p.name, peer: p.name, run: func(ctx context.Context) (sample, error) {
			return measure(ctx, func(ctx context.Context, f func(context.Context, *os.Process) (sample, error)) (sample, error) {
				return s.holding(ctx, p.holding(p.path, s.pid()), ready, f)
			})
		}})
	}
	return subjects
}

// keptBy measures which part of a rate is left while a tool is attached.
func (s *stage) keptBy(count func(target.Window) int64) func(context.Context, holder) (sample, error) {
	return func(ctx context.Context, hold holder) (sample, error) {
		return s.kept(ctx, count, func(ctx context.Context, traced func(context.Context) (sample, error)) (sample, error) {
			return hold(ctx, func(ctx context.Context, _ *os.Process) (sample, error) { return traced(ctx) })
		})
	}
}
