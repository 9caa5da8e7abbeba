package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"massattach/attacher"
	"massattach/internal/report"
	"massattach/internal/target"
	"massattach/procfs"
)

// stage is a target, and what is needed to treat it.
type stage struct {
	*Options
	plan
	ctx    context.Context
	found  map[string]*found
	target *target.Target
	ends   []func() error
	damage string          // that a process has left in the target
	ran    map[string]bool // the processes that have been run on it, by their arguments
}

// open starts the target of a case.
func (r *run) open(ctx context.Context, c *kase, n int) (*stage, error) {
	s := &stage{Options: r.Options, plan: r.plan, ctx: ctx, found: r.found}
	t, err := target.Start(ctx, c.spec(n))
	if l, ok := errors.AsType[*target.LimitError](err); ok {
		return nil, &outcomeError{report.OutcomeRefused, fmt.Sprintf("%s is %d, and would have to be %d: %s", l.Limit, l.Have, l.Need, l.Fix)}
	}
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.ENOMEM) {
		return nil, &outcomeError{report.OutcomeRefused, err.Error()}
	}
	if err != nil {
		return nil, err
	}
	s.target = t
	return s, nil
}

// atEnd has f called before the target ends.
func (s *stage) atEnd(f func() error) { s.ends = append(s.ends, f) }

// close ends the target; nothing of it is left, and nobody stopped.
func (s *stage) close() error {
	var err error
	for _, f := range s.ends {
		err = errors.Join(err, f())
	}
	// One that was left stopped is continued by Close.
	_, cerr := s.target.Close()
	return errors.Join(err, cerr)
}

func (s *stage) pid() int     { return s.target.PID() }
func (s *stage) threads() int { return s.target.Threads() }

// window is how long things are counted that happen all the time.
func (s *stage) window() time.Duration { return s.plan.window }

// ours is massattach, within this process.
func (s *stage) ours(run func(context.Context) (sample, error)) subject {
	return subject{name: report.SubjectOurs, run: run}
}

// bare is the bare loop beside it.
func bare(run func(context.Context) (sample, error)) subject {
	return subject{name: report.SubjectRaw, run: run}
}

// attach attaches to the target by the library.
func (s *stage) attach(ctx context.Context, follow attacher.Follow) (*attacher.Session, error) {
	return attacher.Attach(ctx, s.pid(), &attacher.Options{Follow: follow, Kernel: s.Kernel})
}

// heal checks that a process has left the target as it was, and notes what it did not.
func (s *stage) heal() {
	if s.target != nil {
		s.damage = cmp.Or(s.damage, s.untouched())
	}
}

// settling is how long a pause may still last that began with the end of a treatment:
// it is noticed when it is over.
const settling = 20 * time.Millisecond

// observe has the target's account of what it noticed while do was at work, and adds it
// to the figures.
func (s *stage) observe(ctx context.Context, do func(context.Context) (sample, error)) (sample, error) {
	if err := s.target.Reset(ctx); err != nil {
		return nil, err
	}
	figures, err := do(ctx)
	if err != nil {
		return nil, err
	}
	time.Sleep(settling)
	a, err := s.target.Account(ctx)
	if err != nil {
		return nil, err
	}
	figures[report.FigureEINTR], figures[report.FigureEarly] = float64(a.EINTR), float64(a.Early)
	if a.Spins > 0 {
		figures[report.FigurePause] = time.Duration(a.MaxGapNS).Seconds()
	}
	for kind, k := range a.Kinds {
		if call := calls[kind]; call != "" && k.Threads > 0 {
			figures[report.FigureEINTR+" "+call] += float64(k.EINTR)
		}
	}
	return figures, nil
}

// calls are the names of the calls that threads of a mix make, by kind.
var calls = map[string]string{
	target.KindFutex: "futex", target.KindEpoll: "epoll_wait", target.KindSem: "semop",
	target.KindSleep: "nanosleep", target.KindRead: "read",
}

// samples is how many threads are looked at where looking at all would take too long.
const samples = 64

// state is how the target is, by some of its threads.
type state struct{ traced, free, stopped int }

func (s *stage) look() (st state, err error) {
	p, err := procfs.FS{}.Open(s.pid())
	if err != nil {
		return st, err
	}
	defer p.Close()
	tids, err := p.AppendTIDs(nil)
	if err != nil {
		return st, err
	}
	step := max(1, len(tids)/samples)
	for i := 0; i < len(tids); i += step {
		t, err := p.Status(tids[i])
		if err != nil {
			continue // it has ended
		}
		if t.TracerPid == 0 {
			st.free++
		} else {
			st.traced++
		}
		if t.State == 'T' || t.State == 't' {
			st.stopped++
		}
	}
	return st, nil
}

// untouched checks that nobody traces the target or has left it stopped. It lets it run
// if that is so, and says what it was.
func (s *stage) untouched() (damage string) {
	for end := time.Now().Add(time.Second); ; time.Sleep(breath) {
		st, err := s.look()
		switch {
		case err != nil:
			return "the target has ended"
		case st.traced == 0 && st.stopped == 0:
			return ""
		case time.Now().Before(end):
		case st.stopped > 0 && st.traced == 0:
			_ = unix.Kill(s.pid(), unix.SIGCONT)
			return "left it stopped"
		default:
			return "left it traced"
		}
	}
}
