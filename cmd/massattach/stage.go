package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"

	"massattach/attacher"
	"massattach/internal/report"
	"massattach/internal/target"
	"massattach/procfs"
	"massattach/stopper"
)

// stage is where the target of a demonstration is treated.
type stage struct {
	verb    *demoVerb
	target  *target.Target
	process *procfs.Process
	comm    string
	futex   []int // tids, of those who get signals to handle
	epoll   []int // of those who get signals to ignore
	// heard is how many births the attacher has heard of; nil when there is
	// nobody who listens.
	heard func() int
}

// A treatment is something done to the target while it is under load, which the
// treatment calls for.
type treatment func(ctx context.Context, s *stage, r *report.Trial) error

const (
	// handled is a signal that the target has a handler for; with SA_RESTART,
	// and sent to threads in futex, it interrupts nothing. It is a real-time
	// signal (SIGRTMIN+6 in C): of the others two that are pending are one.
	handled = unix.Signal(40)
	// ignored is dropped when it is sent, unless the thread is traced: then
	// it wakes it. Any server with children gets it.
	ignored = unix.SIGCHLD
)

func newStage(ctx context.Context, v *demoVerb, t *target.Target) (*stage, error) {
	kinds, err := t.List(ctx)
	if err != nil {
		return nil, err
	}
	p, err := procfs.FS{}.Open(t.PID())
	if err != nil {
		return nil, err
	}
	return &stage{
		verb: v, target: t, process: p, comm: processName(t.PID()),
		futex: kinds[target.KindFutex], epoll: kinds[target.KindEpoll],
	}, nil
}

func (s *stage) close() { s.process.Close() }

func (s *stage) say(format string, args ...any) {
	s.verb.notes.say(report.Name(s.comm, s.target.PID())+": "+format, args...)
}

// untouched is the measure of the others: nobody does anything to the target.
func untouched(ctx context.Context, s *stage, r *report.Trial) error {
	r.Name = "untouched"
	s.say("leaving it alone for %v", s.verb.hold.Duration)
	return s.load(ctx, r, func() error { return s.look(r, false) })
}

// attached attaches to all of it, stays, and detaches.
func attached(ctx context.Context, s *stage, r *report.Trial) error {
	r.Name = "massattach"
	return s.attach(ctx, r, fmt.Sprintf("staying for %v", s.verb.hold.Duration), func(*attacher.Session) (*report.Stop, error) {
		return nil, s.look(r, false)
	})
}

// arrested does so, and stops all of its threads in the middle, to look at them.
func arrested(ctx context.Context, s *stage, r *report.Trial) error {
	r.Name = "stop"
	return s.arrest(ctx, r, "stopping all of it once", stopper.Interrupt)
}

// notified does so in notify style.
func notified(ctx context.Context, s *stage, r *report.Trial) error {
	r.Name = "notify"
	// Not in the time of the arrest, of which it may take a second where others are busy.
	programs := stopper.Preload("")
	defer programs.Close()
	return s.arrest(ctx, r, "arresting all of it once, in notify style", stopper.Notify)
}

func (s *stage) arrest(ctx context.Context, r *report.Trial, next string, style stopper.Style) error {
	return s.attach(ctx, r, next, func(session *attacher.Session) (*report.Stop, error) {
		st, err := stopper.New(session, nil)
		if err != nil {
			return nil, err
		}
		h, err := st.Arrest(ctx, stopper.Request{Style: style, Within: usualDeadline, Partial: true})
		if err != nil {
			return nil, err
		}
		err = errors.Join(s.look(r, false), h.Resume())
		stop := report.FromStopper(h.Report())
		r.StoppedNS = stop.ElapsedNS + stop.HeldNS
		return stop, err
	})
}

// attach attaches to all of it, has something done in the middle of the load, and
// detaches.
func (s *stage) attach(ctx context.Context, r *report.Trial, next string, meanwhile func(*attacher.Session) (*report.Stop, error)) error {
	follow, err := attacher.ParseFollow(s.verb.follow.value)
	if err != nil {
		return err
	}
	session, err := attacher.Attach(ctx, s.target.PID(), &attacher.Options{Follow: follow, Kernel: s.verb.kernel})
	if err != nil {
		return err
	}
	if follow != attacher.FollowNone {
		s.heard = func() int { return session.Report().Events.Births }
		defer func() { s.heard = nil }()
	}
	if why := session.Report().FollowMissing; why != "" {
		s.say("new threads are looked for in the list of threads: %s", why)
	}
	begin := time.Now()
	s.say("%s; %s", report.FromAttacher(session.Report()).Attached(report.Style{}), next)
	var stop *report.Stop
	err = s.load(ctx, r, func() (err error) {
		stop, err = meanwhile(session)
		return err
	})
	// A thread that an ignored signal has woken, and that has not had a CPU to
	// report it since, would find nobody to mend its call.
	signals := func() int { return session.Report().Events.Signals }
	for n := -1; err == nil && n < signals(); err = rest(ctx, settle) {
		n = signals()
	}
	stayed := time.Since(begin)
	err = errors.Join(err, session.Close())
	r.Session = report.FromAttacher(session.Report())
	r.Session.Stayed, r.Session.Stop = stayed, stop
	r.Followed = r.Session.Events.Births
	s.say("detached in %s", report.Duration(time.Duration(r.Session.Detach.ElapsedNS)))
	return err
}

// stopped does what tools do that can't look at a thread while it runs.
func stopped(ctx context.Context, s *stage, r *report.Trial) error {
	r.Name = "sigstop"
	s.say("stopping it once, by SIGSTOP and SIGCONT")
	return s.load(ctx, r, func() error {
		begin := time.Now()
		err := unix.Kill(s.target.PID(), unix.SIGSTOP)
		if err == nil {
			err = s.look(r, true)
		}
		err = errors.Join(err, unix.Kill(s.target.PID(), unix.SIGCONT))
		r.StoppedNS = time.Since(begin).Nanoseconds()
		return err
	})
}

const (
	// settle is how long a pause may still last that began with the end of a
	// treatment: it is noticed when it is over.
	settle = 50 * time.Millisecond
	// delivery is how long a signal may be under way, on a machine that is busy.
	delivery = time.Minute
)

// try treats the target, and asks it what it noticed.
func (s *stage) try(ctx context.Context, treat treatment) (r report.Trial, err error) {
	if err := s.target.Reset(ctx); err != nil {
		return r, err
	}
	if err := treat(ctx, s, &r); err != nil {
		return r, err
	}
	var a target.Account
	for end := time.Now().Add(delivery); ; {
		if err := rest(ctx, settle); err != nil {
			return r, err
		}
		if a, err = s.target.Account(ctx); err != nil {
			return r, err
		}
		r.Signals.Handled = int(a.Runs[int(handled)])
		if r.Signals.Handled >= r.Signals.Sent || time.Now().After(end) {
			break
		}
	}
	r.EINTR, r.Early, r.MaxPauseNS = int(a.EINTR), int(a.Early), a.MaxGapNS
	r.EINTRIn = make(map[string]int)
	for kind, k := range a.Kinds {
		if k.EINTR > 0 {
			r.EINTRIn[calls[kind]] += int(k.EINTR)
		}
	}
	return r, nil
}

// calls are the names of the calls that the kinds of threads in a mix make.
var calls = map[string]string{
	target.KindLeader: "futex", target.KindFutex: "futex", target.KindEpoll: "epoll_wait",
	target.KindSem: "semop", target.KindSleep: "clock_nanosleep", target.KindRead: "read",
}

// The load of a trial: so many signals of each kind, and so many births, all of
// these in its first half, so that in the second they can be heard of.
const (
	loadSteps  = 100
	loadBirths = 25
	// birthWait is how long births may take to be heard of in the end.
	birthWait = time.Minute
)

// load is what happens to the target in each trial, for as long as --for says.
// In the middle of it meanwhile is called, which looks at the target.
func (s *stage) load(ctx context.Context, r *report.Trial, meanwhile func() error) error {
	begin := time.Now()
	var born []int
	for i := range loadSteps {
		if err := rest(ctx, time.Until(begin.Add(s.verb.hold.Duration*time.Duration(i+1)/loadSteps))); err != nil {
			return err
		}
		if i == loadSteps/2 {
			if err := meanwhile(); err != nil {
				return err
			}
		}
		if err := s.target.Send(ctx, target.Send{Signal: int(handled), TID: s.futex[i%len(s.futex)]}); err != nil {
			return err
		}
		r.Signals.Sent++
		if err := s.target.Send(ctx, target.Send{Signal: int(ignored), TID: s.epoll[i%len(s.epoll)]}); err != nil {
			return err
		}
		r.Signals.Ignored++
		if i%2 == 0 && len(born) < loadBirths {
			tids, err := s.target.Spawn(ctx, target.KindEpoll, 1)
			if err != nil {
				return err
			}
			born = append(born, tids...)
		}
	}
	r.Births = len(born)
	// Among very many threads a new one is found late.
	for end := time.Now().Add(birthWait); s.heard != nil && s.heard() < len(born) && time.Now().Before(end); {
		if err := rest(ctx, settle); err != nil {
			return err
		}
	}
	for _, tid := range born {
		if err := s.target.End(ctx, tid); err != nil {
			return err
		}
	}
	r.ElapsedNS = time.Since(begin).Nanoseconds()
	return nil
}

// rest waits for d.
func rest(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// unwilling is how long look waits for threads that don't stop: on a machine that is busy
// one may be long without a CPU to stop on.
const unwilling = time.Minute

// look reads the state of each thread once, or until it has stopped, and counts
// those in a stop.
func (s *stage) look(r *report.Trial, wait bool) error {
	tids, err := s.process.AppendTIDs(nil)
	if err != nil {
		return err
	}
	end := time.Now().Add(unwilling)
	for _, tid := range tids {
		for {
			st, err := s.process.Stat(tid)
			if errors.Is(err, fs.ErrNotExist) {
				break
			} else if err != nil {
				return err
			}
			if st.State == 'T' || st.State == 't' {
				r.SeenStopped++
				break
			}
			if !wait || time.Now().After(end) {
				break
			}
		}
	}
	return nil
}
