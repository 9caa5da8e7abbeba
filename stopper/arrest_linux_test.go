package stopper_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"massattach/attacher"
	"massattach/internal/target"
	"massattach/procfs"
	"massattach/stopper"
)

// All threads of the standard mix, ten times: every one stands still, and none
// has noticed.
func TestArrestAll(t *testing.T) {
	needRepair(t)
	s := newScene(t, target.Mix(size(2_000, 10_000)), attacher.Options{})
	for range 10 {
		h := s.arrest(stopper.Request{})
		all, stopped := s.inStop()
		if all != stopped || len(h.TIDs()) != all {
			t.Errorf("%d of %d threads are stopped, %d held", stopped, all, len(h.TIDs()))
		}
		r := h.Report()
		if r.Requested != all || r.Stopped != all || r.Missed != 0 || r.Elapsed <= 0 || r.Latency.Max <= 0 {
			t.Errorf("report %+v of %d threads", r, all)
		}
		s.resume(h)
		s.resume(h) // again: nothing happens
		if len(h.TIDs()) != 0 {
			t.Error("somebody is held after the resume")
		}
	}
	s.end()
	s.undisturbed()
}

// A real signal during each of 50 arrests, just before, in the middle or just
// after it: the handler runs once, and its thread's call returns EINTR, as
// untraced; nobody else's does.
func TestSignalInEachArrest(t *testing.T) {
	inStyles(t, func(t *testing.T, style stopper.Style) {
		needRepair(t)
		s := newScene(t, target.Spec{Epoll: 200, Sem: 50, Futex: 50,
			Signals: map[int]target.Disposition{sigUSR1: target.SigHandle}}, attacher.Options{})
		tids := s.kinds()[target.KindEpoll]
		const rounds = 50
		for i := range rounds {
			signal := func() { must(t, unix.Tgkill(s.target.PID(), tids[i], syscall.SIGUSR1)) }
			var late *time.Timer
			switch i % 3 {
			case 0:
				signal()
			case 1:
				late = time.AfterFunc(rand.N(2*time.Millisecond), signal)
			}
			h := s.arrest(stopper.Request{Style: style})
			if i%3 == 2 {
				signal()
			}
			s.resume(h)
			_ = late
			s.eventually("the handler runs", func() bool { return s.account().Runs[sigUSR1] == int64(i+1) })
		}
		for i, tid := range tids[:rounds] {
			a, err := s.target.Thread(t.Context(), tid)
			must(t, err)
			if a.Handled != 1 || a.EINTR != 1 {
				t.Errorf("round %d: %d handlers, %d EINTR", i, a.Handled, a.EINTR)
			}
		}
		s.end()
		if a := s.account(); a.EINTR != rounds || a.Early != 0 {
			t.Errorf("%d EINTR, %d early returns", a.EINTR, a.Early)
		}
	})
}

// Case 15: a vfork parent among 500 others. When the time is over it is named;
// nothing is left behind; it runs on when its child has ended.
func TestVforkParent(t *testing.T) {
	needRepair(t)
	s := newScene(t, target.Spec{Epoll: 300, Futex: 200}, attacher.Options{})
	v, err := s.target.StartVfork(t.Context())
	must(t, err)
	s.eventually("it is traced", func() bool { return s.states()[v.TID].TracerPid != 0 })
	var partial *stopper.PartialError
	// Where the machine is busy the others may need longer.
	for within := 3 * time.Second; ; within *= 2 {
		begin := time.Now()
		_, err = s.stopper.Arrest(t.Context(), stopper.Request{Within: within})
		if took := time.Since(begin); took < within {
			t.Errorf("it has given up after %v of %v", took, within)
		}
		if !errors.As(err, &partial) {
			t.Fatalf("%v", err)
		}
		if len(partial.Missing) == 1 {
			break
		}
		if within > 20*time.Second || len(partial.Missing) == 0 {
			t.Fatalf("%v", err)
		}
		t.Logf("%d are missing after %v", len(partial.Missing), within)
	}
	if m := partial.Missing[0]; m.TID != v.TID || m.State != 'D' || m.Reason != stopper.Vfork {
		t.Errorf("missing is %v", m)
	}
	if !strings.Contains(err.Error(), fmt.Sprintf("thread %d waits for its vfork child", v.TID)) {
		t.Errorf("the error says %q", err)
	}
	if _, stopped := s.inStop(); stopped != 0 {
		t.Errorf("%d are stopped after a deadline", stopped)
	}
	within := 2 * time.Second
	h := s.arrest(stopper.Request{Within: within, Partial: true})
	for len(h.Missing()) > 1 && within < 30*time.Second {
		t.Logf("%d are missing after %v", len(h.Missing()), within)
		s.resume(h)
		within *= 2
		h = s.arrest(stopper.Request{Within: within, Partial: true})
	}
	all, stopped := s.inStop()
	if stopped != all-1 || len(h.Missing()) != 1 {
		t.Errorf("%d of %d are stopped, %v missing", stopped, all, h.Missing())
	}
	s.resume(h)
	must(t, s.target.EndVfork(t.Context(), v.TID)) // its stop comes, and is let go
	s.resume(s.arrest(stopper.Request{}))
	s.end()
	s.undisturbed()
}

// Holders of overlapping sets that let go in every order.
func TestHolders(t *testing.T) {
	s := newScene(t, target.Spec{Epoll: 2, Futex: 2}, attacher.Options{})
	kinds := s.kinds()
	tids := slices.Concat(kinds[target.KindEpoll], kinds[target.KindFutex])
	orders := permutations(3)
	sets := subsets(len(tids))
	for range size(60, 1000) {
		held := make([]*stopper.Held, 3)
		mine := make([][]int, 3)
		check := func() {
			t.Helper()
			states := s.states()
			for i, tid := range tids {
				want := false
				for j, h := range held {
					want = want || h != nil && slices.Contains(mine[j], i)
				}
				if got := states[tid].State == 't'; got != want {
					t.Fatalf("thread %d of %v: stopped %v, want %v", i, mine, got, want)
				}
			}
		}
		for j := range held {
			mine[j] = sets[rand.IntN(len(sets))]
			var sel procfs.Selection
			for _, i := range mine[j] {
				sel.TIDs = append(sel.TIDs, tids[i])
			}
			held[j] = s.arrest(stopper.Request{Selection: sel})
			check()
		}
		for _, j := range orders[rand.IntN(len(orders))] {
			s.resume(held[j])
			held[j] = nil
			check()
		}
	}
	s.end()
}

// Holders of overlapping sets in both styles, drawn at random, with and without
// threads that wake up when all hold: who an interrupt holder has stopped, or who has
// woken up, stands still as long as anybody holds it; the others sleep.
func TestMixedHolders(t *testing.T) {
	needNotify(t)
	s := newScene(t, target.Spec{Sem: 4}, attacher.Options{})
	tids, sets := s.kinds()[target.KindSem], s.account().SysV.Sem
	all, orders := subsets(len(tids)), permutations(3)
	woken := int64(0)
	for range size(60, 1000) {
		s.asleep(tids)
		m := mixed{s: s, tids: tids, held: make([]*stopper.Held, 3), sets: make([][]int, 3), still: make(map[int]bool)}
		for j := range m.held {
			style := []stopper.Style{stopper.Interrupt, stopper.Notify}[rand.IntN(2)]
			m.sets[j] = all[rand.IntN(len(all))]
			r := stopper.Request{Style: style}
			for _, i := range m.sets[j] {
				r.Selection.TIDs = append(r.Selection.TIDs, tids[i])
				m.still[i] = m.still[i] || style == stopper.Interrupt
			}
			m.held[j] = s.arrest(r)
			m.check()
		}
		if rand.IntN(2) == 0 {
			s.wake(sets)
			woken += int64(len(tids))
			for i := range tids {
				m.still[i] = true
			}
			m.check()
		}
		for _, j := range orders[rand.IntN(len(orders))] {
			s.resume(m.held[j])
			m.held[j] = nil
			m.check()
		}
		s.eventually("who was woken returns", func() bool { return s.account().Early >= woken })
	}
	s.end()
	if a := s.account(); a.Early != woken || a.EINTR != 0 {
		t.Errorf("%d have returned of %d, %d EINTR", a.Early, woken, a.EINTR)
	}
}

// mixed is what holders hold: sets of threads, and which of these have stopped.
type mixed struct {
	s     *scene
	tids  []int
	held  []*stopper.Held
	sets  [][]int
	still map[int]bool
}

// check compares that with /proc, and with what each holder says.
func (m *mixed) check() {
	m.s.t.Helper()
	for i := range m.tids {
		wanted := false
		for j, h := range m.held {
			wanted = wanted || h != nil && slices.Contains(m.sets[j], i)
		}
		m.still[i] = m.still[i] && wanted
	}
	m.s.eventually(fmt.Sprintf("those that are to stand still do, and no others: %v of %v", m.still, m.sets), func() bool {
		states := m.s.states()
		for i, tid := range m.tids {
			if m.still[i] != (states[tid].State == 't') {
				return false
			}
		}
		return true
	})
	for j, h := range m.held {
		if h == nil {
			continue
		}
		var stopped, inKernel []int
		for _, i := range m.sets[j] {
			if m.still[i] {
				stopped = append(stopped, m.tids[i])
			} else {
				inKernel = append(inKernel, m.tids[i])
			}
		}
		slices.Sort(stopped)
		slices.Sort(inKernel)
		m.s.eventually("they are its own", func() bool { return slices.Equal(h.TIDs(), stopped) && slices.Equal(h.InKernel(), inKernel) })
		if r := h.Report(); r.Stopped != len(stopped) || r.InKernel != len(inKernel) || r.Missed != 0 || !r.Complete {
			m.s.t.Fatalf("report %+v of %d and %d", r, len(stopped), len(inKernel))
		}
	}
}

// Case 18: arrests and resumes without a pause, and everybody gets on each time.
func TestRounds(t *testing.T) {
	inStyles(t, func(t *testing.T, style stopper.Style) {
		needRepair(t)
		s := newScene(t, target.Spec{Spin: 1, Sys: 2, Epoll: 20, Sem: 5}, attacher.Options{})
		last := s.account()
		for range size(100, 1_000) {
			s.resume(s.arrest(stopper.Request{Style: style}))
			s.eventually("everybody gets on", func() bool {
				now := s.account()
				return now.Spins > last.Spins && now.Calls > last.Calls
			})
			last = s.account()
		}
		s.end()
		s.undisturbed()
	})
}

// Arrests of a process that makes threads without pause: each is complete, and
// nobody is there whom it does not know.
func TestArrestDuringChurn(t *testing.T) {
	inStyles(t, func(t *testing.T, style stopper.Style) {
		needRepair(t)
		for _, follow := range []attacher.Follow{attacher.FollowScan, attacher.FollowClone, attacher.FollowEvent, attacher.FollowNone} {
			t.Run(follow.String(), func(t *testing.T) {
				s := newScene(t, target.Spec{Churn: 2, Epoll: 300,
					Births: target.Births{Rate: 300, Life: 20 * time.Millisecond}}, attacher.Options{Follow: follow})
				for range size(15, 300) {
					h := s.arrest(stopper.Request{Style: style})
					s.areHeld(h)
					s.resume(h)
					time.Sleep(rand.N(5 * time.Millisecond))
				}
				s.end()
				s.undisturbed()
			})
		}
	})
}

// Case 14: some are held, and the others never stop. None of them, at work or
// blocked, has given up its CPU even once.
func TestOthersGoOn(t *testing.T) {
	needRepair(t)
	const rounds, some = 5, 50
	spec := target.Mix(size(2_000, 10_000))
	spec.Sys = 1
	s := newScene(t, spec, attacher.Options{})
	kinds := s.kinds()
	chosen := kinds[target.KindEpoll][:some]
	for _, tid := range chosen {
		must(t, s.target.SetComm(t.Context(), tid, "chosen"))
	}
	before := s.states()
	for _, tid := range slices.Concat(chosen, kinds["runtime"]) {
		delete(before, tid)
	}
	if all := s.target.Threads(); len(before) < all-some-50 {
		t.Fatalf("there are only %d others of %d", len(before), all)
	}
	for range rounds {
		h := s.arrest(stopper.Request{Selection: procfs.Selection{Comm: "chos*"}})
		if got := h.TIDs(); !slices.Equal(got, slices.Sorted(slices.Values(chosen))) {
			t.Errorf("%d are held", len(got))
		}
		if r := h.Report(); r.Requested != some || r.Stopped != some {
			t.Errorf("of %d: %+v", some, r)
		}
		was := s.account()
		s.eventually("the others go on", func() bool {
			now := s.account()
			return now.Spins > was.Spins && now.Calls > was.Calls
		})
		s.resume(h)
	}
	after := s.states()
	for tid, was := range before {
		if now := after[tid]; now.VoluntarySwitches != was.VoluntarySwitches {
			t.Errorf("thread %d has stopped: %d voluntary switches, %d before", tid, now.VoluntarySwitches, was.VoluntarySwitches)
		}
	}
	if r := s.end(); r.Repair.Repaired > rounds*some || r.Events.Signals != 0 {
		t.Errorf("of others: %+v, %+v", r.Repair, r.Events)
	}
	s.undisturbed()
}

// Case 24: each thread gets its own signals after the resume.
func TestSignalsToEach(t *testing.T) {
	inStyles(t, func(t *testing.T, style stopper.Style) {
		s := newScene(t, target.Spec{Futex: 30, Signals: map[int]target.Disposition{
			sigUSR1: target.SigHandleRestart, sigUSR2: target.SigHandleRestart}}, attacher.Options{})
		tids := s.kinds()[target.KindFutex]
		h := s.arrest(stopper.Request{Style: style})
		for i, tid := range tids {
			must(t, unix.Tgkill(s.target.PID(), tid, []syscall.Signal{syscall.SIGUSR1, syscall.SIGUSR2}[i%2]))
			if i%3 == 0 {
				must(t, unix.Tgkill(s.target.PID(), tid, []syscall.Signal{syscall.SIGUSR2, syscall.SIGUSR1}[i%2]))
			}
		}
		s.resume(h)
		for i, tid := range tids {
			want := int64(1)
			if i%3 == 0 {
				want = 2
			}
			s.eventually("its handlers run", func() bool {
				a, err := s.target.Thread(t.Context(), tid)
				must(t, err)
				return a.Handled == want
			})
		}
		s.end()
	})
}

// Memory of a held thread is read and written, also where it may only read.
func TestMemoryOfTheTarget(t *testing.T) {
	s := newScene(t, target.Spec{Futex: 1}, attacher.Options{})
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", s.target.PID()))
	must(t, err)
	var from, to uint64
	for line := range strings.Lines(string(maps)) {
		if strings.Contains(line, " r-xp ") {
			_, err = fmt.Sscanf(line, "%x-%x", &from, &to)
			must(t, err)
			break
		}
	}
	tid := s.kinds()[target.KindFutex][0]
	h := s.arrest(stopper.Request{})
	was, now := make([]byte, 4), make([]byte, 4)
	must(t, h.ReadAt(tid, was, from))
	must(t, h.WriteAt(tid, []byte("word"), from))
	must(t, h.ReadAt(tid, now, from))
	must(t, h.WriteAt(tid, was, from))
	if string(now) != "word" || bytes.Equal(was, now) {
		t.Errorf("read %q, then %q", was, now)
	}
	for _, err := range []error{h.ReadAt(tid, now, 8), h.WriteAt(tid, now, 8)} {
		if !errors.Is(err, syscall.EFAULT) {
			t.Errorf("at an address that there is not: %v", err)
		}
	}
	s.resume(h)
	s.end()
}

// Threads are held at real events.
func TestAtEvents(t *testing.T) {
	s := newScene(t, target.Spec{Futex: 10, Signals: map[int]target.Disposition{sigUSR1: target.SigHandleRestart}},
		attacher.Options{Follow: attacher.FollowClone})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	held, err := s.stopper.At(ctx, attacher.EventSignal|attacher.EventBirth|attacher.EventExec)
	must(t, err)
	tid := s.kinds()[target.KindFutex][0]
	must(t, unix.Tgkill(s.target.PID(), tid, syscall.SIGUSR1))
	var seen []attacher.EventMask
	for h := range held {
		e := h.Event()
		if st := s.states()[e.TID]; st.State != 't' {
			t.Errorf("%+v: state %c", e, st.State)
		}
		var r attacher.Regs
		must(t, h.Regs(e.TID, &r))
		seen = append(seen, e.Kind)
		switch {
		case e.Kind == attacher.EventSignal && e.TID == tid:
			go func() { _, _ = s.target.Spawn(ctx, target.KindFutex, 1) }()
		case e.Kind == attacher.EventBirth:
			go func() { _ = s.target.Exec(ctx, target.Exec{}) }()
		case e.Kind == attacher.EventExec:
			cancel()
		}
	}
	if len(seen) < 3 {
		t.Errorf("only %v", seen)
	}
	s.end()
}
