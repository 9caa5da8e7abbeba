package attacher_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"massattach/attacher"
	"massattach/internal/target"
	"massattach/procfs"
	"massattach/threadset"
)

// A tool is this test program once more, attached to a process: one that can
// be killed, or be another user.
type tool struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// A toolReport is a line of a tool's: when it is attached, and when it has
// detached.
type toolReport struct {
	Error  string
	Denied attacher.Cause
	Report attacher.Report
}

const (
	envTool     = "ATTACHER_TEST_TOOL"      // the pid
	envToolHold = "ATTACHER_TEST_TOOL_HOLD" // hold all threads
	// Before its first SEIZE it reports, and waits for a byte.
	envToolPause = "ATTACHER_TEST_TOOL_PAUSE"
)

// pausingKernel pauses before its first SEIZE.
type pausingKernel struct {
	attacher.Kernel
	pause func()
}

func (k pausingKernel) Tracer() (attacher.Tracer, error) {
	t, err := k.Kernel.Tracer()
	return pausingTracer{t, k.pause}, err
}

type pausingTracer struct {
	attacher.Tracer
	pause func()
}

func (t pausingTracer) Seize(tid, options int) error {
	t.pause()
	return t.Tracer.Seize(tid, options)
}

// toolMain is the tool, if this process is one: it never returns then.
func toolMain() {
	pid, err := strconv.Atoi(os.Getenv(envTool))
	if err != nil {
		return
	}
	say := func(r toolReport) { _ = json.NewEncoder(os.Stdout).Encode(r) }
	attacher.Hurry()
	s, err := toolAttach(pid)
	if err != nil {
		r := toolReport{Error: err.Error()}
		var denied *attacher.DeniedError
		if errors.As(err, &denied) {
			r.Denied = denied.Failure.Cause
		}
		say(r)
		os.Exit(1)
	}
	say(toolReport{Report: s.Report()})
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := s.Close(); err != nil {
		say(toolReport{Error: err.Error()})
		os.Exit(1)
	}
	say(toolReport{Report: s.Report()})
	os.Exit(0)
}

func toolAttach(pid int) (*attacher.Session, error) {
	o := new(attacher.Options)
	if os.Getenv(envToolPause) != "" {
		o.Kernel = pausingKernel{attacher.Linux, sync.OnceFunc(func() {
			_ = json.NewEncoder(os.Stdout).Encode(toolReport{})
			_, _ = os.Stdin.Read(make([]byte, 1))
		})}
	}
	s, err := attacher.Attach(context.Background(), pid, o)
	if err != nil || os.Getenv(envToolHold) == "" {
		return s, err
	}
	if err := s.SetArbiter(&holder{on: true}); err != nil {
		return nil, err
	}
	err = s.Do(context.Background(), procfs.Selection{}, func(o *attacher.Owner) error {
		for _, tid := range o.TIDs() {
			if err := o.Interrupt(tid); err != nil {
				return err
			}
		}
		o.Expect(o.TIDs())
		return nil
	})
	for err == nil && phases(s)[threadset.Held] < s.Report().Threads.Attached {
	}
	return s, err
}

// startTool attaches another process to pid.
func startTool(t testing.TB, pid int, user *target.User, env ...string) *tool {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), append(env, envTool+"="+itoa(pid))...)
	cmd.Stderr = os.Stderr
	if user != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user.UID, Gid: user.GID}}
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return &tool{cmd, in, bufio.NewReader(out)}
}

// report waits for the next line.
func (o *tool) report(t testing.TB) toolReport {
	t.Helper()
	line, err := o.out.ReadBytes('\n')
	if err != nil {
		t.Fatalf("the tool: %v", err)
	}
	var r toolReport
	if err := json.Unmarshal(line, &r); err != nil {
		t.Fatalf("the tool says %q: %v", line, err)
	}
	return r
}

// attached waits until it is.
func (o *tool) attached(t testing.TB) {
	t.Helper()
	if r := o.report(t); r.Error != "" {
		t.Fatal(r.Error)
	}
}

// detach has it end.
func (o *tool) detach(t testing.TB) attacher.Report {
	t.Helper()
	o.in.Close()
	r := o.report(t)
	if r.Error != "" {
		t.Error(r.Error)
	}
	return r.Report
}

// Case 55: the tool is killed while it is attached, and while it holds all
// threads: the target goes on, with all of its signals.
func TestToolKilled(t *testing.T) {
	for _, hold := range []string{"", "yes"} {
		t.Run(fmt.Sprintf("hold=%v", hold != ""), func(t *testing.T) {
			if hold != "" {
				needRepair(t)
			}
			p := start(t, target.Spec{Epoll: 300, Sem: 50, Spin: 1, Signals: map[int]target.Disposition{sigUSR1: target.SigHandle}})
			all, err := p.List(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for range size(3, 50) {
				if err := p.Reset(t.Context()); err != nil {
					t.Fatal(err)
				}
				tool := startTool(t, p.PID(), nil, envToolHold+"="+hold)
				tool.attached(t)
				if l := lookAt(t, p.PID()); l.tracers[0] != 0 || hold != "" && l.states['t'] != l.threads {
					t.Errorf("%+v", l)
				}
				for _, tid := range all[target.KindEpoll] {
					if err := tgkill(p.PID(), tid, syscall.SIGUSR1); err != nil {
						t.Fatal(err)
					}
				}
				if err := tool.cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
				tool.cmd.Wait()
				eventually(t, "all are free", func() bool { l := lookAt(t, p.PID()); return l.traced() == 0 && l.states['t'] == 0 })
				eventually(t, "each handler ran", func() bool { return account(t, p).Runs[sigUSR1] == 300 })
				atRest(t, p, target.KindEpoll, target.KindSem)
				// Each handler interrupts its thread, and nothing else does.
				if a := account(t, p); a.Runs[sigUSR1] != 300 || a.EINTR != 300 || a.Early != 0 {
					t.Errorf("handlers %v, EINTR %d, early %d", a.Runs, a.EINTR, a.Early)
				}
			}
		})
	}
}
