//go:build linux

package programs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// supervised is a program that runs below its supervisor.
type supervised struct {
	cmd  *exec.Cmd // of the supervisor
	in   io.Closer // closed, the program ends
	done chan struct{}
	err  error // of the wait for it; set before done is closed
}

// start starts a supervisor, with out as the program's standard output and
// error, and tty, if the order wants one, as its terminal.
func (o order) start(out io.Writer, tty *os.File) (*supervised, error) {
	text, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), envRole+"="+roleSupervisor, envOrder+"="+string(text), "GORACE=atexit_sleep_ms=0")
	cmd.Stdout, cmd.Stderr = out, out
	// Ctrl-C is for this process; it hears of its end.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if tty != nil {
		cmd.ExtraFiles = []*os.File{tty}
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &supervised{cmd: cmd, in: in, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		s.err = cmd.Wait()
	}()
	return s, nil
}

// end ends the program, and answers its exit code.
func (s *supervised) end() (int, error) {
	s.in.Close()
	select {
	case <-s.done:
		if _, ok := errors.AsType[*exec.ExitError](s.err); s.err != nil && !ok {
			return -1, fmt.Errorf("wait for its supervisor: %w", s.err)
		}
		return s.cmd.ProcessState.ExitCode(), nil
	case <-time.After(farewell + burying + 5*time.Second):
		_ = s.cmd.Process.Kill()
		return -1, errors.New("its supervisor does not end")
	}
}

func (s *supervised) ended() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// run runs a program to its end, which comes with the context's at the latest,
// and answers what it printed. An exit code that is not 0 is an error.
func run(ctx context.Context, o order) (string, error) {
	if o.Stop == 0 {
		o.Stop = syscall.SIGTERM
	}
	var out bytes.Buffer
	s, err := o.start(&out, nil)
	if err != nil {
		return "", err
	}
	select {
	case <-s.done:
	case <-ctx.Done():
	}
	code, err := s.end()
	if err == nil {
		err = ctx.Err()
	}
	if err == nil && code != 0 {
		err = fmt.Errorf("exit status %d", code)
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", o.Argv[0], err, strings.TrimSpace(out.String()))
	}
	return out.String(), nil
}

// without is an environment less some of its variables.
func without(env []string, names ...string) (left []string) {
next:
	for _, v := range env {
		for _, name := range names {
			if strings.HasPrefix(v, name+"=") {
				continue next
			}
		}
		left = append(left, v)
	}
	return left
}
