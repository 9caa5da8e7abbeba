package target_test

import (
	"slices"
	"testing"
	"time"

	"massattach/internal/target"
)

func TestMix(t *testing.T) {
	s := target.Mix(10_000)
	if s.Futex != 4000 || s.Epoll != 4000 || s.Sem != 500 || s.Sleep != 500 || s.Read != 999 || s.Spin != 1 {
		t.Errorf("Mix(10,000) = %+v", s)
	}
	for _, n := range []int{10, 99, 300, 5000, 100_000} {
		s := target.Mix(n)
		if sum := s.Futex + s.Epoll + s.Sem + s.Sleep + s.Read + s.Spin; sum != n || s.Total != n {
			t.Errorf("Mix(%d) is %d threads: %+v", n, sum, s)
		}
	}
}

// undisturbed fails the test if the account says that anything happened.
func undisturbed(t *testing.T, a target.Account) {
	t.Helper()
	if a.EINTR != 0 || a.Early != 0 || a.SignalErrors() != 0 {
		t.Errorf("disturbed: %d EINTR, %d early, %d errors of signals: %+v", a.EINTR, a.Early, a.SignalErrors(), a.Kinds)
	}
}

// Nobody touches it: no call comes back, no thread is born or ends, and asking
// for accounts does not change that.
func TestQuiet(t *testing.T) {
	ctx := background(t)
	s := target.Mix(300)
	s.Sys, s.Recv = 1, 3
	s.Total += 4
	p := start(t, s)
	before, err := p.List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for range 200 {
		if _, err := p.Account(ctx); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	after, err := p.List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for kind, tids := range before {
		n += len(tids)
		if !slices.Equal(tids, after[kind]) {
			t.Errorf("%s threads: %v, after 2 s %v", kind, tids, after[kind])
		}
	}
	if n != 304 || p.Threads() != 304 {
		t.Errorf("%d threads listed, %d announced, want 304", n, p.Threads())
	}
	a, err := p.Close()
	if err != nil {
		t.Fatal(err)
	}
	undisturbed(t, a)
	if a.Spins == 0 || a.Calls == 0 || a.MaxGapNS == 0 || a.Threads != 304 {
		t.Errorf("account: %+v", a)
	}
	if b, err := p.Close(); err != nil || b.TimeNS != a.TimeNS {
		t.Errorf("second Close: %v, %v", b, err)
	}
}

func TestReset(t *testing.T) {
	ctx := background(t)
	p := start(t, target.Spec{Sys: 1, Spin: 1, Epoll: 2, Signals: map[int]target.Disposition{10: target.SigHandle}})
	if err := p.Send(ctx, target.Send{Signal: 10, Kind: target.KindEpoll}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "2 EINTRs", func() bool { return account(t, p).EINTR == 2 })
	before := account(t, p)
	if err := p.Reset(ctx); err != nil {
		t.Fatal(err)
	}
	a := account(t, p)
	undisturbed(t, a)
	if a.Calls >= before.Calls+1e9 || a.Runs[10] != 0 || before.Runs[10] != 2 {
		t.Errorf("before the reset %+v, after it %+v", before, a)
	}
	eventually(t, "calls in a window", func() bool {
		w, err := p.Window(ctx, 50*time.Millisecond)
		if err != nil || w.Elapsed < 50*time.Millisecond {
			t.Fatalf("Window = %+v, %v", w, err)
		}
		return w.Rate(w.Calls) > 1000
	})
}

func TestTenThousand(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("10,000 threads: not with -short or -race")
	}
	began := time.Now()
	p := start(t, target.Mix(10_000))
	t.Logf("started in %v", time.Since(began).Round(time.Millisecond))
	if p.Threads() != 10_000 {
		t.Errorf("%d threads", p.Threads())
	}
	time.Sleep(200 * time.Millisecond)
	a, err := p.Close()
	if err != nil {
		t.Fatal(err)
	}
	undisturbed(t, a)
	if n := a.Kinds[target.KindEpoll].Threads; n != 4000 {
		t.Errorf("%d epoll threads", n)
	}
}
