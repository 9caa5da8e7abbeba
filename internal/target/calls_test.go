//go:build linux && (amd64 || arm64)

package target_test

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"massattach/internal/target"
)

// Each call of the table, untraced: with a time-out it returns what the table
// says, not much before it (that of mq_timedreceive is a time of day, which the
// thread may come late to); without one it stays until a handler interrupts it.
// Ignored signals and SIGCONT change nothing.
func TestCalls(t *testing.T) {
	ctx := background(t)
	const timeout = 300 * time.Millisecond
	p := start(t, target.Spec{Signals: map[int]target.Disposition{usr1: target.SigHandle}})
	names, err := p.Calls(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(names) < 40 {
		t.Errorf("%d calls", len(names))
	}
	calls := map[string]target.TimedCall{}
	for _, name := range names {
		c, err := p.StartCall(ctx, name, timeout)
		if errors.Is(err, syscall.ENOSYS) || errors.Is(err, syscall.EPERM) {
			t.Logf("not here: %v", err)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		calls[name] = c
		for _, sig := range []int{winch, chld, cont} {
			if err := p.Send(ctx, target.Send{Signal: sig, TID: c.TID}); err != nil {
				t.Fatal(err)
			}
		}
	}
	time.Sleep(timeout + 100*time.Millisecond)
	for name, c := range calls {
		t.Run(name, func(t *testing.T) {
			if strings.HasSuffix(name, "_inf") || strings.HasSuffix(name, "_norcvto") {
				if r, err := p.CallResult(ctx, c.ID); err != nil || r.Done || r.Want != "" {
					t.Fatalf("it did not stay blocked: %+v, %v", r, err)
				}
				if err := p.Send(ctx, target.Send{Signal: usr1, TID: c.TID}); err != nil {
					t.Fatal(err)
				}
				want := "EINTR"
				switch name {
				case "uring_submit_wait_inf":
					want = "1" // it tells how many it has submitted
				case "write_pipe_inf":
					want = "65536" // as much as there was room for
				}
				r := result(ctx, t, p, c)
				if name == "sendfile_sock_inf" && r.Ret > 0 {
					want = r.Result() // the same, whatever that is
				}
				if r.Result() != want || !r.MaskSame || r.Handled != 1 {
					t.Errorf("want %s: %+v", want, r)
				}
				return
			}
			r := result(ctx, t, p, c)
			// One ends at a time of day that was set before it began.
			early := r.ElapsedNS < int64(timeout)/2 && name != "mq_timedreceive_to"
			if r.Want == "" || r.Result() != r.Want || early || !r.MaskSame || r.Handled != 0 {
				t.Errorf("%+v", r)
			}
		})
	}
	a, err := p.Close()
	if err != nil {
		t.Fatal(err)
	}
	undisturbed(t, a)
	if k := a.Kinds[target.KindCall]; k.Threads != 0 || len(a.SysV.Msg) != 0 {
		t.Errorf("left behind: %+v, %+v", k, a.SysV)
	}
}

// result waits for the end of a call.
func result(ctx context.Context, t *testing.T, p *target.Target, c target.TimedCall) (r target.CallResult) {
	t.Helper()
	eventually(t, "the call to return", func() bool {
		var err error
		if r, err = p.CallResult(ctx, c.ID); err != nil {
			t.Fatal(err)
		}
		return r.Done
	})
	return r
}

func TestCallInterrupted(t *testing.T) {
	ctx := background(t)
	p := start(t, target.Spec{Signals: map[int]target.Disposition{usr1: target.SigHandle}})
	c := semtimedop(ctx, t, p)
	if err := p.Send(ctx, target.Send{Signal: usr1, TID: c.TID}); err != nil {
		t.Fatal(err)
	}
	if r := result(ctx, t, p, c); r.Result() != "EINTR" || r.Handled != 1 || r.ElapsedNS > int64(20*time.Second) {
		t.Errorf("%+v", r)
	}
	if _, err := p.CallResult(ctx, c.ID); err == nil {
		t.Error("asked for twice")
	}
	if _, err := p.StartCall(ctx, "none", 0); err == nil {
		t.Error("a call that is none")
	}
}

func semtimedop(ctx context.Context, t *testing.T, p *target.Target) target.TimedCall {
	t.Helper()
	c, err := p.StartCall(ctx, "semtimedop_to", 30*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A thread in vfork is blocked for good, and its child ends with it.
func TestVfork(t *testing.T) {
	ctx := background(t)
	p := start(t, target.Spec{Epoll: 3})
	for range 3 {
		v, err := p.StartVfork(ctx)
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "the thread to wait", func() bool { return strings.HasPrefix(status(t, p.PID(), v.TID, "State"), "D") })
		if err := p.EndVfork(ctx, v.TID); err != nil {
			t.Fatal(err)
		}
		gone(t, v.PID)
	}
	v, err := p.StartVfork(ctx)
	if err != nil {
		t.Fatal(err)
	}
	undisturbed(t, account(t, p))
	p.Close()
	eventually(t, "the child to end", func() bool { return !alive(v.PID) })
}
