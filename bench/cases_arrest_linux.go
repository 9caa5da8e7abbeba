package bench

import (
	"context"
	"fmt"
	"time"

	"massattach/attacher"
	"massattach/bench/raw"
	"massattach/internal/bpf"
	"massattach/internal/report"
	"massattach/internal/target"
	"massattach/procfs"
	"massattach/stopper"
	"massattach/stopper/notify"
)

// calm is how long the target has to fall asleep again after a stop.
const calm = 20 * time.Millisecond

// Figures of arrests beside the time until all stand still.
const (
	figureCall   = "call"   // seconds of the whole call
	figureRegs   = "regs"   // seconds to read the registers of all
	figureResume = "resume" // seconds until all were let go
	figureSelect = "select" // seconds of the scan that selects
)

// arrestCases are about stopping threads and looking at them, within this process.
var arrestCases = []kase{{
	BenchCase: report.BenchCase{Name: "arrest", Kind: report.InProcess, Figure: report.FigureSeconds,
		Why:   "massattach looks at each stop, mends the call that it has interrupted, and takes it, where raw only takes it and leaves the EINTR",
		About: "interrupt all threads, until the last has stopped; raw: INTERRUPT all, then wait4 each by its number"},
	sizes: allSizes, quick: quickSizes, spec: mix,
	subjects: func(s *stage) ([]subject, error) {
		return []subject{
			s.ours(func(ctx context.Context) (sample, error) {
				return s.arrest(ctx, stopper.Request{}, "", func(h *stopper.Held) error {
					return h.Each(func(t stopper.Thread) error {
						var r attacher.Regs
						return t.Regs(&r)
					})
				})
			}),
			bare(func(context.Context) (sample, error) {
				tids, err := raw.List(s.pid())
				if err != nil {
					return nil, err
				}
				return bareArrest(tids)
			}),
		}, nil
	},
}, {
	BenchCase: report.BenchCase{Name: "arrest-notify", Kind: report.InProcess, Figure: report.FigureSeconds,
		About: "arrest all threads in notify style, until nobody may run in user mode; raw: the bare BPF programs that arm all and ask until then"},
	sizes: allSizes, quick: quickSizes, spec: mix, subjects: notifySubjects,
}, {
	BenchCase: report.BenchCase{Name: "arrest-some", Kind: report.InProcess, Figure: report.FigureSeconds,
		Why:   "the 50 belong to many tracer threads, each of which has to be woken, which at this size is most of it; the scan that selects is not in it",
		About: "interrupt the 50 threads of one name, the others run on; raw: INTERRUPT and wait4 of the same 50, found beforehand"},
	sizes: someSizes, spec: mix,
	subjects: func(s *stage) ([]subject, error) {
		const name = "chosen"
		kinds, err := s.target.List(s.ctx)
		if err != nil {
			return nil, err
		}
		chosen := kinds[target.KindEpoll]
		chosen = chosen[:min(50, len(chosen))]
		for _, tid := range chosen {
			if err := s.target.SetComm(s.ctx, tid, name); err != nil {
				return nil, err
			}
		}
		return []subject{
			s.ours(func(ctx context.Context) (sample, error) {
				return s.arrest(ctx, stopper.Request{Selection: procfs.Selection{Comm: name}}, "", nil)
			}),
			bare(func(context.Context) (sample, error) { return bareArrest(chosen) }),
		}, nil
	},
}, {
	BenchCase: report.BenchCase{Name: "examine", Kind: report.InProcess, Figure: report.FigureSeconds,
		Why:   "what two passes say is compared thread by thread and judged",
		About: "say where each thread stands, without stopping one, by the kernel's task iterator; raw: two passes of it"},
	sizes: allSizes, quick: quickSizes, spec: mix,
	subjects: func(s *stage) ([]subject, error) {
		tasks, err := bpf.OpenTasks(s.pid())
		if err != nil {
			return nil, &outcomeError{report.OutcomeRefused, err.Error()}
		}
		s.atEnd(tasks.Close)
		ours, err := s.examiner(stopper.MeansIterator)
		if err != nil {
			return nil, err
		}
		return []subject{ours, bare(func(context.Context) (sample, error) {
			begin := time.Now()
			for range 2 {
				for _, err := range tasks.All() {
					if err != nil {
						return nil, err
					}
				}
			}
			return sample{report.FigureSeconds: time.Since(begin).Seconds()}, nil
		})}, nil
	},
}, {
	BenchCase: report.BenchCase{Name: "examine-proc", Kind: report.InProcess, Figure: report.FigureSeconds,
		Why:   "massattach reads stat as well, and parses all of it",
		About: "the same from /proc alone; raw: read schedstat, syscall and schedstat again of each"},
	sizes: someSizes, spec: mix,
	subjects: func(s *stage) ([]subject, error) {
		ours, err := s.examiner(stopper.MeansProc)
		if err != nil {
			return nil, err
		}
		tids, err := raw.List(s.pid())
		if err != nil {
			return nil, err
		}
		return []subject{ours, bare(func(context.Context) (sample, error) {
			begin := time.Now()
			_, err := raw.Examine(s.pid(), tids)
			return sample{report.FigureSeconds: time.Since(begin).Seconds()}, err
		})}, nil
	},
}}

// arrest attaches, has threads stand still, calls look, and lets all go. In notify
// style it is the second arrest that counts: at the first the mechanism gets to know
// the threads.
func (s *stage) arrest(ctx context.Context, r stopper.Request, mechanism string, look func(*stopper.Held) error) (figures sample, err error) {
	session, err := s.attach(ctx, attacher.FollowEvent)
	if err != nil {
		return nil, err
	}
	defer func() {
		if cerr := session.Close(); err == nil {
			err = cerr
		}
		time.Sleep(calm)
	}()
	st, err := stopper.New(session, &stopper.Options{Mechanism: mechanism})
	if err != nil {
		return nil, err
	}
	if r.Style == stopper.Notify {
		if err := st.Hold(ctx, r, func(*stopper.Held) error { return nil }); err != nil {
			return nil, err
		}
	}
	time.Sleep(calm)
	begin := time.Now()
	h, err := st.Arrest(ctx, r)
	if err != nil {
		return nil, err
	}
	called := time.Now()
	got := h.Report()
	figures = sample{report.FigureSeconds: got.Elapsed.Seconds(), figureCall: called.Sub(begin).Seconds()}
	if r.Selection.Looks() {
		figures[figureSelect] = got.Selecting.Seconds()
	}
	if look != nil {
		begin := time.Now()
		err = look(h)
		figures[figureRegs] = time.Since(begin).Seconds()
	}
	begin = time.Now()
	if rerr := h.Resume(); err == nil {
		err = rerr
	}
	figures[figureResume] = time.Since(begin).Seconds()
	if err == nil && !got.Complete {
		err = fmt.Errorf("%d of %d did not stand still", got.Missed, got.Requested)
	}
	return figures, err
}

// bareArrest interrupts tids, reads their registers and lets them run, on one bare thread.
func bareArrest(tids []int) (sample, error) {
	a, err := raw.Arresting(tids)
	if err != nil {
		return nil, err
	}
	defer func() {
		a.Release()
		time.Sleep(calm)
	}()
	time.Sleep(calm)
	figures := make(sample)
	for _, step := range []struct {
		figure string
		do     func() (time.Duration, error)
	}{{report.FigureSeconds, a.Arrest}, {figureRegs, a.Regs}, {figureResume, a.Resume}} {
		took, err := step.do()
		if err != nil {
			return nil, err
		}
		figures[step.figure] = took.Seconds()
	}
	time.Sleep(calm)
	return figures, nil
}

// notifySubjects arrest in notify style.
func notifySubjects(s *stage) ([]subject, error) {
	subjects := []subject{
		s.ours(func(ctx context.Context) (sample, error) {
			return s.arrest(ctx, stopper.Request{Style: stopper.Notify}, "", nil)
		}),
		{name: report.SubjectOurs + " ptrace", run: func(ctx context.Context) (sample, error) {
			return s.arrest(ctx, stopper.Request{Style: stopper.Notify}, notify.Ptrace, nil)
		}},
	}
	tids, err := raw.List(s.pid())
	if err != nil {
		return nil, err
	}
	programs := stopper.Preload(notify.TaskWork)
	s.atEnd(programs.Close)
	n, err := raw.Notifying(s.pid(), tids)
	if err != nil {
		return append(subjects, bare(func(context.Context) (sample, error) {
			return nil, &outcomeError{report.OutcomeRefused, err.Error()}
		})), nil
	}
	s.atEnd(n.Close)
	return append(subjects, bare(func(context.Context) (sample, error) {
		a, err := raw.Arresting(tids)
		if err != nil {
			return nil, err
		}
		defer func() {
			a.Release()
			time.Sleep(calm)
		}()
		took, err := n.Arm()
		if err != nil {
			return nil, err
		}
		reported, err := n.Disarm()
		if err == nil {
			err = a.Pass(reported)
		}
		return sample{report.FigureSeconds: took.Seconds()}, err
	})), nil
}

// examiner looks at all threads.
func (s *stage) examiner(m stopper.Means) (subject, error) {
	x, err := stopper.NewExaminer(s.pid(), &stopper.ExamineOptions{Means: m})
	if err != nil {
		return subject{}, err
	}
	s.atEnd(x.Close)
	return s.ours(func(ctx context.Context) (sample, error) {
		coherent := 0
		begin := time.Now()
		err := x.ExamineAll(ctx, procfs.Selection{}, func(e *stopper.Exam) error {
			if e.Verdict == stopper.Coherent {
				coherent++
			}
			return nil
		})
		if err == nil && coherent < s.threads()*9/10 {
			err = fmt.Errorf("%d coherent looks at %d threads", coherent, s.threads())
		}
		return sample{report.FigureSeconds: time.Since(begin).Seconds()}, err
	}), nil
}
