package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"massattach/internal/report"
)

// A peer is another tool. Its settings are those at which it is quickest, as far as we
// know: tell us of better ones.
type peer struct {
	name string
	tool string   // the program; "" for one that is part of the kernel
	asks []string // for its version
	// argv is its command line for a process to attach to all threads and let go.
	argv func(path string, pid int) []string
	// holding is its command line to stay attached until SIGINT, nil if it can't.
	holding func(path string, pid int) []string
	// command makes a command of argv; nil: it ends by itself.
	command func(s *stage, argv []string) command
	// settings, if it has no command line.
	settings string
}

func pidOf(pid int) string { return strconv.Itoa(pid) }

var gdbQuick = []string{"-nx", "-nh", "-q", "-batch",
	"-iex", "set auto-load off", "-iex", "set auto-solib-add off", "-iex", "set debuginfod enabled off",
	"-iex", "set libthread-db-search-path /nonexistent", "-iex", "set print thread-events off"}

// manyFiles begins the command line of what opens a file for each thread, where the limit
// of that can be raised.
var manyFiles = sync.OnceValue(func() []string {
	raised := []string{"prlimit", "--nofile=500000"}
	if exec.Command(raised[0], raised[1], "true").Run() != nil {
		return nil
	}
	return raised
})

// imagesDir stands for a folder of its own for each dump.
const imagesDir = "DIR"

// peers are all that are known, in the order of the report.
var peers = []peer{
	{
		name: "strace", tool: "strace", asks: []string{"--version"},
		argv: func(path string, pid int) []string {
			return []string{path, "-qqq", "-f", "-e", "trace=none", "-e", "signal=none", "-o", "/dev/null", "-p", pidOf(pid)}
		},
		holding: func(path string, pid int) []string {
			return []string{path, "-qqq", "-f", "-e", "trace=none", "-e", "signal=none", "-o", "/dev/null", "-p", pidOf(pid)}
		},
		// It stays; SIGINT comes as soon as all threads run on under it. It then ends
		// as by that signal.
		command: func(s *stage, argv []string) command {
			return command{argv: argv, fine: []int{130}, during: func(ctx context.Context, p *os.Process) error {
				if err := s.awaitAttached(ctx); err != nil {
					return err
				}
				return p.Signal(os.Interrupt)
			}}
		},
	},
	{
		name: "gdb", tool: "gdb", asks: []string{"--version"},
		argv: func(path string, pid int) []string {
			return append(append([]string{path}, gdbQuick...), "-p", pidOf(pid))
		},
		holding: func(path string, pid int) []string {
			return append(append([]string{path}, gdbQuick...), "-p", pidOf(pid),
				"-ex", "handle all nostop noprint pass", "-ex", "continue")
		},
	},
	{
		name: "lldb", tool: "lldb", asks: []string{"--version"},
		argv: func(path string, pid int) []string {
			return []string{path, "-b", "-Q", "--no-lldbinit", "-O", "settings set target.preload-symbols false",
				"-o", "process attach --pid " + pidOf(pid), "-o", "detach", "-o", "quit"}
		},
		holding: func(path string, pid int) []string {
			return []string{path, "-b", "-Q", "--no-lldbinit", "-O", "settings set target.preload-symbols false",
				"-o", "process attach --pid " + pidOf(pid), "-o", "process continue"}
		},
	},
	{
		name: "dlv", tool: "dlv", asks: []string{"version"},
		argv: func(path string, pid int) []string {
			return []string{path, "attach", pidOf(pid), "--allow-non-terminal-interactive=true", "--check-go-version=false"}
		},
		command: func(_ *stage, argv []string) command {
			return command{argv: argv, input: "exit\nn\n"} // and don't kill it
		},
	},
	{
		name: "criu", tool: "criu", asks: []string{"--version"},
		argv: func(path string, pid int) []string {
			return []string{path, "dump", "--leave-running", "--shell-job", "--ext-unix-sk", "--file-locks", "-v1",
				"--images-dir", imagesDir, "-t", pidOf(pid)}
		},
		command: func(s *stage, argv []string) command {
			if dir, err := os.MkdirTemp("", "massattach-criu-"); err == nil { // else criu says so
				s.atEnd(func() error { return os.RemoveAll(dir) })
				argv[slices.Index(argv, imagesDir)] = dir
			}
			return command{argv: argv}
		},
	},
	{
		name: "perf", tool: "perf", asks: []string{"--version"},
		argv: func(path string, pid int) []string {
			return append(slices.Clone(manyFiles()), path, "stat", "-e", "task-clock", "-p", pidOf(pid), "--", "true")
		},
		holding: func(path string, pid int) []string {
			return append(slices.Clone(manyFiles()), path, "trace", "-s", "-o", "/dev/null", "-p", pidOf(pid))
		},
	},
	{
		name: "eu-stack", tool: "eu-stack", asks: []string{"--version"},
		argv: func(path string, pid int) []string { return []string{path, "-q", "-n", "1", "-p", pidOf(pid)} },
		// 1: there were more frames than one.
		command: func(_ *stage, argv []string) command { return command{argv: argv, fine: []int{1}} },
	},
	{name: "sigstop", settings: "kill(SIGSTOP), waitid(WSTOPPED), kill(SIGCONT), by its parent; no process is started"},
	{name: "freezer", settings: "cgroup v2: 1 to cgroup.freeze, until cgroup.events says frozen, then 0; the process was moved in beforehand; no process is started"},
}

// PeerNames are what --peers takes.
func PeerNames() (names []string) {
	for _, p := range peers {
		names = append(names, p.name)
	}
	return names
}

// found is a peer on this machine.
type found struct {
	*peer
	path   string
	report report.Peer
}

// find looks for the peers that were asked for.
func (r *run) find(ctx context.Context) map[string]*found {
	all := make(map[string]*found)
	for i := range peers {
		p := &peers[i]
		f := &found{peer: p, report: report.Peer{Name: p.name, Settings: p.settings}}
		all[p.name] = f
		switch {
		case r.Peers != nil && !slices.Contains(r.Peers, p.name):
			f.report.Absent = "not asked for"
		case p.tool != "":
			f.locate(ctx)
		case p.name == "freezer":
			if why := freezerMissing(); why != nil {
				f.report.Absent = why.Error()
			}
		}
		r.result.Peers = append(r.result.Peers, f.report)
	}
	return all
}

// locate finds the program, and has it loaded once, so that the first run is like the
// others.
func (f *found) locate(ctx context.Context) {
	path, err := exec.LookPath(f.tool)
	if home, herr := os.UserHomeDir(); err != nil && herr == nil {
		path, err = exec.LookPath(filepath.Join(home, "go", "bin", f.tool)) // where go install puts it
	}
	if err != nil {
		f.report.Absent = "not installed: bench/peers.sh installs it"
		return
	}
	f.path = path
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, f.asks...).CombinedOutput()
	if err != nil && len(out) == 0 {
		f.report.Absent = fmt.Sprintf("it does not run: %v", err)
		return
	}
	f.report.Version = versionIn(string(out), f.tool)
	f.report.Settings = shell(f.argv(f.tool, 4211))
	if f.holding == nil {
		return
	}
	if stays := shell(f.holding(f.tool, 4211)); stays != f.report.Settings {
		f.report.Settings += "; to stay: " + stays
	}
}

// versionIn is the line of what a tool says that names it and a number.
func versionIn(out, tool string) string {
	for line := range strings.Lines(out) {
		if line = strings.TrimSpace(line); strings.ContainsAny(line, "0123456789") &&
			(strings.Contains(strings.ToLower(line), tool) || strings.HasPrefix(line, "Version")) {
			return report.Line(line)
		}
	}
	return ""
}

// shell is a command line as one would type it.
func shell(argv []string) string {
	words := make([]string, len(argv))
	for i, w := range argv {
		if strings.ContainsAny(w, " ;$'") {
			w = "'" + w + "'"
		}
		words[i] = w
	}
	return strings.ReplaceAll(strings.Join(words, " "), "4211", "PID")
}

// session has the peer attach and let go, as a process of its own.
func (s *stage) session(f *found) subject {
	return subject{name: f.name, peer: f.name, run: func(ctx context.Context) (sample, error) {
		c := command{argv: f.argv(f.path, s.pid())}
		if f.command != nil {
			c = f.command(s, c.argv)
		}
		return s.process(ctx, c)
	}}
}

// leaving is how long a tool has to let go after SIGINT; then it is killed.
const leaving = 3 * time.Second

// holding has argv stay attached to the target while f is at work, and ends it by SIGINT.
func (s *stage) holding(ctx context.Context, argv []string, ready func(context.Context) error, f func(ctx context.Context, p *os.Process) (sample, error)) (sample, error) {
	var figures sample
	used, err := s.process(ctx, command{argv: argv, fine: []int{1, 3, 130, 137}, during: func(ctx context.Context, p *os.Process) error {
		if err := ready(ctx); err != nil {
			return err
		}
		var err error
		if figures, err = f(ctx, p); err != nil {
			return err
		}
		if err := p.Signal(os.Interrupt); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(leaving):
			killMarked()
		}
		return nil
	}})
	if err != nil {
		return nil, err
	}
	if figures == nil {
		return nil, &outcomeError{report.OutcomeRefused, "it ended by itself"}
	}
	if memory, ok := used[report.FigureMemory]; ok {
		figures[report.FigureMemory] = memory
	}
	return figures, nil
}

// awaitAttached returns when all threads are traced and run, as far as a sample of them
// shows.
func (s *stage) awaitAttached(ctx context.Context) error {
	for calm := 0; calm < 2; time.Sleep(breath) {
		if err := ctx.Err(); err != nil {
			return err
		}
		st, err := s.look()
		if err != nil {
			return err
		}
		if st.traced > 0 && st.free == 0 && st.stopped == 0 {
			calm++
		} else {
			calm = 0
		}
	}
	return nil
}
