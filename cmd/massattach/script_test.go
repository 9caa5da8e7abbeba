//go:build linux

// The commands that the scripts have beside testscript's own:
//
//	target NAME SPEC         starts a target; $NAME is its pid. At the end of the
//	                         script its own account must show no EINTR and no
//	                         early return.
//	end NAME | slay NAME     ends it now, in its own way or by SIGKILL
//	thread VAR NAME KIND     sets VAR to the tid of the target's first such thread
//	name NAME TID COMM       renames a thread of it, COMM as in a Go string
//	vfork VAR NAME           has a thread of it call vfork; VAR is its tid
//	unfork NAME TID          ends that one's child
//	spawn VAR NAME KIND N    makes threads; VAR is the tid of the last one
//	code N [-u USER] [-t] PROGRAM ARGS   runs it, which must exit N; -t: on a
//	                         terminal, which stdout is then all of
//	start NAME [-u USER] [-t] [-o] PROGRAM ARGS   the same in the background;
//	                         -o: its stdout is a pipe for hangup
//	say NAME REGEXP          waits until it has said so on stderr
//	print NAME REGEXP        waits until it has printed so on stdout
//	signal SIG NAME          sends it a signal
//	hangup NAME              closes the reader of its stdout
//	finish NAME N            waits until it exits, which must be N; stdout and
//	                         stderr are then what it wrote
//	[!] traced PID [TID]     waits until a thread of it is, or none
//	child VAR PID            waits until the process has a child
//	gone PID                 waits until the process has ended
//	json FILE PATH OP VALUE  looks at one value in lines of JSON: .threads.found,
//	                         1.failures.0.tid (of the second line), or .a.keys
//	                         and .a.len. OP is ==, !=, >=, <=, or ~ for a REGEXP

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"massattach/internal/target"
	"massattach/procfs"
)

// patience bounds every wait of a script. Only what hangs takes that long, also on a machine
// that is busy with others.
const patience = 5 * time.Minute

// fixture is what a script has running.
type fixture struct {
	targets map[string]*target.Target
	running map[string]*running
}

type fixtureKey struct{}

func setup(env *testscript.Env) error {
	f := &fixture{targets: make(map[string]*target.Target), running: make(map[string]*running)}
	env.Values[fixtureKey{}] = f
	env.Setenv("TERM", "xterm")
	env.Setenv("NO_COLOR", "")
	// Or the race detector has each program sleep a second at its end.
	env.Setenv("GORACE", "atexit_sleep_ms=0")
	return nil
}

func of(ts *testscript.TestScript) *fixture { return ts.Value(fixtureKey{}).(*fixture) }

func (f *fixture) target(ts *testscript.TestScript, name string) *target.Target {
	t := f.targets[name]
	if t == nil {
		ts.Fatalf("there is no target %s", name)
	}
	return t
}

var commands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"target": cmdTarget,
	"end":    cmdEnd,
	"slay":   cmdSlay,
	"thread": cmdThread,
	"name":   cmdName,
	"vfork":  cmdVfork,
	"unfork": cmdUnfork,
	"spawn":  cmdSpawn,
	"code":   cmdCode,
	"start":  cmdStart,
	"say":    cmdSay,
	"print":  cmdPrint,
	"signal": cmdSignal,
	"hangup": cmdHangup,
	"finish": cmdFinish,
	"traced": cmdTraced, // ! traced: nobody is
	"child":  cmdChild,
	"gone":   cmdGone,
	"json":   cmdJSON,
}

func needArgs(ts *testscript.TestScript, neg bool, args []string, n int) {
	if neg || len(args) < n {
		ts.Fatalf("wrong use, see script_test.go")
	}
}

func bounded() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), patience)
}

func cmdTarget(ts *testscript.TestScript, neg bool, args []string) {
	needArgs(ts, neg, args, 2)
	var spec target.Spec
	ts.Check(json.Unmarshal([]byte(args[1]), &spec))
	ctx, cancel := bounded()
	defer cancel()
	t, err := target.Start(ctx, spec)
	ts.Check(err)
	name := args[0]
	of(ts).targets[name] = t
	ts.Setenv(name, strconv.Itoa(t.PID()))
	ts.Defer(func() {
		if of(ts).targets[name] == nil {
			return
		}
		a, err := t.Close()
		if err != nil {
			ts.Fatalf("target %s: %v", name, err)
		}
		if a.EINTR != 0 || a.Early != 0 {
			ts.Fatalf("target %s was disturbed: %+v", name, a)
		}
	})
}

func cmdEnd(ts *testscript.TestScript, neg bool, args []string) {
	needArgs(ts, neg, args, 1)
	ctx, cancel := bounded()
	defer cancel()
	t := of(ts).target(ts, args[0])
	a, err := t.Account(ctx)
	ts.Check(err)
	if a.EINTR != 0 || a.Early != 0 {
		ts.Fatalf("target %s was disturbed: %+v", args[0], a)
	}
	ts.Check(t.Exit(ctx, 0))
	of(ts).bury(ts, args[0])
}

func cmdSlay(ts *testscript.TestScript, neg bool, args []string) {
	needArgs(ts, neg, args, 1)
	t := of(ts).target(ts, args[0])
	ts.Check(t.Kill())
	of(ts).bury(ts, args[0])
}

// bury closes a target that has been told to end. A tracer that does not reap
// it would keep that from happening.
func (f *fixture) bury(ts *testscript.TestScript, name string) {
	t := f.targets[name]
	delete(f.targets, name)
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_, _ = t.Close()
	}()
	select {
	case <-closed:
		return
	case <-time.After(patience):
	}
	state, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", t.PID()))
	ts.Logf("target %s does not end:\n%s", name, state)
	for name, r := range f.running {
		r.quit()
		ts.Logf("%s:\n%s", name, r.stderr)
	}
	ts.Fatalf("target %s does not end", name)
}

func cmdThread(ts *testscript.TestScript, neg bool, args []string) {
	needArgs(ts, neg, args, 3)
	ctx, cancel := bounded()
	defer cancel()
	kinds, err := of(ts).target(ts, args[1]).List(ctx)
	ts.Check(err)
	tids := kinds[args[2]]
	if len(tids) == 0 {
		ts.Fatalf("target %s has no thread in %s", args[1], args[2])
	}
	ts.Setenv(args[0], strconv.Itoa(tids[0]))
}

func cmdName(ts *testscript.TestScript, neg bool, args []string) {
	needArgs(ts, neg, args, 3)
	ctx, cancel := bounded()
	defer cancel()
	comm, err := strconv.Unquote(`"` + args[2] + `"`)
	ts.Check(err)
	ts.Check(of(ts).target(ts, args[0]).SetComm(ctx, atoi(ts, args[1]), comm))
}

func cmdVfork(ts *testscript.TestScript, neg bool, args []string) {
	needArgs(ts, neg, args, 2)
	ctx, cancel := bounded()
	defer cancel()
	v, err := of(ts).target(ts, args[1]).StartVfork(ctx)
	ts.Check(err)
	ts.Setenv(args[0], strconv.Itoa(v.TID))
}

func cmdUnfork(ts *testscript.TestScript, neg bool, args []string) {
	needArgs(ts, neg, args, 2)
	ctx, cancel := bounded()
	defer cancel()
	ts.Check(of(ts).target(ts, args[0]).EndVfork(ctx, atoi(ts, args[1])))
}

func cmdSpawn(ts *testscript.TestScript, neg bool, args []string) {
	needArgs(ts, neg, args, 4)
	ctx, cancel := bounded()
	defer cancel()
	tids, err := of(ts).target(ts, args[1]).Spawn(ctx, args[2], atoi(ts, args[3]))
	ts.Check(err)
	ts.Setenv(args[0], strconv.Itoa(tids[len(tids)-1]))
}

// running is a program that a script has started.
type running struct {
	cmd    *exec.Cmd
	stdout *output // what it writes, also to a terminal
	stderr *output
	reader *os.File // of its stdout, with -o
	copied sync.WaitGroup
	done   chan struct{}
	err    error
}

// output is what a program has written so far.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// launch starts a program as the flags in args say.
func launch(ts *testscript.TestScript, args []string) *running {
	r := &running{stdout: new(output), stderr: new(output), done: make(chan struct{})}
	var userName string
	var terminal, pipe bool
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		switch args[0] {
		case "-u":
			userName, args = args[1], args[1:]
		case "-t":
			terminal = true
		case "-o":
			pipe = true
		default:
			ts.Fatalf("unknown flag %s", args[0])
		}
		args = args[1:]
	}
	if len(args) == 0 {
		ts.Fatalf("no program")
	}
	path, err := exec.LookPath(args[0])
	ts.Check(err)
	r.cmd = exec.Command(path, args[1:]...)
	r.cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"GORACE", "PATH", "HOME", "TMPDIR", "TERM", "NO_COLOR"} {
		r.cmd.Env = append(r.cmd.Env, name+"="+ts.Getenv(name))
	}
	r.cmd.Stdout, r.cmd.Stderr = r.stdout, r.stderr
	if userName != "" {
		asUser(ts, r.cmd, userName)
	}
	var theirs *os.File
	if pipe {
		r.reader, theirs, err = os.Pipe()
		ts.Check(err)
		r.cmd.Stdout = theirs
	}
	if terminal {
		var master *os.File
		master, theirs, err = openPTY()
		ts.Check(err)
		r.cmd.Stdout, r.cmd.Stderr = theirs, theirs
		r.copied.Go(func() {
			defer master.Close()
			_, _ = io.Copy(io.MultiWriter(r.stdout, r.stderr), master) // ends with EIO
		})
	}
	err = r.cmd.Start()
	if theirs != nil {
		theirs.Close()
	}
	ts.Check(err)
	go func() {
		r.err = r.cmd.Wait()
		r.copied.Wait()
		close(r.done)
	}()
	ts.Defer(func() {
		_ = r.cmd.Process.Kill()
		<-r.done
		if r.reader != nil {
			r.reader.Close()
		}
	})
	return r
}

// publicDir has programs of this binary for other users: the tests' own
// directories are closed to them.
var publicDir string

// makePublicDir fills it. It has to be done before any test runs: a program
// that a parallel test starts while the file is open for writing would inherit
// the descriptor, and the file could not be run (ETXTBSY).
func makePublicDir() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	binary, err := os.ReadFile(self)
	if err != nil {
		return err
	}
	if publicDir, err = os.MkdirTemp("", "massattach-public"); err != nil {
		return err
	}
	if err := os.Chmod(publicDir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(publicDir, "massattach"), binary, 0o755)
}

// asUser has cmd run as somebody else.
func asUser(ts *testscript.TestScript, cmd *exec.Cmd, name string) {
	u, err := user.Lookup(name)
	ts.Check(err)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{
		Uid: uint32(atoi(ts, u.Uid)), Gid: uint32(atoi(ts, u.Gid)),
	}}
	cmd.Path = filepath.Join(publicDir, filepath.Base(cmd.Path))
	cmd.Dir = publicDir
}

// quit ends r by SIGQUIT: Go answers that with where it hangs.
func (r *running) quit() {
	_ = r.cmd.Process.Signal(syscall.SIGQUIT)
	select {
	case <-r.done:
	case <-time.After(5 * time.Second):
	}
}

// exited waits for r, hands its output to the script, and compares the code.
func (r *running) exited(ts *testscript.TestScript, want string) {
	select {
	case <-r.done:
	case <-time.After(patience):
		r.quit()
		ts.Fatalf("it does not end; stderr:\n%s", r.stderr)
	}
	fmt.Fprint(ts.Stdout(), r.stdout)
	fmt.Fprint(ts.Stderr(), r.stderr)
	var exit *exec.ExitError
	if r.err != nil && !errors.As(r.err, &exit) {
		ts.Fatalf("%v", r.err)
	}
	if got := r.cmd.ProcessState.ExitCode(); got != atoi(ts, want) {
		ts.Fatalf("%v, want code %s; stderr:\n%s", r.cmd.ProcessState, want, r.stderr)
	}
}

func cmdCode(ts *testscript.TestScript, neg bool, args []string) {
	needArgs(ts, neg, args, 2)
	launch(ts, args[1:]).exited(ts, args[0])
}

func cmdStart(ts *testscript.TestScript, neg bool, args []string) {
	needArgs(ts, neg, args, 2)
	r := launch(ts, args[1:])
	of(ts).running[args[0]] = r
	ts.Setenv(args[0], strconv.Itoa(r.cmd.Process.Pid))
}

func (f *fixture) program(ts *testscript.TestScript, name string) *running {
	r := f.running[name]
	if r == nil {
		ts.Fatalf("nothing was started as %s", name)
	}
	return r
}

// until waits for cond.
func until(ts *testscript.TestScript, what string, cond func() bool) {
	for end := time.Now().Add(patience); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			ts.Fatalf("waited in vain: %s", what)
		}
	}
}

func cmdSay(ts *testscript.TestScript, neg bool, args []string) {
	needArgs(ts, neg, args, 2)
	r := of(ts).program(ts, args[0])
	r.writes(ts, r.stderr, args[1])
}

func cmdPrint(ts *testscript.TestScript, neg bool, args []string) {
	needArgs(ts, neg, args, 2)
	r := of(ts).program(ts, args[0])
	r.writes(ts, r.stdout, args[1])
}

// writes waits until it has written what matches.
func (r *running) writes(ts *testscript.TestScript, to *output, words string) {
	pattern := regexp.MustCompile("(?m)" + words)
	until(ts, words, func() bool {
		select {
		case <-r.done:
			if !pattern.MatchString(to.String()) {
				ts.Fatalf("it ended without a word of %s:\n%s%s", words, r.stdout, r.stderr)
			}
		default:
		}
		return pattern.MatchString(to.String())
	})
}

func cmdSignal(ts *testscript.TestScript, neg bool, args []string) {
	needArgs(ts, neg, args, 2)
	sig := unix.SignalNum("SIG" + args[0])
	if sig == 0 {
		ts.Fatalf("no signal %s", args[0])
	}
	err := of(ts).program(ts, args[1]).cmd.Process.Signal(sig)
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		ts.Check(err)
	}
}

func cmdHangup(ts *testscript.TestScript, neg bool, args []string) {
	needArgs(ts, neg, args, 1)
	ts.Check(of(ts).program(ts, args[0]).reader.Close())
}

func cmdFinish(ts *testscript.TestScript, neg bool, args []string) {
	needArgs(ts, neg, args, 2)
	of(ts).program(ts, args[0]).exited(ts, args[1])
}

func cmdTraced(ts *testscript.TestScript, neg bool, args []string) {
	needArgs(ts, false, args, 1)
	p, err := procfs.FS{}.Open(atoi(ts, args[0]))
	ts.Check(err)
	defer p.Close()
	until(ts, "traced "+args[0], func() bool {
		var tids []int
		if len(args) > 1 {
			tids = []int{atoi(ts, args[1])}
		} else {
			tids, err = p.AppendTIDs(nil)
			ts.Check(err)
		}
		n := 0
		for _, tid := range tids {
			if st, err := p.Status(tid); err == nil && st.TracerPid != 0 {
				n++
			}
		}
		if neg {
			return n == 0
		}
		return n > 0
	})
}

// cmdChild sets VAR to the first child of PID.
func cmdChild(ts *testscript.TestScript, neg bool, args []string) {
	needArgs(ts, neg, args, 2)
	until(ts, "a child", func() bool {
		// Each of its threads has its own.
		files, err := filepath.Glob("/proc/" + args[1] + "/task/*/children")
		ts.Check(err)
		for _, f := range files {
			b, _ := os.ReadFile(f) // the thread may be gone
			if fields := strings.Fields(string(b)); len(fields) > 0 {
				ts.Setenv(args[0], fields[0])
				return true
			}
		}
		return false
	})
}

// cmdGone takes a zombie for gone: its parent may take its time.
func cmdGone(ts *testscript.TestScript, neg bool, args []string) {
	needArgs(ts, neg, args, 1)
	pid := atoi(ts, args[0])
	until(ts, "the end of "+args[0], func() bool {
		p, err := procfs.FS{}.Open(pid)
		if err != nil {
			return true
		}
		defer p.Close()
		st, err := p.Status(pid)
		n, _ := p.NumThreads()
		return err != nil || st.State == 'Z' && n <= 1
	})
}

func cmdJSON(ts *testscript.TestScript, neg bool, args []string) {
	needArgs(ts, neg, args, 4)
	path, op, want := args[1], args[2], args[3]
	line, rest, _ := strings.Cut(path, ".")
	n := 0
	if line != "" {
		n = atoi(ts, line)
	}
	dec := json.NewDecoder(strings.NewReader(ts.ReadFile(args[0])))
	dec.UseNumber()
	var v any
	for range n + 1 {
		v = nil
		if err := dec.Decode(&v); err != nil {
			ts.Fatalf("line %d: %v", n, err)
		}
	}
	got := fmt.Sprint(walk(ts, v, rest))
	ok := false
	switch op {
	case "==":
		ok = got == want
	case "!=":
		ok = got != want
	case ">=":
		ok = atoi(ts, got) >= atoi(ts, want)
	case "<=":
		ok = atoi(ts, got) <= atoi(ts, want)
	case "~":
		ok = regexp.MustCompile(want).MatchString(got)
	default:
		ts.Fatalf("no operator %s", op)
	}
	if !ok {
		ts.Fatalf("%s is %s, want %s %s in\n%s", path, got, op, want, ts.ReadFile(args[0]))
	}
}

func walk(ts *testscript.TestScript, v any, path string) any {
	for key := range strings.SplitSeq(path, ".") {
		switch at := v.(type) {
		case map[string]any:
			if key == "keys" {
				var keys []string
				for k := range at {
					keys = append(keys, k)
				}
				slices.Sort(keys)
				v = strings.Join(keys, ",")
				continue
			}
			var there bool
			if v, there = at[key]; !there {
				v = "absent"
			}
		case []any:
			if key == "len" {
				v = len(at)
				continue
			}
			i := atoi(ts, key)
			if i >= len(at) {
				ts.Fatalf("%s: only %d of them", path, len(at))
			}
			v = at[i]
		default:
			ts.Fatalf("%s: %q is in nothing", path, key)
		}
	}
	return v
}
