//go:build linux && (amd64 || arm64)

package target_test

import (
	"errors"
	"os"
	"strconv"
	"testing"
	"time"

	"massattach/internal/target"
)

func TestChurn(t *testing.T) {
	p := start(t, target.Spec{Churn: 2, Epoll: 3, CPUs: []int{0}})
	before := account(t, p)
	eventually(t, "100 births", func() bool { return account(t, p).Since(before).Born >= 100 })
	after := account(t, p)
	w := after.Since(before)
	if w.Ended < 90 || after.Born-after.Ended > 2 {
		t.Errorf("%+v, account %+v", w, after)
	}
	t.Logf("%.0f births a second", w.Rate(w.Born))
	undisturbed(t, after)
}

func TestBirths(t *testing.T) {
	p := start(t, target.Spec{Epoll: 3, Births: target.Births{Rate: 300, Life: 300 * time.Millisecond, Check: 100 * time.Millisecond}})
	// Births that were held up make up for it all at once; then there are 90 at a time.
	eventually(t, "100 births and ends, and no more alive than there should be", func() bool {
		b := account(t, p).Births
		return b != nil && b.Born >= 100 && b.Ended >= 100 && b.Checked > 0 && b.Born-b.Ended <= 200
	})
	a, err := p.Close()
	if err != nil {
		t.Fatal(err)
	}
	b := a.Births
	// One that is checked during the account may be untraced in it, and not checked yet.
	if b.Checked+b.Late < 100 || b.Untraced < b.Checked {
		t.Errorf("nobody traces: %+v", b)
	}
	undisturbed(t, a)
}

// The control: births see what is done to them.
func TestBirthsInterrupted(t *testing.T) {
	ctx := background(t)
	p := start(t, target.Spec{
		Births:  target.Births{Rate: 100, Life: 400 * time.Millisecond},
		Signals: map[int]target.Disposition{usr1: target.SigHandle},
	})
	// One is enough, but on a slow machine some are not in their call yet, or have
	// ended, when the signal comes.
	eventually(t, "an EINTR", func() bool {
		list, err := p.List(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if tids := list[target.KindBirth]; len(tids) > 5 {
			// Blocks are given out from the last to the first: this is a young one.
			_ = p.Send(ctx, target.Send{Signal: usr1, TID: tids[1]}) // unless it has ended
		}
		return account(t, p).EINTR > 0
	})
	if a := account(t, p); a.Births.EINTR != a.EINTR || a.Births.Early != 0 {
		t.Errorf("%+v", a.Births)
	}
}

// A limit that is too low is named, with what to do about it.
func TestLimit(t *testing.T) {
	s := target.Spec{Epoll: 500, MaxProcs: 400}
	if os.Getuid() == 0 {
		s.User = &target.User{UID: 65534, GID: 65534} // root is let through
	}
	p, err := target.Start(background(t), s)
	if err == nil {
		p.Close()
		t.Fatal("500 threads in a limit of 400")
	}
	var l *target.LimitError
	if !errors.As(err, &l) || l.Limit != "RLIMIT_NPROC" || l.Have != 400 || l.Need < 501 || l.Fix == "" {
		t.Errorf("%v", err)
	}
}

func TestPIDLimit(t *testing.T) {
	_, err := target.Start(background(t), target.Spec{Epoll: 1 << 22})
	var l *target.LimitError
	if !errors.As(err, &l) || l.Limit != "kernel.pid_max" {
		t.Errorf("%v", err)
	}
}

func TestOtherUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: runs a target as another user")
	}
	p := start(t, target.Spec{Epoll: 3, User: &target.User{UID: 65534, GID: 65534}})
	if s := status(t, p.PID(), p.PID(), "Uid"); s != "65534\t65534\t65534\t65534" {
		t.Errorf("Uid %q", s)
	}
	if a, err := p.Close(); err != nil || a.PID != p.PID() {
		t.Errorf("%v", err)
	}
}

func TestRaiseLimits(t *testing.T) {
	old, err := os.ReadFile("/proc/sys/kernel/pid_max")
	if err != nil {
		t.Fatal(err)
	}
	n := 1000
	if os.Getuid() == 0 {
		v, err := strconv.Atoi(string(old[:len(old)-1]))
		if err != nil {
			t.Fatal(err)
		}
		n = min(v, 1<<21)
	}
	restore, err := target.RaiseLimits(n)
	if err != nil {
		t.Skip(err) // a container without /proc/sys
	}
	if err := restore(); err != nil {
		t.Fatal(err)
	}
	if now, err := os.ReadFile("/proc/sys/kernel/pid_max"); err != nil || string(now) != string(old) {
		t.Errorf("pid_max was %s, is %s, %v", old, now, err)
	}
}

func TestBadSpecs(t *testing.T) {
	for _, s := range []target.Spec{
		{Epoll: -1}, {Total: -1}, {Recv: target.MaxSlots + 1}, {Parent: "no"}, {Parent: "watch", Orphan: true},
		{Births: target.Births{Rate: -1}}, {Block: map[string][]int{"no": {1}}}, {Block: map[string][]int{"epoll": {65}}},
	} {
		if p, err := target.Start(background(t), s); err == nil {
			p.Close()
			t.Errorf("%+v: no error", s)
		}
	}
}
