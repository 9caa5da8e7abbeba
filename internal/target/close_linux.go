//go:build linux && (amd64 || arm64)

package target

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// farewell is how long a target has to say its last account.
	farewell = 30 * time.Second
	// leaving is how long it then has to end, and how long one that was
	// killed has: a hundred thousand threads take their time.
	leaving = time.Minute
	// burying is how long a process that has ended takes to be reaped. A
	// tracer that does not let go of a thread of it holds that up for ever.
	burying = time.Minute
)

// Close ends the target and returns its last account. It closes the target's
// input; a target that is stopped is continued for that, which its account
// then shows; one that does not answer within 30 s is killed. Nothing is left: no
// process, no semaphore, no message queue. A target that had ended before, or
// was killed, has no last account: the error says how it ended, and the
// account is the newest that was asked for.
func (t *Target) Close() (Account, error) {
	t.closing.Do(func() { t.account, t.err = t.close() })
	return t.account, t.err
}

func (t *Target) close() (Account, error) {
	_ = t.link.w.Close()
	t.mu.Lock()
	killed := t.stranger // it would not listen
	t.mu.Unlock()
	if killed {
		_ = t.Kill()
	}
	begin, patience := time.Now(), farewell
	for !t.goneWithin(50 * time.Millisecond) {
		if t.link.final() != nil {
			patience = leaving
		}
		if time.Since(begin) > patience {
			_ = t.Kill()
			killed = true
			t.goneWithin(leaving)
			break
		}
		if t.stopped() {
			_ = unix.PidfdSendSignal(t.pidfd, unix.SIGCONT, nil, 0)
		}
	}
	select {
	case <-t.link.ended:
	case <-time.After(time.Second): // somebody else holds its output: an exec'ed program's child
	}
	var events *ParentAccount
	if t.parent != nil {
		ctx, cancel := context.WithTimeout(context.Background(), burying)
		defer cancel()
		if t.spec.Parent == ParentIdle {
			_, _ = t.ParentLook(ctx)
		} else {
			t.sawExit(ctx)
		}
		if e, err := t.ParentEvents(ctx); err == nil {
			events = &e
		}
		_ = t.parent.w.Close()
	}
	var end Exit
	var err error
	if t.child != nil {
		end, err = t.bury()
	}
	t.mu.Lock()
	a, left := t.seen, t.sysv
	t.mu.Unlock()
	_ = unix.Close(t.pidfd)
	last := t.link.final()
	if killed || last == nil {
		removeSysV(left)
	}
	if last != nil {
		a = *last
		a.Parent = events
		return a, nil
	}
	a.Parent = events
	if t.parent != nil || t.child == nil {
		return a, errors.New("target: it ended without a last account")
	}
	return a, errors.Join(fmt.Errorf("target: it ended without a last account: %v %s", end, t.stderr), err)
}

// goneWithin waits for the end of the target, though it need not be a child.
func (t *Target) goneWithin(d time.Duration) bool {
	end := time.Now().Add(d)
	for {
		left := time.Until(end)
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(t.pidfd), Events: unix.POLLIN}}, int(max(0, left.Milliseconds())))
		if err == unix.EINTR {
			continue
		}
		return n > 0
	}
}

// stopped tells whether the target is in a group-stop.
func (t *Target) stopped() bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(t.pid) + "/stat")
	return err == nil && statState(b) == 'T'
}

// Kill sends the target SIGKILL. Close is still to be called.
func (t *Target) Kill() error { return unix.PidfdSendSignal(t.pidfd, unix.SIGKILL, nil, 0) }

// Wait waits for the end of the target, blocked in a wait for the child if it
// is one of this process, and returns how it ended. Close is still to be
// called. If ctx ends first the wait goes on in the background.
func (t *Target) Wait(ctx context.Context) (Exit, error) {
	if t.child != nil && t.parent == nil {
		return t.reap(ctx)
	}
	for !t.goneWithin(10 * time.Millisecond) {
		if err := ctx.Err(); err != nil {
			return Exit{}, fmt.Errorf("target: wait: %w", err)
		}
	}
	if t.parent == nil || t.spec.Parent == ParentIdle {
		return Exit{}, nil
	}
	if e := t.sawExit(ctx); e != nil {
		if e.Event == "exited" {
			return Exit{Known: true, Code: e.Status}, nil
		}
		return Exit{Known: true, Code: -1, Signal: unix.Signal(e.Status)}, nil
	}
	return Exit{}, nil
}

// sawExit waits until the parent has seen the target's end; nil: it has not.
func (t *Target) sawExit(ctx context.Context) *ParentEvent {
	for ctx.Err() == nil {
		a, err := t.ParentEvents(ctx)
		if err != nil || a.Error != "" {
			return nil
		}
		for i := range a.Events {
			if e := &a.Events[i]; e.Event == "exited" || e.Event == "killed" {
				return e
			}
		}
		time.Sleep(2 * time.Millisecond)
	}
	return nil
}

// bury reaps the child, or kills it when it does not end.
func (t *Target) bury() (Exit, error) {
	ctx, cancel := context.WithTimeout(context.Background(), burying)
	defer cancel()
	if e, err := t.reap(ctx); err == nil || ctx.Err() == nil {
		return e, err
	}
	_ = t.child.Kill()
	again, cancel := context.WithTimeout(context.Background(), burying)
	defer cancel()
	return t.reap(again)
}

// reap waits for the child, once.
func (t *Target) reap(ctx context.Context) (Exit, error) {
	p := &t.process
	p.waiting.Do(func() {
		go func() {
			p.state, p.waitErr = p.child.Wait()
			close(p.waited)
		}()
	})
	select {
	case <-ctx.Done():
		return Exit{}, fmt.Errorf("target: wait: %w", ctx.Err())
	case <-p.waited:
	}
	if p.waitErr != nil {
		return Exit{}, fmt.Errorf("target: wait: %w", p.waitErr)
	}
	e := Exit{Known: true, Code: p.state.ExitCode()}
	if ws, ok := p.state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		e.Signal = ws.Signal()
	}
	return e, nil
}
