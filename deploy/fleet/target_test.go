package fleet

import (
	"bufio"
	"encoding/json"
	"io"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// target is a process of many threads that counts what is done to it; see
// internal/target of the main module, which the command runs when it is asked to by
// the environment.
type target struct {
	pid   int
	lines *bufio.Scanner
	stdin io.WriteCloser
}

// startTarget starts one of n threads that block in various ways.
func startTarget(t *testing.T, n int) *target {
	t.Helper()
	spec, err := json.Marshal(map[string]int{"total": n, "epoll": n * 4 / 10, "sem": n / 20, "sleep": n / 20, "read": n / 10})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program)
	cmd.Env = append(cmd.Environ(), "MASSATTACH_TARGET="+string(spec))
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	start(t, cmd)
	tg := &target{lines: bufio.NewScanner(stdout), stdin: stdin}
	var hello struct {
		Ready bool
		PID   int
	}
	tg.read(t, &hello)
	if !hello.Ready {
		t.Fatal("the target is not ready")
	}
	tg.pid = hello.PID
	return tg
}

func (tg *target) read(t *testing.T, to any) {
	t.Helper()
	if !tg.lines.Scan() {
		t.Fatalf("the target says nothing: %v", tg.lines.Err())
	}
	if err := json.Unmarshal(tg.lines.Bytes(), to); err != nil {
		t.Fatalf("%v: %s", err, tg.lines.Bytes())
	}
}

// account ends the target, and answers how many of its calls have failed with EINTR.
func (tg *target) account(t *testing.T) int {
	t.Helper()
	tg.stdin.Close()
	var a struct{ EINTR int }
	tg.read(t, &a)
	return a.EINTR
}

// signal sends signals to the main thread until the test is over, which ignores them.
func (tg *target) signal(t *testing.T, every time.Duration) {
	done, over := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(done); <-over })
	go func() {
		defer close(over)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				_ = unix.Tgkill(tg.pid, tg.pid, unix.SIGWINCH) // it may have ended
			case <-done:
				return
			}
		}
	}()
}
