//go:build linux

package programs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// A Kind is a program that can be started.
type Kind struct {
	Name string
	// Needs are the commands, its own and its load generator's, that it
	// can't do without, each with the Debian package that has it.
	Needs map[string]string

	start func(ctx context.Context, p *Program) error
	load  func(ctx context.Context, p *Program, d time.Duration) (Load, error)
	// complaint is what a line of its log looks like that should not be there.
	complaint *regexp.Regexp
	stop      syscall.Signal
	code      int // that it exits with then
}

func (k *Kind) String() string { return k.Name }

// All are the programs that there are.
var All = []*Kind{JVM, Postgres, Nginx, Redis, GoServer, Node, Shell}

// Missing says what of Needs this machine lacks; nil: nothing.
func (k *Kind) Missing() error {
	var errs []error
	for _, command := range slices.Sorted(maps.Keys(k.Needs)) {
		if _, err := find(command); err != nil {
			errs = append(errs, fmt.Errorf("%s needs %s, of Debian's %s", k, command, k.Needs[command]))
		}
	}
	return errors.Join(errs...)
}

// find finds a command where Debian has it, which is not always in PATH.
func find(command string) (string, error) {
	path, err := exec.LookPath(command)
	if err == nil {
		return path, nil
	}
	for _, pattern := range []string{"/usr/sbin/", "/usr/lib/postgresql/*/bin/"} {
		if all, _ := filepath.Glob(pattern + command); len(all) > 0 {
			return all[len(all)-1], nil
		}
	}
	return "", err
}

// A Program runs. Its methods may be called from several goroutines.
type Program struct {
	Kind *Kind

	dir   string // of its files
	owner *user  // nil: this process's
	port  string // at 127.0.0.1, of those that have one
	log   *os.File
	tty   *terminal // of the shell
	ready int64     // where in the log it was
	*supervised
}

// starting bounds a start. That of the JVM is 10 s of CPU time, of which it may get
// little beside others.
const starting = 5 * time.Minute

// Start starts the program, and returns when it is ready for load. The context
// bounds the start, and so do five minutes.
func (k *Kind) Start(ctx context.Context) (*Program, error) {
	if err := k.Missing(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, starting)
	defer cancel()
	p := &Program{Kind: k}
	err := p.prepare()
	if err == nil {
		err = k.start(ctx, p)
	}
	if err == nil {
		p.ready = int64(len(p.logged(0)))
	} else {
		err = fmt.Errorf("start %s: %w%s", k, err, p.said())
		_ = p.Close()
		return nil, err
	}
	return p, nil
}

// prepare makes its directory and log.
func (p *Program) prepare() (err error) {
	if p.dir, err = os.MkdirTemp("", "massattach-"+p.Kind.Name+"-"); err != nil {
		return err
	}
	// Some programs leave root.
	if err := os.Chmod(p.dir, 0o755); err != nil {
		return err
	}
	p.log, err = os.OpenFile(p.file("log"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o666)
	return err
}

func (p *Program) file(name string) string { return filepath.Join(p.dir, name) }

// write makes one of its files.
func (p *Program) write(name, text string) error {
	return os.WriteFile(p.file(name), []byte(text), 0o644)
}

// launch starts the program below its supervisor.
func (p *Program) launch(argv []string, env ...string) (err error) {
	o := order{Argv: argv, Env: env, Dir: p.dir, User: p.owner, Stop: p.Kind.stop, Remove: p.dir}
	var tty *os.File
	if p.tty != nil {
		o.TTY, tty = true, p.tty.slave
	}
	p.supervised, err = o.start(p.log, tty)
	return err
}

// await waits until ok answers no error.
func (p *Program) await(ctx context.Context, ok func() error) error {
	for {
		err := ok()
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return errors.New("it has ended")
		case <-ctx.Done():
			return fmt.Errorf("%w: %w; %s", ctx.Err(), err, p.doing())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// doing says how far it has come, for an error: whether it is slow or stuck.
func (p *Program) doing() string {
	pids, err := p.PIDs()
	if err != nil {
		return err.Error()
	}
	var all []string
	for _, pid := range pids {
		all = append(all, doing(pid))
	}
	return strings.Join(all, ", ")
}

// said is the end of its log, for an error.
func (p *Program) said() string {
	const enough = 4 << 10
	if p.log == nil {
		return ""
	}
	log := p.logged(0)
	return "\n" + strings.TrimSpace(string(log[max(0, len(log)-enough):]))
}

// logged is its log from some point on. The file may have been removed.
func (p *Program) logged(from int64) []byte {
	b, _ := io.ReadAll(io.NewSectionReader(p.log, from, math.MaxInt64-from))
	return b
}

// A Load is what a program did under one: requests, transactions, or, of the
// shell, sessions of somebody who types.
type Load struct {
	Done    int
	Elapsed time.Duration
}

// Rate is by the second.
func (l Load) Rate() float64 {
	if l.Elapsed == 0 {
		return 0
	}
	return float64(l.Done) / l.Elapsed.Seconds()
}

// ErrIdle says that loads have come to nothing for minutes: the program is dead, or
// hangs.
var ErrIdle = errors.New("it did nothing")

// loading is how long a load may take beyond its own time.
const loading = 5 * time.Minute

// Load puts the program under load for d, or a little more, up to the next
// second; and for longer, up to five minutes, where nothing is done in that time,
// as a busy machine may have none for it. An error is one of the load generator's:
// a request that failed, a connection that was lost; or [ErrIdle].
func (p *Program) Load(ctx context.Context, d time.Duration) (Load, error) {
	end := time.Now().Add(d + loading)
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	var idle time.Duration
	for {
		l, err := p.Kind.load(ctx, p, d)
		l.Elapsed += idle
		if err == nil && l.Done == 0 {
			idle = l.Elapsed
			if d *= 2; d < time.Until(end) {
				continue
			}
			err = ErrIdle
		}
		if err != nil {
			return l, fmt.Errorf("load on %s: %w", p.Kind, err)
		}
		return l, nil
	}
}

// Check reads the log that the program has written since it was ready, and
// answers an error with the lines that complain. That it has ended is one, too.
func (p *Program) Check() error {
	if p.ended() {
		return fmt.Errorf("%s has ended%s", p.Kind, p.said())
	}
	var errs []error
	for line := range strings.Lines(string(p.logged(p.ready))) {
		if p.Kind.complaint.MatchString(line) {
			errs = append(errs, fmt.Errorf("%s logs: %s", p.Kind, strings.TrimSpace(line)))
		}
	}
	return errors.Join(errs...)
}

// PIDs are the program's processes at this moment, parents first.
func (p *Program) PIDs() ([]int, error) {
	below, err := descendants(p.cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, q := range below {
		if q.state != 'Z' && q.state != 'X' {
			pids = append(pids, q.pid)
		}
	}
	return pids, nil
}

// CPU is the time of processors that the program's processes have used, those
// included that it has started and waited for.
func (p *Program) CPU() (used time.Duration, err error) {
	pids, err := p.PIDs()
	for _, pid := range pids {
		used += cpuTime(pid)
	}
	return used, err
}

// Free answers an error with the program's threads that are stopped or traced.
func (p *Program) Free() error {
	pids, err := p.PIDs()
	if err != nil {
		return err
	}
	errs := make([]error, len(pids))
	for i, pid := range pids {
		errs[i] = free(pid)
	}
	return errors.Join(errs...)
}

// Close ends the program, by the signal that it is meant to be ended by, and
// removes its files. An error says that it did not end as it should. No
// process of it is left.
func (p *Program) Close() error {
	var err error
	if p.supervised != nil {
		var code int
		if code, err = p.end(); err == nil && code != p.Kind.code {
			err = fmt.Errorf("%s ended with status %d, not %d%s", p.Kind, code, p.Kind.code, p.said())
		}
	}
	if p.tty != nil {
		p.tty.close()
	}
	if p.log != nil {
		p.log.Close()
	}
	return errors.Join(err, os.RemoveAll(p.dir))
}
