package bench

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"massattach/internal/report"
	"massattach/procfs"
)

// mark is in the environment of all processes that are run here, and of their children:
// by it they are found when they have to end.
const mark = "MASSATTACH_BENCH"

func marked() string { return fmt.Sprintf("%s=%d", mark, os.Getpid()) }

// A command is a process to be run to its end.
type command struct {
	argv  []string
	input string
	// during, if not nil, is called while it runs, and ends when its context does.
	during func(ctx context.Context, p *os.Process) error
	// fine are exit codes beside 0 that are no failure. 130 and 137 are also an end by
	// SIGINT or SIGKILL, which during may have sent.
	fine []int
	// check, if not nil, looks at what it has written to standard output, which is
	// otherwise thrown away.
	check func(output []byte) error
}

// process runs c within the plan's limit and answers its wall time and CPU time; and its
// memory at the most, by a look every few ms, if it has not been run before: the looks
// take a short process a twentieth of its time. A process that takes longer, or outlives
// ctx, is killed with all that it has started.
func (s *stage) process(ctx context.Context, c command) (sample, error) {
	defer s.heal()
	// The kernel kills it when the thread ends that has started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.Command(c.argv[0], c.argv[1:]...)
	cmd.Env = append(os.Environ(), marked(), "LC_ALL=C", "TERM=dumb", "DEBUGINFOD_URLS=")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Stdin = strings.NewReader(c.input)
	cmd.WaitDelay = time.Second
	var output bytes.Buffer
	if c.check != nil {
		cmd.Stdout = &output
	}
	said := new(tail)
	cmd.Stderr = said
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, &outcomeError{report.OutcomeRefused, err.Error()}
	}
	var took time.Duration
	ended := make(chan error, 1)
	alive, end := context.WithCancel(ctx)
	defer end()
	go func() {
		err := cmd.Wait()
		took = time.Since(begin)
		end()
		ended <- err
	}()
	peak := make(chan float64, 1)
	if s.isFirst(c) {
		go func() { peak <- watchMemory(alive, cmd.Process.Pid) }()
	} else {
		peak <- 0
	}
	limit := time.NewTimer(s.plan.limit)
	defer limit.Stop()
	led := make(chan error, 1)
	if c.during != nil {
		go func() { led <- c.during(alive, cmd.Process) }()
	}
	for {
		select {
		case err := <-led:
			if err != nil && alive.Err() == nil {
				killMarked()
				<-ended
				return nil, &outcomeError{report.OutcomeRefused, err.Error()}
			}
		case err := <-ended:
			killMarked() // those that it has left
			if err != nil && !c.accepts(cmd.ProcessState) {
				return nil, &outcomeError{report.OutcomeRefused, why(err, said.String())}
			}
			if c.check != nil {
				if err := c.check(output.Bytes()); err != nil {
					return nil, &outcomeError{report.OutcomeRefused, err.Error()}
				}
			}
			used := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
			figures := sample{report.FigureSeconds: took.Seconds(), report.FigureCPU: used.Seconds()}
			if memory := <-peak; memory > 0 {
				figures[report.FigureMemory] = memory
			}
			return figures, nil
		case <-limit.C:
			killMarked()
			<-ended
			return nil, &outcomeError{report.OutcomeTimeout, fmt.Sprintf("over %v", s.plan.limit)}
		case <-ctx.Done():
			killMarked()
			<-ended
			return nil, ctx.Err()
		}
	}
}

// isFirst says whether c is run for the first time.
func (s *stage) isFirst(c command) bool {
	line := strings.Join(c.argv, " ")
	if s.ran[line] {
		return false
	}
	if s.ran == nil {
		s.ran = make(map[string]bool)
	}
	s.ran[line] = true
	return true
}

func (c *command) accepts(p *os.ProcessState) bool {
	code := p.ExitCode()
	if ws, ok := p.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		code = 128 + int(ws.Signal())
	}
	return slices.Contains(c.fine, code)
}

// why is an exit code, and the last line that was said before it.
func why(err error, said string) string {
	lines := strings.Split(strings.TrimSpace(said), "\n")
	if last := strings.TrimSpace(lines[len(lines)-1]); last != "" {
		return report.Line(fmt.Sprintf("%v: %.160s", err, last))
	}
	return err.Error()
}

// tail keeps the end of what is written to it.
type tail struct{ b []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if n := len(t.b) - 4<<10; n > 0 {
		t.b = append(t.b[:0], t.b[n:]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return string(t.b) }

// watchMemory answers the most memory that a process has had, in bytes, when ctx ends.
func watchMemory(ctx context.Context, pid int) (peak float64) {
	for {
		if kib, ok := statusField(pid, "VmHWM"); ok {
			peak = max(peak, 1024*float64(kib))
		}
		select {
		case <-ctx.Done():
			return peak
		case <-time.After(breath):
		}
	}
}

// statusField reads a number of /proc/PID/status.
func statusField(pid int, name string) (n int, ok bool) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, false
	}
	_, rest, found := bytes.Cut(b, []byte("\n"+name+":"))
	if !found {
		return 0, false
	}
	_, err = fmt.Sscan(string(rest), &n)
	return n, err == nil
}

// markedProcesses are those that were started here, and their children.
func markedProcesses() (pids []int) {
	all, err := procfs.FS{}.Top(0)
	if err != nil {
		return nil
	}
	want := append([]byte(marked()), 0)
	for _, p := range all {
		env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p.PID))
		if err == nil && (bytes.HasPrefix(env, want) || bytes.Contains(env, append([]byte{0}, want...))) && p.State != 'Z' {
			pids = append(pids, p.PID)
		}
	}
	return pids
}

// killMarked ends the processes that were started here, and waits until they have.
func killMarked() {
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(breath) {
		pids := markedProcesses()
		if len(pids) == 0 {
			return
		}
		for _, pid := range pids {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
}

// cpuOf is the CPU time of a process and its children that it has waited for, as
// /proc/PID/stat has it, in clock ticks of 10 ms.
func cpuOf(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(f) < 15 {
		return 0, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(f))
	}
	var ticks time.Duration
	for _, s := range f[11:15] { // utime, stime, cutime, cstime: proc_pid_stat(5)
		var n int64
		if _, err := fmt.Sscan(s, &n); err != nil {
			return 0, err
		}
		ticks += time.Duration(n)
	}
	return ticks * time.Second / 100, nil
}
