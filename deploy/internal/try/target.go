package try

import (
	"bufio"
	"encoding/json"
	"io"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Target is a process of many threads that counts what is done to it: internal/target
// of the main module, which the command is when its environment says so.
type Target struct {
	PID   int
	lines *bufio.Scanner
	stdin io.WriteCloser
}

// StartTarget starts one of n threads that block in various ways.
func StartTarget(t *testing.T, n int) *Target {
	t.Helper()
	// None in semop: the semaphores of one that is killed would stay behind.
	spec, err := json.Marshal(map[string]int{"total": n, "epoll": n * 4 / 10, "sleep": n / 20, "read": n / 10})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(Massattach(t))
	cmd.Env = append(cmd.Environ(), "MASSATTACH_TARGET="+string(spec))
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	Start(t, cmd)
	tg := &Target{lines: bufio.NewScanner(stdout), stdin: stdin}
	var hello struct {
		Ready bool
		PID   int
		Error string
	}
	tg.read(t, &hello)
	if !hello.Ready {
		t.Fatalf("the target is not ready: %s", hello.Error)
	}
	tg.PID = hello.PID
	return tg
}

func (tg *Target) read(t *testing.T, to any) {
	t.Helper()
	if !tg.lines.Scan() {
		t.Fatalf("the target says nothing: %v", tg.lines.Err())
	}
	if err := json.Unmarshal(tg.lines.Bytes(), to); err != nil {
		t.Fatalf("%v: %s", err, tg.lines.Bytes())
	}
}

// EINTR ends the target, and answers how many of its calls have failed with EINTR.
func (tg *Target) EINTR(t *testing.T) int {
	t.Helper()
	tg.stdin.Close()
	var account struct{ EINTR int }
	tg.read(t, &account)
	return account.EINTR
}

// Signal sends signals to the main thread, which ignores them, until the test is over.
func (tg *Target) Signal(t *testing.T, every time.Duration) {
	done, over := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(done); <-over })
	go func() {
		defer close(over)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				_ = unix.Tgkill(tg.PID, tg.PID, unix.SIGWINCH) // it may have ended
			case <-done:
				return
			}
		}
	}()
}
