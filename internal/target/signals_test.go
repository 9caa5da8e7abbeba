//go:build linux && (amd64 || arm64)

package target_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"massattach/internal/target"
)

const (
	chld  = int(syscall.SIGCHLD)
	cont  = int(syscall.SIGCONT)
	urg   = int(syscall.SIGURG)
	usr1  = int(syscall.SIGUSR1)
	usr2  = int(syscall.SIGUSR2)
	winch = int(syscall.SIGWINCH)
)

// eintrs is the account of EINTRs by kind.
func eintrs(a target.Account) map[string]int64 {
	m := map[string]int64{}
	for name, k := range a.Kinds {
		if k.EINTR != 0 {
			m[name] = k.EINTR
		}
	}
	return m
}

// The control of every "EINTR 0": the oracle sees one when there is one.
func TestHandlerInterrupts(t *testing.T) {
	ctx := background(t)
	p := start(t, target.Spec{Epoll: 3, Sem: 2, Futex: 2, Read: 2, Sleep: 2, Signals: map[int]target.Disposition{usr1: target.SigHandle}})
	list, err := p.List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	tid := list[target.KindEpoll][1]
	for i := int64(1); i <= 20; i++ {
		if err := p.Send(ctx, target.Send{Signal: usr1, TID: tid}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the EINTR", func() bool { return account(t, p).Kinds[target.KindEpoll].EINTR == i })
	}
	one, err := p.Thread(ctx, tid)
	if err != nil || one.EINTR != 20 || one.Handled != 20 || one.Kind != target.KindEpoll {
		t.Errorf("Thread = %+v, %v", one, err)
	}
	a := account(t, p)
	if m := eintrs(a); !maps.Equal(m, map[string]int64{target.KindEpoll: 20}) || a.Runs[usr1] != 20 || a.Early != 0 {
		t.Errorf("EINTR %v, runs %v, early %d", m, a.Runs, a.Early)
	}
	// All kinds but the runtime's see it when they are meant.
	if err := p.Reset(ctx); err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{target.KindSem, target.KindFutex, target.KindRead, target.KindSleep, target.KindLeader} {
		if err := p.Send(ctx, target.Send{Signal: usr1, Kind: k}); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]int64{target.KindSem: 2, target.KindFutex: 2, target.KindRead: 2, target.KindSleep: 2, target.KindLeader: 1}
	eventually(t, "9 EINTRs", func() bool { return maps.Equal(eintrs(account(t, p)), want) })
}

func TestRestart(t *testing.T) {
	ctx := background(t)
	p := start(t, target.Spec{Futex: 4, Epoll: 1, Signals: map[int]target.Disposition{usr1: target.SigHandleRestart}})
	for _, k := range []string{target.KindFutex, target.KindEpoll} {
		if err := p.Send(ctx, target.Send{Signal: usr1, Kind: k}); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]int64{target.KindEpoll: 1}
	eventually(t, "5 runs, and one call that has returned", func() bool {
		a := account(t, p)
		return a.Runs[usr1] == 5 && maps.Equal(eintrs(a), want)
	})
	time.Sleep(20 * time.Millisecond)
	if m := eintrs(account(t, p)); !maps.Equal(m, want) {
		t.Errorf("EINTR %v, want that of epoll_wait alone, which SA_RESTART does not restart", m)
	}
}

// SIGSTOP and SIGCONT show in the calls that every tool shows in, and in no other.
func TestStopInterrupts(t *testing.T) {
	p := start(t, target.Spec{Epoll: 5, Sem: 4, Futex: 3, Read: 3, Sleep: 3})
	stop(t, p)
	if err := syscall.Kill(p.PID(), syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	want := map[string]int64{target.KindEpoll: 5, target.KindSem: 4}
	eventually(t, "9 EINTRs", func() bool { return maps.Equal(eintrs(account(t, p)), want) })
}

// stop stops a target and waits until it is.
func stop(t *testing.T, p *target.Target) {
	t.Helper()
	stopPID(t, p.PID())
}

func stopPID(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the stop", func() bool {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
		if err != nil || len(threads) == 0 {
			return false
		}
		for _, name := range threads {
			if b, err := os.ReadFile(name); err != nil || !strings.Contains(string(b), "\nState:\tT") {
				return false
			}
		}
		return true
	})
}

func TestIgnoredSignals(t *testing.T) {
	ctx := background(t)
	p := start(t, target.Spec{Epoll: 5, Sem: 5, Signals: map[int]target.Disposition{usr2: target.SigIgnore}})
	for _, sig := range []int{chld, winch, urg, cont, usr2} {
		for _, k := range []string{target.KindEpoll, target.KindSem, ""} {
			if err := p.Send(ctx, target.Send{Signal: sig, Kind: k, Count: 20}); err != nil {
				t.Fatal(err)
			}
		}
	}
	time.Sleep(50 * time.Millisecond)
	undisturbed(t, account(t, p))
}

// The Go runtime's handlers are gone: what counts is what the kernel says.
func TestDispositions(t *testing.T) {
	ctx := background(t)
	p := start(t, target.Spec{Futex: 1})
	for sig := 1; sig <= 64; sig++ {
		d, err := p.GetDisposition(ctx, sig)
		if err != nil || d != target.SigDefault {
			t.Errorf("signal %d: %q, %v", sig, d, err)
		}
	}
	for _, d := range []target.Disposition{target.SigIgnore, target.SigHandle, target.SigDefault} {
		if err := p.SetDisposition(ctx, usr1, d); err != nil {
			t.Fatal(err)
		}
		if got, err := p.GetDisposition(ctx, usr1); err != nil || got != d {
			t.Errorf("set %q, got %q, %v", d, got, err)
		}
	}
	if err := p.SetDisposition(ctx, usr1, target.SigHandleOnce); err != nil {
		t.Fatal(err)
	}
	if err := p.Send(ctx, target.Send{Signal: usr1}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the handler", func() bool { return account(t, p).Runs[usr1] == 1 })
	if d, err := p.GetDisposition(ctx, usr1); err != nil || d != target.SigDefault {
		t.Errorf("after SA_RESETHAND: %q, %v", d, err)
	}
	if err := syscall.Kill(p.PID(), syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	e, err := p.Wait(ctx)
	if err != nil || e.Signal != syscall.SIGUSR1 || !e.Known {
		t.Errorf("Wait = %v, %v", e, err)
	}
	if _, err := p.Close(); err == nil {
		t.Error("Close of a target that was killed: no error")
	}
}

func TestSetDispositionErrors(t *testing.T) {
	ctx := background(t)
	p := start(t, target.Spec{})
	for _, sig := range []int{-1, 65, int(syscall.SIGKILL)} {
		if err := p.SetDisposition(ctx, sig, target.SigIgnore); err == nil {
			t.Errorf("signal %d can be ignored", sig)
		}
	}
	if err := p.SetDisposition(ctx, usr1, "no"); err == nil {
		t.Error("disposition no")
	}
}

func TestMask(t *testing.T) {
	ctx := background(t)
	p := start(t, target.Spec{
		Epoll: 2, Futex: 1, Sem: 1, Read: 1, Sys: 1,
		Signals: map[int]target.Disposition{usr1: target.SigHandle},
		Block:   map[string][]int{target.KindFutex: {usr1}},
	})
	for _, k := range []string{target.KindEpoll, target.KindSem, target.KindRead, target.KindSys} {
		if err := p.Mask(ctx, 0, k, []int{usr1}, nil); err != nil {
			t.Fatal(k, err)
		}
	}
	if a := account(t, p); a.EINTR != 0 || a.Early != 0 {
		t.Errorf("setting masks shows: %+v", a.Kinds)
	}
	kinds := []string{target.KindEpoll, target.KindSem, target.KindRead, target.KindSys, target.KindFutex}
	for _, k := range kinds {
		if err := p.Send(ctx, target.Send{Signal: usr1, Kind: k}); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(20 * time.Millisecond)
	if a := account(t, p); a.Runs[usr1] != 0 {
		t.Errorf("%d handlers ran though all block the signal", a.Runs[usr1])
	}
	for _, k := range kinds {
		if err := p.Mask(ctx, 0, k, nil, []int{usr1}); err != nil {
			t.Fatal(k, err)
		}
	}
	eventually(t, "6 handlers", func() bool { return account(t, p).Runs[usr1] == 6 })
}
