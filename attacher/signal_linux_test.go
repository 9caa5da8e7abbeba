package attacher_test

import (
	"syscall"
	"testing"
	"time"

	"massattach/attacher"
	"massattach/internal/target"
)

const (
	sigWINCH = int(syscall.SIGWINCH)
	sigUSR1  = int(syscall.SIGUSR1)
	sigUSR2  = int(syscall.SIGUSR2)
	sigCHLD  = int(syscall.SIGCHLD)
	sigURG   = int(syscall.SIGURG)
	sigCONT  = int(syscall.SIGCONT)
)

// Case 64: signals that the target ignores cost it nothing.
func TestIgnoredSignals(t *testing.T) {
	p := start(t, target.Spec{Epoll: 50, Sem: 50, Signals: map[int]target.Disposition{sigUSR1: target.SigIgnore}})
	s := attach(t, p.PID(), nil)
	sent := 0
	for _, kind := range []string{target.KindEpoll, target.KindSem} {
		for _, sig := range []int{sigUSR1, sigCHLD, sigWINCH, sigURG} {
			for range 4 {
				if err := p.Send(t.Context(), target.Send{Signal: sig, Kind: kind}); err != nil {
					t.Fatal(err)
				}
				sent += 50
				// Or the next might find this one pending, and be none.
				atRest(t, p, kind)
			}
		}
	}
	r := detach(t, s)
	undisturbed(t, p)
	if r.Events.Signals != sent {
		t.Errorf("%d signals forwarded of %d", r.Events.Signals, sent)
	}
	if r.Repair.Repaired == 0 || r.Repair.Left != 0 {
		t.Errorf("repair: %+v", r.Repair)
	}
}

// Case 64, the other half: with a handler each call returns EINTR, as it does
// untraced, and each handler runs once.
func TestHandledSignals(t *testing.T) {
	for _, d := range []target.Disposition{target.SigHandle, target.SigHandleRestart} {
		for _, traced := range []bool{false, true} {
			p := start(t, target.Spec{Epoll: 25, Sem: 25, Signals: map[int]target.Disposition{sigUSR1: d, sigCHLD: d}})
			var s *attacher.Session
			if traced {
				s = attach(t, p.PID(), nil)
			}
			const rounds = 8
			for i := range rounds {
				for _, sig := range []int{sigUSR1, sigCHLD} {
					for _, kind := range []string{target.KindEpoll, target.KindSem} {
						if err := p.Send(t.Context(), target.Send{Signal: sig, Kind: kind}); err != nil {
							t.Fatal(err)
						}
					}
					want := int64((i + 1) * 50)
					eventually(t, "each handler ran", func() bool { return account(t, p).Runs[sig] >= want })
					// A handler that has counted may not have returned yet.
					atRest(t, p, target.KindEpoll, target.KindSem)
				}
			}
			a := account(t, p)
			const want = rounds * 50
			if a.Runs[sigUSR1] != want || a.Runs[sigCHLD] != want || a.EINTR != 2*want || a.Early != 0 {
				t.Errorf("%s, traced %v: handlers %v, EINTR %d, early %d; want %d of each and EINTR %d",
					d, traced, a.Runs, a.EINTR, a.Early, want, 2*want)
			}
			if traced {
				detach(t, s)
			}
			p.Close()
		}
	}
}

// Case 65: a SIGCONT to a process that was never stopped.
func TestContinueRunning(t *testing.T) {
	for _, d := range []target.Disposition{target.SigDefault, target.SigHandle} {
		p := start(t, target.Spec{Epoll: 50, Sem: 50, Signals: map[int]target.Disposition{sigCONT: d}})
		s := attach(t, p.PID(), nil)
		const rounds = 50
		for i := range rounds {
			if err := syscall.Kill(p.PID(), syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
			if d == target.SigHandle {
				eventually(t, "the handler ran", func() bool { return account(t, p).Runs[sigCONT] == int64(i+1) })
			} else {
				time.Sleep(2 * time.Millisecond)
			}
		}
		atRest(t, p, target.KindEpoll, target.KindSem)
		r := detach(t, s)
		a := account(t, p)
		// A handler interrupts the one thread that it runs in.
		want := a.Runs[sigCONT]
		if a.EINTR > want || a.Early != 0 {
			t.Errorf("%s: EINTR %d, early %d with %d handlers", d, a.EINTR, a.Early, want)
		}
		if r.Repair.Repaired < rounds || r.Events.GroupStops != 0 {
			t.Errorf("%s: repair %+v, events %+v", d, r.Repair, r.Events)
		}
		p.Close()
	}
}

// Case 5, 30 and fact 7: real-time signals at full rate arrive, in order, with
// their payload.
func TestFlood(t *testing.T) {
	for _, idle := range []int{0, size(1_000, 10_000)} {
		spec := target.Spec{Epoll: idle / 2, Futex: idle / 2, Recv: 64}
		p := start(t, spec)
		s := attach(t, p.PID(), nil)
		f, err := p.Flood(t.Context(), target.Flood{For: time.Duration(size(1, 4)) * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		a := account(t, p)
		if f.Sent == 0 || f.Lost != 0 || f.Received != f.Sent || a.SignalErrors() != 0 {
			t.Errorf("%d idle: %+v, errors %d", idle, f, a.SignalErrors())
		}
		t.Logf("%d idle: %d signals, %.0f a second", idle, f.Received, f.Rate())
		r := detach(t, s)
		if int64(r.Events.Signals) < f.Sent {
			t.Errorf("%d signals forwarded of %d", r.Events.Signals, f.Sent)
		}
		undisturbed(t, p)
		p.Close()
	}
}

// A few threads that are signalled without end don't starve the others.
func TestFloodIsFair(t *testing.T) {
	p := start(t, target.Spec{Epoll: 200, Hot: 8, Signals: map[int]target.Disposition{sigUSR1: target.SigHandle}})
	attach(t, p.PID(), nil)
	if err := p.Send(t.Context(), target.Send{Signal: sigUSR1, Kind: target.KindEpoll}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "each handler ran", func() bool { return account(t, p).Runs[sigUSR1] == 200 })
}

// Case 24: different signals to different threads, each to its own.
func TestSignalsReachTheirThread(t *testing.T) {
	sigs := []int{sigUSR1, sigUSR2, int(syscall.SIGTERM), int(syscall.SIGHUP), 45, 46}
	spec := target.Spec{Epoll: 60, Signals: map[int]target.Disposition{}}
	for _, sig := range sigs {
		spec.Signals[sig] = target.SigHandle
	}
	p := start(t, spec)
	attach(t, p.PID(), nil)
	kinds, err := p.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, tid := range kinds[target.KindEpoll] {
		if err := p.Send(t.Context(), target.Send{Signal: sigs[i%len(sigs)], TID: tid}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "each handler ran", func() bool {
		n := int64(0)
		for _, r := range account(t, p).Runs {
			n += r
		}
		return n == 60
	})
	atRest(t, p, target.KindEpoll)
	for _, tid := range kinds[target.KindEpoll] {
		th, err := p.Thread(t.Context(), tid)
		if err != nil {
			t.Fatal(err)
		}
		if th.Handled != 1 || th.EINTR != 1 {
			t.Errorf("thread %d: %+v", tid, th)
		}
	}
}

// Case 25: a signal to the process reaches a handler while only some of its
// threads are seized.
func TestSignalToProcessHalfAttached(t *testing.T) {
	p := start(t, target.Spec{Epoll: 5, Signals: map[int]target.Disposition{sigUSR1: target.SigHandle}})
	attach(t, p.PID(), &attacher.Options{Follow: attacher.FollowNone})
	if _, err := p.Spawn(t.Context(), target.KindEpoll, 5); err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		if err := syscall.Kill(p.PID(), syscall.SIGUSR1); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the handler ran", func() bool { return account(t, p).Runs[sigUSR1] == int64(i+1) })
	}
}

// Case 26: blocked signals stay blocked and pending.
func TestBlockedSignals(t *testing.T) {
	p := start(t, target.Spec{
		Epoll:   10,
		Block:   map[string][]int{target.KindEpoll: {sigUSR1}},
		Signals: map[int]target.Disposition{sigUSR1: target.SigHandle, sigUSR2: target.SigHandle},
	})
	s := attach(t, p.PID(), nil)
	for _, sig := range []int{sigUSR1, sigUSR2} {
		if err := p.Send(t.Context(), target.Send{Signal: sig, Kind: target.KindEpoll}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the other handler ran", func() bool { return account(t, p).Runs[sigUSR2] == 10 })
	detach(t, s)
	if n := account(t, p).Runs[sigUSR1]; n != 0 {
		t.Errorf("a blocked signal was delivered %d times", n)
	}
	if err := p.Mask(t.Context(), 0, target.KindEpoll, nil, []int{sigUSR1}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "they come when they may", func() bool { return account(t, p).Runs[sigUSR1] == 10 })
}

// Case 27: SA_RESETHAND fires once.
func TestHandlerOnce(t *testing.T) {
	p := start(t, target.Spec{Epoll: 1, Signals: map[int]target.Disposition{sigURG: target.SigHandleOnce}})
	attach(t, p.PID(), nil)
	for range 5 {
		if err := p.Send(t.Context(), target.Send{Signal: sigURG, Kind: target.KindEpoll}); err != nil {
			t.Fatal(err)
		}
		atRest(t, p, target.KindEpoll)
	}
	if a := account(t, p); a.Runs[sigURG] != 1 || a.EINTR != 1 {
		t.Errorf("handlers %v, EINTR %d", a.Runs, a.EINTR)
	}
}

// Case 28: SIGKILL at any time.
func TestKillWhileFlooded(t *testing.T) {
	for i := range size(5, 20) {
		p := start(t, target.Spec{Epoll: 500, Recv: 16, Orphan: true})
		s := attach(t, p.PID(), nil)
		if err := p.StartFlood(t.Context(), target.Flood{For: 10 * time.Second}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(i) * 3 * time.Millisecond)
		syscall.Kill(p.PID(), syscall.SIGKILL)
		if i%2 == 0 {
			select {
			case <-s.Ended():
			case <-time.After(time.Minute):
				t.Fatal("the end of the target went unnoticed")
			}
		}
		detach(t, s)
		p.Close()
	}
}

// Case 52 and 53: a detach amid signals loses none, and kill works as before.
func TestDetachAmidSignals(t *testing.T) {
	p := start(t, target.Spec{Epoll: 100, Recv: 16})
	for range size(10, 100) {
		if err := p.StartFlood(t.Context(), target.Flood{For: 60 * time.Millisecond}); err != nil {
			t.Fatal(err)
		}
		s := attach(t, p.PID(), nil)
		time.Sleep(20 * time.Millisecond)
		detach(t, s)
		eventually(t, "the flood is over", func() bool {
			f, err := p.FloodState(t.Context())
			return err == nil && f.Done
		})
		f, err := p.FloodState(t.Context())
		if err != nil || f.Lost != 0 || f.Received != f.Sent {
			t.Fatalf("%+v, %v", f, err)
		}
	}
	if a := account(t, p); a.SignalErrors() != 0 {
		t.Errorf("%d errors in order or payload", a.SignalErrors())
	}
	free(t, p.PID())
	undisturbed(t, p)
}

// Case 29: a signal that was pending at the SEIZE is kept.
func TestPendingAtSeize(t *testing.T) {
	p := start(t, target.Spec{
		Epoll:   20,
		Block:   map[string][]int{target.KindEpoll: {45}},
		Signals: map[int]target.Disposition{45: target.SigHandle},
	})
	if err := p.Send(t.Context(), target.Send{Signal: 45, Kind: target.KindEpoll, Count: 3}); err != nil {
		t.Fatal(err)
	}
	attach(t, p.PID(), nil)
	if err := p.Mask(t.Context(), 0, target.KindEpoll, nil, []int{45}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all three of each came", func() bool { return account(t, p).Runs[45] == 60 })
}
