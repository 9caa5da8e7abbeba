package attacher_test

import (
	"errors"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"massattach/attacher"
	"massattach/internal/target"
	"massattach/procfs"
	"massattach/threadset"
)

// holder is an arbiter that holds every stop while it is on.
type holder struct {
	mu    sync.Mutex
	on    bool
	stops map[int][]attacher.Kind
}

func (h *holder) Decide(tid int, s attacher.Stop) attacher.Verdict {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stops == nil {
		h.stops = make(map[int][]attacher.Kind)
	}
	h.stops[tid] = append(h.stops[tid], s.Kind)
	if h.on {
		return attacher.Hold
	}
	return attacher.Pass
}

func (h *holder) set(on bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.on = on
}

// interrupt asks the selected threads to stop, and has their owners collect
// the stops.
func interrupt(t *testing.T, s *attacher.Session, sel procfs.Selection) {
	t.Helper()
	err := s.Do(t.Context(), sel, func(o *attacher.Owner) error {
		for _, tid := range o.TIDs() {
			if err := o.Interrupt(tid); err != nil {
				return err
			}
		}
		o.Expect(o.TIDs())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// resumeAll lets everybody who is held go on.
func resumeAll(t *testing.T, s *attacher.Session) {
	t.Helper()
	err := s.Do(t.Context(), procfs.Selection{}, func(o *attacher.Owner) error {
		for _, tid := range o.TIDs() {
			if err := o.Resume(tid); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func phases(s *attacher.Session) map[threadset.Phase]int {
	m := make(map[threadset.Phase]int)
	for th := range s.Threads() {
		m[th.Phase]++
	}
	return m
}

// An arrest, in terms of the seam that the stopper is built on: interrupt,
// hold, read, resume; the target does not find out.
func TestArbiterHolds(t *testing.T) {
	needRepair(t)
	p := start(t, target.Mix(1_000))
	s := attach(t, p.PID(), nil)
	h := new(holder)
	if err := s.SetArbiter(h); err != nil {
		t.Fatal(err)
	}
	if err := s.SetArbiter(new(holder)); err == nil {
		t.Error("a second arbiter was taken")
	}
	for range 5 {
		h.set(true)
		err := s.Do(t.Context(), procfs.Selection{}, func(o *attacher.Owner) error {
			var errs []error
			for _, tid := range o.TIDs() {
				errs = append(errs, o.Interrupt(tid), o.Interrupt(tid))
			}
			o.Expect(o.TIDs())
			return errors.Join(errs...)
		})
		if err != nil {
			t.Fatal(err)
		}
		all := s.Report().Threads.Attached
		eventually(t, "all are held", func() bool { return phases(s)[threadset.Held] == all })
		// The target can't be asked: its control thread is held, too.
		if l := lookAt(t, p.PID()); l.states['t'] != l.threads {
			t.Errorf("states %v", l.states)
		}
		h.set(false)
		err = s.Do(t.Context(), procfs.Selection{}, func(o *attacher.Owner) error {
			var errs []error
			var r attacher.Regs
			for _, tid := range o.TIDs() {
				errs = append(errs, o.Regs(tid, &r), o.Resume(tid), o.Resume(tid))
			}
			return errors.Join(errs...)
		})
		if err != nil {
			t.Fatal(err)
		}
		if n := phases(s)[threadset.Running]; n != all {
			t.Errorf("%d of %d run: %v", n, all, phases(s))
		}
	}
	detach(t, s)
	free(t, p.PID())
	undisturbed(t, p)
}

// Case 23: signals that come before, during and after a hold are delivered
// once, after it.
func TestSignalsDuringHold(t *testing.T) {
	p := start(t, target.Spec{Epoll: 50, Signals: map[int]target.Disposition{
		sigUSR1: target.SigHandle, sigUSR2: target.SigHandle}})
	kinds, err := p.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tids := kinds[target.KindEpoll]
	s := attach(t, p.PID(), nil)
	h := new(holder)
	if err := s.SetArbiter(h); err != nil {
		t.Fatal(err)
	}
	sel := procfs.Selection{TIDs: tids}
	for round := range 10 {
		h.set(true)
		if err := p.Send(t.Context(), target.Send{Signal: sigUSR1, Kind: target.KindEpoll}); err != nil && round == 0 {
			t.Fatal(err)
		}
		interrupt(t, s, sel)
		eventually(t, "all are held", func() bool { return phases(s)[threadset.Held] >= len(tids) })
		for _, tid := range tids {
			if err := tgkill(p.PID(), tid, syscall.SIGUSR2); err != nil {
				t.Fatal(err)
			}
		}
		h.set(false)
		resumeAll(t, s)
		want := int64((round + 1) * len(tids))
		eventually(t, "each handler ran once", func() bool {
			a := account(t, p)
			return a.Runs[sigUSR1] == want && a.Runs[sigUSR2] == want
		})
	}
	detach(t, s)
	free(t, p.PID())
}

// A session that ends while threads are held, or asked to stop, lets them run,
// and none of them has noticed.
func TestCloseWhileHeld(t *testing.T) {
	needRepair(t)
	quick := false
	for i := range size(10, 50) {
		p := start(t, target.Spec{Epoll: 100, Sem: 20})
		s := attach(t, p.PID(), nil)
		h := &holder{on: i%2 == 0}
		if err := s.SetArbiter(h); err != nil {
			t.Fatal(err)
		}
		err := s.Do(t.Context(), procfs.Selection{}, func(o *attacher.Owner) error {
			for _, tid := range o.TIDs() {
				if err := o.Interrupt(tid); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(i) * 100 * time.Microsecond)
		r := detach(t, s)
		free(t, p.PID())
		// It gives up waiting for an answer to an INTERRUPT after 50 ms.
		if r.Detach.Elapsed < 50*time.Millisecond {
			undisturbed(t, p)
			quick = true
		}
		p.Close()
	}
	if !quick { // as may be on a busy machine
		if t.Log("each detach took 50 ms or more"); campaign() {
			t.Fail()
		}
	}
}

func TestSubscribe(t *testing.T) {
	p := start(t, target.Spec{Epoll: 20, Signals: map[int]target.Disposition{sigUSR1: target.SigHandle}})
	s := attach(t, p.PID(), nil)
	snapshot, events := s.Subscribe(attacher.EventAll, 1000)
	if len(snapshot) != s.Report().Threads.Attached {
		t.Errorf("%d threads in the snapshot", len(snapshot))
	}
	_, few := s.Subscribe(attacher.EventSignal, 3)
	if err := p.Send(t.Context(), target.Send{Signal: sigUSR1, Kind: target.KindEpoll}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "each handler ran", func() bool { return account(t, p).Runs[sigUSR1] == 20 })
	tids, err := p.Spawn(t.Context(), target.KindFutex, 1)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is traced", func() bool { return s.Report().Events.Births == 1 })
	if err := p.End(t.Context(), tids[0]); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it has ended", func() bool { return s.Report().Events.Exits == 1 })
	kill(t, p, syscall.SIGSTOP)
	eventually(t, "all listen", func() bool { return phases(s)[threadset.Listening] == len(snapshot) })
	kill(t, p, syscall.SIGCONT)
	eventually(t, "all run", func() bool { return phases(s)[threadset.Running] == len(snapshot) })
	detach(t, s)

	var kinds []attacher.EventMask
	signals := 0
	for e := range events {
		switch {
		case e.Kind == attacher.EventSignal && e.Signal == syscall.SIGUSR1:
			signals++
		case e.Kind == attacher.EventSignal:
		default:
			if e.Kind&(attacher.EventBirth|attacher.EventExit) != 0 && e.TID != tids[0] {
				t.Errorf("%+v is about another thread than %d", e, tids[0])
			}
			kinds = append(kinds, e.Kind)
		}
	}
	want := []attacher.EventMask{attacher.EventBirth, attacher.EventExit, attacher.EventGroupStop, attacher.EventContinue, attacher.EventEnd}
	if signals != 20 || !slices.Equal(kinds, want) {
		t.Errorf("%d signals, events %v, want %v", signals, kinds, want)
	}
	got, lost, ended := 0, 0, false
	for e := range few {
		switch e.Kind {
		case attacher.EventSignal:
			got++
		case attacher.EventLost:
			lost += e.N
		case attacher.EventEnd:
			ended = true
		}
	}
	if got != 3 || got+lost < 20 || !ended {
		t.Errorf("a small buffer: %d events, %d lost, end %v", got, lost, ended)
	}
}

// Another session of the same program is a tracer like any other.
func TestAlreadyTraced(t *testing.T) {
	p := start(t, target.Spec{Epoll: 100})
	first := attach(t, p.PID(), nil)
	_, err := attacher.Attach(t.Context(), p.PID(), nil)
	var denied *attacher.DeniedError
	if !errors.As(err, &denied) || denied.Failure.Cause != attacher.CauseAlreadyTraced || denied.Threads < 100 {
		t.Errorf("a second session: %v", err)
	}
	detach(t, first)
	detach(t, attach(t, p.PID(), nil))
	undisturbed(t, p)
}

// Eight sessions on as many processes.
func TestManySessions(t *testing.T) {
	var wg sync.WaitGroup
	for range 8 {
		p := start(t, target.Spec{Epoll: 50, Recv: 4})
		wg.Go(func() {
			for range 10 {
				s, err := attacher.Attach(t.Context(), p.PID(), nil)
				if err != nil {
					t.Error(err)
					return
				}
				if f, err := p.Flood(t.Context(), target.Flood{Count: 50}); err != nil || f.Lost != 0 {
					t.Errorf("%+v, %v", f, err)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}
			free(t, p.PID())
			undisturbed(t, p)
		})
	}
	wg.Wait()
}

// The hooks see what the session does.
func TestTrace(t *testing.T) {
	p := start(t, target.Spec{Epoll: 50, Recv: 1})
	var mu sync.Mutex
	var seized, scanned, attached, forwarded, detached int
	s := attach(t, p.PID(), &attacher.Options{Trace: &attacher.Trace{
		Scanned: func(n int, d time.Duration) { mu.Lock(); scanned++; mu.Unlock() },
		Seized:  func(d []time.Duration) { mu.Lock(); seized += len(d); mu.Unlock() },
		Attached: func(s *attacher.Session, d time.Duration) {
			mu.Lock()
			attached += s.Report().Phases.Live()
			mu.Unlock()
		},
		Forwarded: func(d []time.Duration) { mu.Lock(); forwarded += len(d); mu.Unlock() },
		Detached:  func(s *attacher.Session, d time.Duration) { mu.Lock(); detached += 1 + s.Report().Tracers; mu.Unlock() },
	}})
	if _, err := p.Flood(t.Context(), target.Flood{Count: 30}); err != nil {
		t.Fatal(err)
	}
	r := detach(t, s)
	detach(t, s) // again: nothing happens
	mu.Lock()
	defer mu.Unlock()
	if n := r.Threads.Attached; seized != n || attached != n || scanned < 1 || forwarded != r.Events.Signals || forwarded < 30 || detached != 1 {
		t.Errorf("seized %d, attached %d, scanned %d, forwarded %d, detached %d; report %+v", seized, attached, scanned, forwarded, detached, r)
	}
}

// Case 38: SIGSTOP comes while half of the threads are held: one stop for the
// parent, everybody is stopped in the end, and goes on at SIGCONT.
func TestGroupStopWhileHalfHeld(t *testing.T) {
	p := start(t, target.Spec{Epoll: 100, Futex: 100, Parent: target.ParentWatch})
	kinds, err := p.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	half := procfs.Selection{TIDs: kinds[target.KindEpoll]}
	s := attach(t, p.PID(), nil)
	h := new(holder)
	if err := s.SetArbiter(h); err != nil {
		t.Fatal(err)
	}
	for i := range size(5, 20) {
		h.set(true)
		interrupt(t, s, half)
		eventually(t, "half are held", func() bool { return phases(s)[threadset.Held] >= len(half.TIDs) })
		h.set(false)
		kill(t, p, syscall.SIGSTOP)
		time.Sleep(time.Duration(i) * time.Millisecond)
		resumeAll(t, s)
		eventually(t, "the parent sees it stopped", func() bool { return parentSaw(t, p).Stopped == i+1 })
		eventually(t, "all are stopped", func() bool { return stoppedNow(t, p) })
		kill(t, p, syscall.SIGCONT)
		eventually(t, "it runs", func() bool { return runningNow(t, p) && parentSaw(t, p).Continued == i+1 })
	}
	detach(t, s)
	free(t, p.PID())
	if a := parentSaw(t, p); len(a.Events) != a.Stopped+a.Continued {
		t.Errorf("the parent saw %+v", a)
	}
}
