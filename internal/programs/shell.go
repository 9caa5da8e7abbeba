//go:build linux

package programs

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// Shell is an interactive bash on a terminal of its own. Its load is somebody
// who types: starts jobs, stops them by Ctrl-Z, sends them to the background and
// fetches them, ends them by Ctrl-C, and waits for others; and in between many
// short commands. What counts is how often all of that is done.
var Shell = &Kind{
	Name:      "shell",
	Needs:     map[string]string{"bash": "bash"},
	complaint: regexp.MustCompile(`bash: |bad`),
	stop:      syscall.SIGHUP,
	code:      128 + int(syscall.SIGHUP),
	start:     startShell,
	load:      loadShell,
}

func startShell(ctx context.Context, p *Program) (err error) {
	if p.tty, err = openTerminal(p.log); err != nil {
		return err
	}
	if err := p.launch([]string{"bash", "--norc", "--noprofile", "--noediting", "-i"}, "PS1=", "PS2=", "HISTFILE=", "TERM=dumb"); err != nil {
		return err
	}
	p.tty.begin()
	d := dialogue{ctx: ctx, t: p.tty}
	d.do("true", 0)
	return d.err
}

func loadShell(ctx context.Context, p *Program, d time.Duration) (Load, error) {
	p.tty.typing.Lock() // one at a time
	defer p.tty.typing.Unlock()
	var l Load
	begin := time.Now()
	for l.Elapsed < d {
		if err := session(ctx, p.tty); err != nil {
			return l, err
		}
		l.Done++
		l.Elapsed = time.Since(begin)
	}
	return l, nil
}

// session is once through everything.
func session(ctx context.Context, t *terminal) error {
	d := dialogue{ctx: ctx, t: t}

	// Ctrl-Z, bg, fg, Ctrl-C.
	d.types("sleep 1000\n")
	d.foreground("sleep")
	d.types(ctrlZ)
	d.sees(`Stopped +sleep 1000`)
	d.status(128 + syscall.SIGTSTP)
	d.types("bg\n")
	d.sees(`sleep 1000 &`)
	d.types("jobs\n")
	d.sees(`Running +sleep 1000`)
	d.types("fg\n")
	d.sees(`^sleep 1000`)
	d.foreground("sleep")
	d.types(ctrlC)
	d.status(128 + syscall.SIGINT)

	// A job that reads the terminal in the background is stopped for it.
	d.types("cat &\n")
	d.do(`until [ -n "$(jobs -s)" ]; do sleep 0.01; done`, 0)
	d.types("fg\n")
	d.foreground("cat")
	d.types("typed\n")
	d.sees(`^typed`)
	d.types(ctrlD)
	d.status(0)

	// A stop and a continuation by kill, and an end by a signal.
	d.do(`sleep 1000 & kill -STOP $!; until [ -n "$(jobs -s)" ]; do sleep 0.01; done; kill -CONT $!; until [ -n "$(jobs -r)" ]; do sleep 0.01; done; kill $!; wait -f $!`, 128+syscall.SIGTERM)

	d.do(`(sleep 0.01; exit 7) & wait -f $!`, 7)
	d.do(`read -t 0.02`, 128+syscall.SIGALRM)
	d.types("trap 'echo trapped' USR1; kill -USR1 $$\n")
	d.sees(`^trapped`)
	d.do(`[ "$(seq 1000 | sort -rn | tail -n 1)" = 1 ]`, 0)
	d.do(`for i in {1..200}; do /bin/true || echo bad; done`, 0)
	return d.err
}

const (
	ctrlC = "\x03"
	ctrlD = "\x04"
	ctrlZ = "\x1a"
)

// patience is how long somebody at a terminal waits for what must come. A session of its
// own is a group of its own to the scheduler, and gets little where others are busy.
const patience = 2 * time.Minute

// A dialogue is what is typed and seen. After its first error it does nothing.
type dialogue struct {
	ctx context.Context
	t   *terminal
	err error

	seen strings.Builder
}

func (d *dialogue) types(s string) {
	if d.err == nil {
		_, d.err = d.t.master.WriteString(s)
	}
}

// sees waits for a line.
func (d *dialogue) sees(pattern string) {
	if d.err != nil {
		return
	}
	want := regexp.MustCompile(pattern)
	late := time.After(patience)
	for {
		select {
		case line, ok := <-d.t.lines:
			if !ok {
				d.err = fmt.Errorf("the terminal was closed before %q:\n%s", pattern, d.seen.String())
				return
			}
			d.seen.WriteString(line + "\n")
			if want.MatchString(line) {
				return
			}
		case <-late:
			d.err = fmt.Errorf("%q has not come in %v:\n%s", pattern, patience, d.seen.String())
			return
		case <-d.ctx.Done():
			d.err = d.ctx.Err()
			return
		}
	}
}

// status asks for the last command's.
func (d *dialogue) status(want syscall.Signal) { d.do("", want) }

// do runs a command, on one line with the question for its status: it may read
// the terminal.
func (d *dialogue) do(command string, status syscall.Signal) {
	if command != "" {
		command += "; "
	}
	d.t.asked++ // so that an old answer is none
	d.types(fmt.Sprintf("%secho answer %d is $?\n", command, d.t.asked))
	d.sees(fmt.Sprintf(`^answer %d is %d$`, d.t.asked, int(status)))
}

// foreground waits until a program has the terminal.
func (d *dialogue) foreground(comm string) {
	for end := time.Now().Add(patience); d.err == nil; time.Sleep(time.Millisecond) {
		group, err := d.t.foreground()
		if err != nil {
			d.err = err
			return
		}
		name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", group))
		if err == nil && strings.TrimSpace(string(name)) == comm {
			return
		}
		if time.Now().After(end) {
			d.err = fmt.Errorf("%s has not come to the foreground in %v:\n%s", comm, patience, d.seen.String())
		}
	}
}
