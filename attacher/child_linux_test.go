package attacher_test

import (
	"os/exec"
	"syscall"
	"testing"
	"time"

	"massattach/internal/target"
)

// Case 67: the exit status of a child of our own process is its parent's.
func TestOwnChildExit(t *testing.T) {
	for _, waitFirst := range []bool{false, true} {
		cmd := exec.Command("sleep", "100")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		s := attach(t, cmd.Process.Pid, nil)
		done := make(chan error, 1)
		wait := func() { done <- cmd.Wait() }
		if waitFirst {
			go wait()
			time.Sleep(20 * time.Millisecond)
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if !waitFirst {
			select {
			case <-s.Ended():
			case <-time.After(time.Minute):
				t.Fatal("the end of the target went unnoticed")
			}
			go wait()
		}
		select {
		case <-done:
		case <-time.After(time.Minute):
			t.Fatal("the parent waits for ever")
		}
		ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
		if !ok || !ws.Signaled() || ws.Signal() != syscall.SIGKILL {
			t.Errorf("waited first %v: the parent got %v", waitFirst, cmd.ProcessState)
		}
		if r := detach(t, s); r.Threads.Exited != 1 {
			t.Errorf("threads: %+v", r.Threads)
		}
	}
}

func TestOwnChildExitsByItself(t *testing.T) {
	cmd := exec.Command("sh", "-c", "read line; exit 7")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := attach(t, cmd.Process.Pid, nil)
	in.Close()
	select {
	case <-s.Ended():
	case <-time.After(time.Minute):
		t.Fatal("the end of the target went unnoticed")
	}
	detach(t, s)
	if cmd.Wait(); cmd.ProcessState.ExitCode() != 7 {
		t.Errorf("the parent got %v", cmd.ProcessState)
	}
}

// A wait of the parent's that is blocked while we are attached takes the
// leader's stops; the leader runs on all the same, and its signals arrive.
func TestOwnChildStopsTaken(t *testing.T) {
	p := start(t, target.Spec{Epoll: 5, Signals: map[int]target.Disposition{sigUSR1: target.SigHandle}})
	attach(t, p.PID(), nil)
	for i := range 10 {
		go func() {
			// What os/exec's Wait does: exits only, but Linux gives it more.
			var ws syscall.WaitStatus
			syscall.Wait4(p.PID(), &ws, 0, nil)
		}()
		time.Sleep(5 * time.Millisecond)
		if err := tgkill(p.PID(), p.PID(), syscall.SIGUSR1); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the handler ran", func() bool { return account(t, p).Runs[sigUSR1] == int64(i+1) })
	}
}
