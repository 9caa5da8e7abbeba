//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"massattach/attacher"
	"massattach/internal/bpf"
	"massattach/internal/doctor"
	"massattach/internal/programs"
	"massattach/internal/target"
	"massattach/internal/watchdog"
	"massattach/procfs"
	"massattach/stopper/notify"
)

// TestMain makes several programs of this one: the tests, the targets that they
// start, the command itself, as the scripts run it, and those that get in its way.
func TestMain(m *testing.M) {
	target.Main()
	programs.Main()
	testscript.Main(leakCheck{m}, map[string]func(){
		"massattach": patiently(time.Minute, main),
		// The same on a kernel that takes its time with each SEIZE.
		"massattach-slow": patiently(time.Minute, func() {
			t := &tool{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, kernel: slowKernel{attacher.Linux}}
			os.Exit(t.run(context.Background(), os.Args[1:]))
		}),
		// With the Ps that it is given.
		"massattach-plain": patiently(time.Minute, func() {
			os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
		}),
		// With the patience that a watchdog has.
		"massattach-watched": patiently(watchdog.Patience, main),
		// One that panics when it has seized somebody.
		"massattach-panic": patiently(time.Minute, func() {
			t := &tool{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, kernel: panickingKernel{attacher.Linux}}
			os.Exit(t.run(context.Background(), os.Args[1:]))
		}),
		// One that can't start its watchdog.
		"massattach-unwatched": patiently(time.Minute, func() {
			t := &tool{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, program: "/nonexistent"}
			os.Exit(t.run(context.Background(), os.Args[1:]))
		}),
		// One that does not let go of whom it has stopped.
		"massattach-stuck": patiently(watchdog.Patience, func() {
			t := &tool{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, kernel: stuckKernel{attacher.Linux}}
			os.Exit(t.run(context.Background(), os.Args[1:]))
		}),
		doctor.ProbeName: doctor.Probe,
		"debugger":       debugger,
		"job":            job,
		"undumpable":     undumpable,
		"motley":         motley,
		"sealed":         sealed,
		"uring":          uring,
	})
}

// patiently has the command wait for a machine that is busy with others: it for its attach,
// and its watchdog for it.
func patiently(dog time.Duration, command func()) func() {
	return func() {
		usualDeadline, dogPatience = patience, dog
		command()
	}
}

// leakCheck fails when the tests leave a process behind.
type leakCheck struct{ *testing.M }

func (l leakCheck) Run() int {
	// The command respects a signal that it was started to ignore, as a shell
	// does to what it runs in the background. A handler here makes it the
	// default again for what the tests start.
	for _, s := range []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT} {
		if signal.Ignored(s) {
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
	if os.Geteuid() == 0 {
		if err := makePublicDir(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(publicDir)
	}
	code := l.M.Run()
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		left := children()
		for _, pid := range watchdogs() {
			left = append(left, fmt.Sprintf("%s[%d]", watchdog.Comm, pid))
		}
		if len(left) == 0 {
			return code
		}
		if time.Now().After(end) {
			fmt.Fprintln(os.Stderr, "processes left behind:", left)
			return max(code, 1)
		}
	}
}

// children are the processes that this one has started.
func children() (left []string) {
	all, err := procfs.FS{}.Top(0)
	if err != nil {
		return []string{err.Error()}
	}
	for _, p := range all {
		if st, err := status(p.PID, p.PID); err == nil && st.PPid == os.Getpid() {
			left = append(left, fmt.Sprintf("%s[%d]", p.Comm, p.PID))
		}
	}
	return left
}

func status(pid, tid int) (procfs.Status, error) {
	p, err := procfs.FS{}.Open(pid)
	if err != nil {
		return procfs.Status{}, err
	}
	defer p.Close()
	return p.Status(tid)
}

type slowKernel struct{ attacher.Kernel }

func (k slowKernel) Tracer() (attacher.Tracer, error) {
	t, err := k.Kernel.Tracer()
	if err != nil {
		return nil, err
	}
	return slowTracer{t}, nil
}

type slowTracer struct{ attacher.Tracer }

func (t slowTracer) Seize(tid, options int) error {
	time.Sleep(30 * time.Millisecond)
	return t.Tracer.Seize(tid, options)
}

type stuckKernel struct{ attacher.Kernel }

func (k stuckKernel) Tracer() (attacher.Tracer, error) {
	t, err := k.Kernel.Tracer()
	if err != nil {
		return nil, err
	}
	return stuckTracer{t}, nil
}

type stuckTracer struct{ attacher.Tracer }

func (t stuckTracer) Cont(int, syscall.Signal) error { select {} }

type panickingKernel struct{ attacher.Kernel }

func (k panickingKernel) Tracer() (attacher.Tracer, error) {
	t, err := k.Kernel.Tracer()
	if err != nil {
		return nil, err
	}
	return panickingTracer{t}, nil
}

type panickingTracer struct{ attacher.Tracer }

// panics when the test, which has looked around, closes our input: not in a tracer,
// where the attacher would survive it.
var panics = sync.OnceFunc(func() {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		panic("a bug")
	}()
})

func (t panickingTracer) Seize(tid, options int) error {
	panics()
	return t.Tracer.Seize(tid, options)
}

// campaign says whether the full sizes are asked for.
func campaign() bool { return os.Getenv("MASSATTACH_CAMPAIGN") != "" }

// inCI reports whether a test that can't run here has to fail.
func inCI() bool { return os.Getenv("CI") == "true" }

func TestScripts(t *testing.T) {
	needTracing(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE") != "",
		Setup:               setup,
		Cmds:                commands,
		Condition:           condition,
	})
}

// condition knows, beside testscript's own, what a script may lack here: root,
// a mechanism of notify style (task_work), or a program (have:strace). In CI nothing may be lacking.
func condition(cond string) (bool, error) {
	if program, ok := strings.CutPrefix(cond, "have:"); ok {
		_, err := exec.LookPath(program)
		return err == nil || inCI(), nil
	}
	if cond == notify.TaskWork {
		must := slices.Contains(strings.Split(os.Getenv("MASSATTACH_REQUIRE"), ","), cond)
		return must || bpf.NotifySupported() == nil, nil
	}
	if cond == "root" {
		return os.Geteuid() == 0 || inCI(), nil
	}
	return false, fmt.Errorf("unknown condition %q", cond)
}

func TestPIDs(t *testing.T) {
	for _, tc := range []struct{ line, want string }{
		{"1 2 3", "[1 2 3]"},
		{"-p 1 2 -p 3", "[1 2 3]"},
		{"1 -p 2 3", "[1 2 3]"},
		{"1 2 --pid=3 -p4 5 -p 6", "[1 2 3 4 5 6]"},
		{"2 --for 1s -p 1 2 1", "[2 1]"},
		{"--for 1s", "[]"},
		{"1 two", `"two" is not a process number`},
		{"0", `"0" is not a process number`},
		{"1 -- -2", `"-2" is not a process number`},
		{"-2", `"-2" is not a process number`},
		{"-p -2", `--pid: "-2" is not a process number`},
		{"99999999999999999999", `"99999999999999999999" is not a process number`},
	} {
		tl := &tool{}
		cmd := tl.attachCommand()
		cmd.SetFlagErrorFunc(flagError)
		p := cmd.Flags().Lookup("pid").Value.(*pids)
		var got string
		if err := cmd.ParseFlags(strings.Fields(tc.line)); err != nil {
			got = flagError(cmd, err).Error()
		} else if list, err := p.list(cmd.Flags().Args()); err != nil {
			got = err.Error()
		} else {
			got = fmt.Sprint(list)
		}
		if got != tc.want {
			t.Errorf("%s: %s, want %s", tc.line, got, tc.want)
		}
	}
}

func TestCommon(t *testing.T) {
	for _, tc := range []struct {
		codes []int
		want  int
	}{
		{[]int{0}, 0}, {[]int{4}, 4}, {[]int{5, 5}, 5}, {[]int{0, 4}, 3}, {[]int{4, 5, 4}, 3}, {[]int{3, 3}, 3},
	} {
		if got := common(tc.codes); got != tc.want {
			t.Errorf("%v: %d, want %d", tc.codes, got, tc.want)
		}
	}
}

func TestBar(t *testing.T) {
	for _, tc := range []struct {
		done, total, width int
		want               string
	}{
		{0, 10_000, 80, "attaching [>                             ] 0 of 10,000 threads"},
		{5_000, 10_000, 80, "attaching [===============>              ] 5,000 of 10,000 threads"},
		{10_000, 10_000, 80, "attaching [==============================] 10,000 of 10,000 threads"},
		{11, 10, 80, "attaching [==============================] 11 of 11 threads"},
		{0, 0, 80, "attaching [>                             ] 0 of 1 thread"},
		{5_000, 10_000, 40, "attaching 5,000 of 10,000 threads"},
		{5_000, 10_000, 30, "5,000 of 10,000 threads"},
		{5_000, 10_000, 10, ""},
	} {
		if got := bar("attaching", tc.done, tc.total, tc.width); got != tc.want {
			t.Errorf("%d of %d in %d columns:\n got %q\nwant %q", tc.done, tc.total, tc.width, got, tc.want)
		}
	}
}

func atoi(ts *testscript.TestScript, s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		ts.Fatalf("%q is no number", s)
	}
	return n
}
