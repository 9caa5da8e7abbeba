//go:build linux && (amd64 || arm64)

package target_test

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"massattach/internal/target"
)

func TestExitCode(t *testing.T) {
	for _, parent := range []string{"", target.ParentWatch} {
		ctx := background(t)
		p := start(t, target.Spec{Epoll: 2, Parent: parent})
		if err := p.Exit(ctx, 42); err != nil {
			t.Fatal(err)
		}
		if e, err := p.Wait(ctx); err != nil || !e.Known || e.Code != 42 || e.Signal != 0 {
			t.Errorf("Wait = %v, %v", e, err)
		}
	}
}

func TestExec(t *testing.T) {
	ctx := background(t)
	p := start(t, target.Spec{Epoll: 3, Futex: 2})
	pid := p.PID()
	for i, e := range []target.Exec{
		{},
		{Spec: &target.Spec{Epoll: 5, Sem: 2}},
		{TID: -1},
		{TID: -1, Spec: &target.Spec{Futex: 20}},
	} {
		if e.TID == -1 { // not the main thread
			list, err := p.List(ctx)
			if err != nil {
				t.Fatal(err)
			}
			e.TID = list[target.KindEpoll][0]
		}
		if err := p.Exec(ctx, e); err != nil {
			t.Fatalf("exec %d: %v", i, err)
		}
		a := account(t, p)
		undisturbed(t, a)
		if p.PID() != pid || a.PID != pid || a.Threads != p.Threads() {
			t.Errorf("exec %d: pid %d, now %d: %+v", i, pid, p.PID(), a)
		}
		if e.Spec != nil && a.Kinds[target.KindEpoll].Threads != e.Spec.Epoll {
			t.Errorf("exec %d: %+v", i, a.Kinds)
		}
	}
	if _, err := p.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestExecFails(t *testing.T) {
	ctx := background(t)
	p := start(t, target.Spec{Epoll: 3})
	list, err := p.List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, tid := range []int{0, list[target.KindEpoll][1]} {
		err := p.Exec(ctx, target.Exec{TID: tid, Argv: []string{"/nonexistent"}})
		if !errors.Is(err, syscall.ENOENT) || !strings.Contains(err.Error(), "/nonexistent") {
			t.Errorf("exec by %d: %v", tid, err)
		}
	}
	undisturbed(t, account(t, p))
}

func TestExecOther(t *testing.T) {
	ctx := background(t)
	p := start(t, target.Spec{Epoll: 3})
	if err := p.Exec(ctx, target.Exec{Argv: []string{"/bin/sleep", "100"}}); err != nil {
		t.Fatal(err)
	}
	if s := status(t, p.PID(), p.PID(), "SigBlk"); s != "0000000000000000" {
		t.Errorf("it blocks %s", s)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if e, err := p.Wait(ctx); err != nil || e.Signal != syscall.SIGKILL {
		t.Errorf("Wait = %v, %v", e, err)
	}
}

func TestParentWatches(t *testing.T) {
	ctx := background(t)
	p := start(t, target.Spec{Epoll: 2, Parent: target.ParentWatch})
	for i := range 5 {
		stop(t, p)
		eventually(t, "the parent to see it", func() bool { e, _ := p.ParentEvents(ctx); return e.Stopped == i+1 })
		if err := syscall.Kill(p.PID(), syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the parent to see it", func() bool { e, _ := p.ParentEvents(ctx); return e.Continued == i+1 })
	}
	if e := account(t, p).Parent; e == nil || len(e.Events) != 10 || e.Events[0].Event != "stopped" || e.Events[0].Status != int(syscall.SIGSTOP) || e.Events[9].Event != "continued" {
		t.Errorf("%+v", e)
	}
	a, err := p.Close()
	if err != nil || a.Parent == nil || a.Parent.Exited != 1 || a.Parent.Error != "" {
		t.Errorf("%+v, %v", a.Parent, err)
	}
}

// A parent that does not look finds everything as the kernel keeps it.
func TestParentLooks(t *testing.T) {
	ctx := background(t)
	p := start(t, target.Spec{Parent: target.ParentIdle})
	look := func(want string) {
		t.Helper()
		var got string
		eventually(t, "the parent to see "+want, func() bool {
			e, err := p.ParentLook(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if e != nil {
				got = e.Event
			}
			return want == "" || got != ""
		})
		if got != want {
			t.Errorf("the parent sees %q, want %q", got, want)
		}
	}
	look("")
	stop(t, p)
	look("stopped")
	look("")
	if err := syscall.Kill(p.PID(), syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	time.Sleep(10 * time.Millisecond)
	look("continued")
	stop(t, p)
	if err := syscall.Kill(p.PID(), syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	time.Sleep(10 * time.Millisecond)
	look("continued") // the stop has passed unseen
	look("")
	if a, err := p.Close(); err != nil || a.Parent.Exited != 1 {
		t.Errorf("%+v, %v", a.Parent, err)
	}
}
