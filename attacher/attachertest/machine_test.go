package attachertest_test

import (
	"errors"
	"io/fs"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"massattach/attacher"
	"massattach/attacher/attachertest"
)

// bind makes the test's own thread a tracer of m.
func bind(t *testing.T, m *attachertest.Machine) attacher.Tracer {
	t.Helper()
	k, err := m.Tracer()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(runtime.UnlockOSThread)
	return k
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// complains says whether err mentions what.
func complains(t *testing.T, err error, what string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), what) {
		t.Errorf("got %v, want a complaint about %q", err, what)
	}
}

// A number that is free again belongs to somebody else.
func TestReuse(t *testing.T) {
	m := attachertest.New(100, 3)
	k := bind(t, m)
	if m.Reuse(102) {
		t.Error("102 is taken")
	}
	m.Exit(102, 0)
	if !m.Reuse(102) {
		t.Fatal("102 is free")
	}
	p, err := m.Open(100)
	must(t, err)
	if _, err := p.Status(102); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a stranger is listed: %v", err)
	}
	if last, _ := m.LastPID(); last != 102 {
		t.Errorf("the last pid is %d", last)
	}
	must(t, k.Seize(102, 0))
	must(t, k.Interrupt(102))
	if n := m.Account().StrangerStops; n != 1 {
		t.Errorf("%d stops of a stranger", n)
	}
	must(t, k.Restart(102))
	must(t, k.Detach(102, 0))
	must(t, m.Check())
	if err := k.Cont(102, 0); err != syscall.ESRCH {
		t.Error(err)
	}
	complains(t, m.Check(), "a stranger")
}

// A ring that comes before the sleep wakes nobody.
func TestLostRing(t *testing.T) {
	m := attachertest.New(100, 2)
	asleep := make(chan bool, 1)
	m.Before = func(op string, _ int) error {
		if op == "look" {
			asleep <- true
		}
		return nil
	}
	heard := make(chan error) // who rings must find it there
	bound := make(chan attacher.Tracer)
	go func() {
		k, _ := m.Tracer()
		_ = k.Seize(101, 0)
		bound <- k
		_, err := k.Look(0, true)
		heard <- err
		k.Exit()
	}()
	k := <-bound
	must(t, k.Ring()) // it is not even in the call
	<-asleep
	for {
		select {
		case err := <-heard:
			if err != syscall.EINTR {
				t.Error(err)
			}
			return
		case <-time.After(time.Millisecond):
			must(t, k.Ring())
		}
	}
}

func TestRingAfterTheEnd(t *testing.T) {
	m := attachertest.New(100, 1)
	k := bind(t, m)
	k.Exit()
	if err := k.Ring(); err != syscall.ESRCH || !k.Ended() {
		t.Error(err)
	}
}

func TestUnfit(t *testing.T) {
	m := attachertest.New(100, 1)
	m.Unfit = 2
	for range 2 {
		if _, err := m.Tracer(); err != attacher.ErrUnfit {
			t.Error(err)
		}
	}
	bind(t, m)
}

// Before may answer in the kernel's stead, and do anything to the target.
func TestBefore(t *testing.T) {
	m := attachertest.New(100, 3)
	born := 0
	m.Before = func(op string, tid int) error {
		switch {
		case op == "seize" && tid == 101:
			return syscall.EPERM
		case op == "seize":
			born = m.Spawn(tid)
			m.Signal(tid, syscall.SIGKILL)
		}
		return nil
	}
	k := bind(t, m)
	if err := k.Seize(101, 0); err != syscall.EPERM {
		t.Error(err)
	}
	if err := k.Seize(102, 0); err != syscall.ESRCH || born == 0 || m.State(born) != 0 {
		t.Error(err, born)
	}
}

func TestForeignTracer(t *testing.T) {
	m := attachertest.New(100, 3)
	k := bind(t, m)
	id := m.TraceBy(101, "strace")
	if err := k.Seize(101, 0); err != syscall.EPERM {
		t.Error(err)
	}
	p, _ := m.Open(100)
	f, err := p.Facts(101)
	if err != nil || f.TracerTID != id || f.TracerComm != "strace" {
		t.Error(f, err)
	}
	k.Exit()
	must(t, m.Quiet())
	m.EndTool(id)
	if m.TracerOf(101) != 0 {
		t.Error("still traced")
	}
}

// Threads that a signal can't wake stop when they come to it.
func TestDiskAndVfork(t *testing.T) {
	m := attachertest.New(100, 3)
	m.Set(101, attachertest.Disk)
	m.Set(102, attachertest.Vfork)
	k := bind(t, m)
	for _, tid := range []int{101, 102} {
		must(t, k.Seize(tid, 0))
		must(t, k.Interrupt(tid))
		if ws, _ := k.Look(tid, false); ws.TID != 0 || m.State(tid) != 'D' {
			t.Errorf("%d has stopped: %c", tid, m.State(tid))
		}
		m.Return(tid, 42)
		if ws, _ := k.Look(tid, false); ws.TID != tid {
			t.Errorf("%d has not stopped", tid)
		}
		if v, _ := k.Result(tid); v != 42 {
			t.Errorf("%d: result %d", tid, v)
		}
		must(t, k.Cont(tid, 0))
	}
	m.Kill(100, syscall.SIGKILL)
	if m.State(101) != 'D' || m.State(102) != 'Z' {
		t.Errorf("after SIGKILL: %c %c", m.State(101), m.State(102))
	}
	m.Return(101, 0)
	if m.State(101) != 'Z' {
		t.Errorf("after that: %c", m.State(101))
	}
}

// A child of the tracers' own process: who only looks leaves its exit to the
// parent, also when the tracer ends first.
func TestOwnChild(t *testing.T) {
	for _, exit := range []bool{false, true} {
		m := attachertest.New(100, 2)
		m.SetParent(attachertest.Parent{Ours: true})
		k := bind(t, m)
		must(t, k.Seize(100, 0))
		m.ExitGroup(7)
		if ws, err := k.Look(100, false); err != nil || ws.TID != 100 || ws.Status != 7 {
			t.Error(ws, err)
		}
		if exit {
			k.Exit()
		}
		must(t, m.ParentWait())
		if got := m.Account().Parent; !slices.Equal(got, []string{"exited 7"}) {
			t.Errorf("the parent saw %v", got)
		}
		if _, err := k.Look(100, false); err != syscall.ECHILD && !exit {
			t.Error(err)
		}
		k.Exit()
	}
}

func TestKillTool(t *testing.T) {
	m := attachertest.New(100, 4)
	m.Handle(syscall.SIGUSR1, attachertest.Handler)
	k := bind(t, m)
	for tid := 101; tid < 104; tid++ {
		must(t, k.Seize(tid, 0))
	}
	m.Queue(101, syscall.SIGUSR1, 5) // at its stop
	m.Kill(100, syscall.SIGSTOP)
	must(t, k.Listen(102))
	m.KillTool()
	if err := k.Cont(101, 0); err != syscall.ESRCH {
		t.Error(err)
	}
	if _, err := k.Look(0, true); err != syscall.ECHILD {
		t.Error(err)
	}
	if _, err := m.Tracer(); err == nil {
		t.Error("a tracer of a killed process")
	}
	must(t, m.Quiet())
	for _, tid := range m.Threads() {
		if m.State(tid) != 'T' {
			t.Errorf("%d is %c", tid, m.State(tid))
		}
	}
	m.Kill(100, syscall.SIGCONT)
	must(t, m.Quiet())
	a := m.Account()
	if want := []attachertest.Delivery{{TID: 101, Signal: syscall.SIGUSR1, Code: -1, Value: 5}}; !slices.Equal(a.Handled, want) {
		t.Errorf("handled %v", a.Handled)
	}
	if !slices.Equal(a.Parent, []string{"stopped", "continued"}) {
		t.Errorf("the parent saw %v", a.Parent)
	}
}

// A cookie of ours may be suppressed; sent to a thread that has the target's
// own pending it is merged, as any.
func TestCookie(t *testing.T) {
	m := attachertest.New(100, 2)
	m.Handle(syscall.SIGURG, attachertest.Handler)
	k := bind(t, m)
	must(t, k.Seize(101, 0))
	m.Cookie(101, syscall.SIGURG, 0xc00c1e)
	m.Signal(101, syscall.SIGURG)
	m.Cookie(101, syscall.SIGURG, 0xc00c1e)
	var si attacher.Siginfo
	must(t, k.Siginfo(101, &si))
	if si[8] != 0x80 {
		t.Errorf("si_code %#x", si[8])
	}
	must(t, k.Restart(101))
	must(t, k.Cont(101, 0))
	must(t, k.Cont(101, syscall.SIGURG))
	must(t, m.Check())
	if a := m.Account(); a.Merged != 1 || len(a.Handled) != 1 {
		t.Errorf("merged %d, handled %v", a.Merged, a.Handled)
	}
}
