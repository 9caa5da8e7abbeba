//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"massattach/internal/target"
	"massattach/internal/watchdog"
	"massattach/procfs"
)

// Signals that a target has a handler for, and that it ignores.
const (
	sigHandled = int(syscall.SIGUSR1)
	sigIgnored = int(syscall.SIGUSR2)
)

// process is a run of the command that a test watches and disturbs.
type process struct {
	*exec.Cmd
	t      testing.TB
	stdout output // if it isn't something else's
	stderr output
	phases chan entered // of --phase-fd, closed when nobody has that descriptor any more
	done   chan struct{}
}

// entered is a phase that the command has told of.
type entered struct {
	phase phase
	pid   int
	at    time.Time
}

// prepare makes a process of one of the programs that TestMain knows. Its
// descriptor 3 is for --phase-fd.
func prepare(t testing.TB, program string, args ...string) *process {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{Cmd: exec.Command(path, args...), t: t, done: make(chan struct{}), phases: make(chan entered, 16)}
	p.Args[0] = program
	p.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", "TERM=xterm")
	p.Stdout, p.Stderr = &p.stdout, &p.stderr
	return p
}

func (p *process) start() *process {
	p.t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		p.t.Fatal(err)
	}
	p.ExtraFiles = []*os.File{w}
	if err := p.Start(); err != nil {
		p.t.Fatal(err)
	}
	w.Close()
	go func() {
		defer close(p.phases)
		defer r.Close()
		for lines := bufio.NewScanner(r); lines.Scan(); {
			var e entered
			var ns int64
			if _, err := fmt.Sscan(lines.Text(), &e.phase, &e.pid, &ns); err == nil {
				e.at = time.Unix(0, ns)
				p.phases <- e
			}
		}
	}()
	go func() {
		_ = p.Wait()
		close(p.done)
	}()
	p.t.Cleanup(func() {
		_ = p.Process.Kill()
		<-p.done
	})
	return p
}

// attach starts the command with a target, and answers when it holds it.
func attach(t *testing.T, tg *target.Target, args ...string) *process {
	t.Helper()
	p := prepare(t, "massattach", append([]string{"attach", "--phase-fd", "3", strconv.Itoa(tg.PID())}, args...)...)
	p.start().enters(phaseHold)
	return p
}

// enters waits until the command says that it enters a phase, and answers when it did.
func (p *process) enters(want phase) time.Time {
	p.t.Helper()
	for late := time.After(patience); ; {
		select {
		case e, ok := <-p.phases:
			if !ok {
				p.t.Fatalf("it has ended without %s:\n%s", want, p.stderr.String())
			}
			if e.phase == want {
				return e.at
			}
		case <-late:
			p.t.Fatalf("it has not come to %s:\n%s", want, p.stderr.String())
		}
	}
}

// says waits for words on its standard error.
func (p *process) says(words string) {
	p.t.Helper()
	eventually(p.t, "it says: "+words, func() bool { return strings.Contains(p.stderr.String(), words) })
}

func (p *process) signal(sig syscall.Signal) {
	p.t.Helper()
	if err := p.Process.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
}

func (p *process) hasEnded() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// ends waits for its end, which must be an exit with that code.
func (p *process) ends(code int) {
	p.t.Helper()
	p.died()
	if got := p.ProcessState.ExitCode(); got != code {
		p.t.Errorf("%v, want code %d:\n%s", p.ProcessState, code, p.stderr.String())
	}
}

// died waits for its end, whatever that is.
func (p *process) died() {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		_ = p.Process.Signal(syscall.SIGQUIT) // Go answers that with where it hangs
		select {
		case <-p.done:
		case <-time.After(5 * time.Second):
		}
		p.t.Fatalf("it does not end:\n%s", p.stderr.String())
	}
}

// state is what /proc says of the main thread.
func (p *process) state() byte {
	p.t.Helper()
	st, err := status(p.Process.Pid, p.Process.Pid)
	if err != nil {
		p.t.Fatal(err)
	}
	return st.State
}

// child is a pidfd for the child of a process that was started by that name, and
// its number.
func child(t testing.TB, pid int, name string) (fd, n int) {
	t.Helper()
	eventually(t, "a child by the name of "+name, func() bool {
		for _, n = range childrenOf(t, pid) {
			line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", n))
			if argv0, _, _ := strings.Cut(string(line), "\x00"); argv0 == name {
				return true
			}
		}
		return false
	})
	fd, err := unix.PidfdOpen(n, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd, n
}

func childrenOf(t testing.TB, pid int) (all []int) {
	t.Helper()
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range lists {
		b, _ := os.ReadFile(list) // the thread may have ended
		for _, field := range strings.Fields(string(b)) {
			n, err := strconv.Atoi(field)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, n)
		}
	}
	return all
}

// watchdogs are those that run, of commands of ours.
func watchdogs() (all []int) {
	path, err := exec.LookPath("massattach")
	if err != nil {
		panic(err) // TestMain has made it
	}
	names, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, name := range names {
		comm, _ := os.ReadFile(name)
		exe, _ := os.Readlink(filepath.Dir(name) + "/exe") // a zombie has none
		if strings.TrimSpace(string(comm)) == watchdog.Comm && filepath.Dir(exe) == filepath.Dir(path) {
			n, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			all = append(all, n)
		}
	}
	return all
}

// gone waits until the process behind a pidfd has ended; false: it does not end.
func gone(fd int) bool {
	for end := time.Now().Add(patience); ; {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(max(0, time.Until(end)).Milliseconds()))
		if err != unix.EINTR {
			return n == 1
		}
	}
}

// startTarget starts a target for a test that needs to trace it.
func startTarget(t *testing.T, spec target.Spec) *target.Target {
	t.Helper()
	needTracing(t)
	ctx, cancel := bounded()
	defer cancel()
	tg, err := target.Start(ctx, spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tg.Close() })
	return tg
}

func needTracing(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		if scope, _ := (procfs.FS{}).YamaScope(); scope > 0 {
			t.Skipf("kernel.yama.ptrace_scope is %d: an ordinary user can't trace what is no child of the tracer", scope)
		}
	}
}

func account(t *testing.T, tg *target.Target) target.Account {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	a, err := tg.Account(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// eachThread calls f for the threads of a process.
func eachThread(t *testing.T, pid int, f func(p *procfs.Process, tid int)) {
	t.Helper()
	p, err := procfs.FS{}.Open(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	tids, err := p.AppendTIDs(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tid := range tids {
		f(p, tid)
	}
}

// captives lists the threads of the target that are traced or stopped.
func captives(t *testing.T, tg *target.Target) (all []string) {
	t.Helper()
	eachThread(t, tg.PID(), func(p *procfs.Process, tid int) {
		st, err := p.Status(tid)
		if err == nil && (st.TracerPid != 0 || st.State == 'T' || st.State == 't') {
			all = append(all, fmt.Sprintf("%d: state %c, traced by %d", tid, st.State, st.TracerPid))
		}
	})
	return all
}

// isFree fails the test if anybody is traced or stopped.
func isFree(t *testing.T, tg *target.Target) {
	t.Helper()
	if all := captives(t, tg); len(all) > 0 {
		t.Errorf("%d threads are not free:\n%s", len(all), strings.Join(all[:min(len(all), 10)], "\n"))
	}
}

func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// flood begins to send queued signals, and answers how it ended.
func flood(t *testing.T, tg *target.Target, f target.Flood) (result func() target.FloodResult) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	t.Cleanup(cancel)
	if err := tg.StartFlood(ctx, f); err != nil {
		t.Fatal(err)
	}
	return func() target.FloodResult {
		t.Helper()
		for {
			r, err := tg.FloodState(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if r.Done {
				return r
			}
			time.Sleep(2 * time.Millisecond)
		}
	}
}

// unharmed fails the test if a signal of a flood was lost, doubled, changed or
// overtaken.
func unharmed(t *testing.T, tg *target.Target, r target.FloodResult) {
	t.Helper()
	if err := intact(t.Context(), tg, r); err != nil {
		t.Error(err)
	}
}

func intact(ctx context.Context, tg *target.Target, r target.FloodResult) error {
	a, err := tg.Account(ctx)
	if err != nil {
		return err
	}
	if r.Sent == 0 || r.Lost != 0 || r.Received != r.Sent || r.Error != "" || a.SignalErrors() != 0 {
		return fmt.Errorf("signals of a flood: %+v, %d errors", r, a.SignalErrors())
	}
	return nil
}
