// demo: a process of our own, many of whose threads would notice a stop, and
// its account of what it did notice: when it is left alone, when all of it is
// attached to, and when it is stopped.

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"massattach/attacher"
	"massattach/internal/report"
	"massattach/internal/target"
)

// demoVerb is one run of demo.
type demoVerb struct {
	*tool
	printer *printer
	threads crowd
	chosen  bool // --threads was given
	hold    duration
	follow  choice
}

func (t *tool) demoCommand() *cobra.Command {
	v := &demoVerb{
		tool:    t,
		threads: 5000,
		hold:    duration{Duration: time.Second, positive: true},
		follow:  newFollow(),
	}
	cmd := &cobra.Command{
		Use:   "demo [flags]",
		Short: "Show on a process of its own what attaching does, and what stopping does",
		Long: `Start a process with thousands of threads, which counts every system call that
fails or returns early and every pause of a thread that runs; attach to all of
it, stay, and let go; attach again and stop all of it for as long as it takes to
look at each thread once, in interrupt style and in notify style; then do that by
SIGSTOP. Show what the process noticed of each, beside what it notices
when it is left alone. It takes a few seconds and no privileges, and leaves
nothing behind.`,
		Example: `  massattach demo
  massattach demo --threads 20000 --for 3s
  massattach demo --format json | jq '.trials[] | {name, eintr, max_pause_ns}'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			v.chosen = cmd.Flags().Changed("threads")
			return v.run(cmd, args)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.Var(&v.threads, "threads", "how many threads it has")
	fs.Var(&v.hold, "for", "watch it for this long, each time")
	v.follow.add(cmd, "follow", "how to hear of new threads")
	v.printer = newPrinter(t, cmd)
	return cmd
}

// crowd is a flag that takes a number of threads.
type crowd int

// In fewer there is no room for some of each kind; more have no numbers
// (PID_MAX_LIMIT in include/linux/threads.h).
const minCrowd, maxCrowd = 100, 1 << 22

func (c *crowd) Type() string { return "N" }

func (c *crowd) String() string { return strconv.Itoa(int(*c)) }

func (c *crowd) Set(s string) error {
	n, err := strconv.Atoi(s)
	switch {
	case err != nil:
		return fmt.Errorf("%q is not a number", s)
	case n < minCrowd || n > maxCrowd:
		return fmt.Errorf("%d is not between %d and %s", n, minCrowd, report.Number(maxCrowd))
	}
	*c = crowd(n)
	return nil
}

func (v *demoVerb) run(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return &usageError{"demo starts a process of its own, and takes none", verbUsage(cmd)}
	}
	ctx, cancel := context.WithTimeoutCause(v.untilEnding(cmd.Context()), 5*time.Minute+5*v.hold.Duration, errDeadline)
	defer cancel()
	r, err := v.show(ctx)
	if err != nil {
		p := v.diagnose(ctx, err)
		v.notes.problem(p.message, p.hint)
		if err := v.printer.fail(p); err != nil && v.exit(err) != exitComplete {
			return exitCode(exitError)
		}
		return exitCode(p.code)
	}
	if err := v.printer.print(r); err != nil {
		return err
	}
	if r.Noticed {
		hint := "this is a bug of massattach: please report what --format json prints"
		if runtime.GOARCH == "arm64" {
			hint = "on arm64 a call that a signal interrupts is not repaired yet"
		}
		v.notes.problem("demo: its threads should have noticed nothing", hint)
		return exitCode(exitError)
	}
	for _, t := range r.Trials {
		if s := t.Session; s != nil && (s.FailuresTotal > 0 || s.Stop != nil && !s.Stop.Complete) {
			return exitCode(exitPartial)
		}
	}
	return nil
}

// show starts the target, treats it in each way, and ends it.
func (v *demoVerb) show(ctx context.Context) (r *report.Demo, err error) {
	// The target is woken when the thread that started it ends, and that is
	// to be the end of us.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	t, err := v.start(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if _, cerr := t.Close(); err == nil && cerr != nil {
			err = cerr
		}
	}()
	attacher.Hurry() // not before: the target is to be like any other process
	s, err := newStage(ctx, v, t)
	if err != nil {
		return nil, err
	}
	defer s.close()
	r = &report.Demo{
		PID: t.PID(), Comm: s.comm, Threads: t.Threads(),
		ForNS: v.hold.Nanoseconds(), Next: next(),
	}
	for _, treat := range []treatment{untouched, attached, arrested, notified, stopped} {
		trial, err := s.try(ctx, treat)
		if err != nil {
			return nil, err
		}
		r.Trials = append(r.Trials, trial)
		if trial.Session != nil {
			r.Follow = trial.Session.Follow
			r.Noticed = r.Noticed || trial.Noticed() != ""
		}
	}
	return r, nil
}

// start starts the target. When nobody has said how many threads it is to have
// it has as many as there is room for.
func (v *demoVerb) start(ctx context.Context) (*target.Target, error) {
	for {
		n := int(v.threads)
		v.notes.say("starting a process of %s", report.Plural(n, "thread"))
		spec := target.Mix(n)
		spec.Wake = true
		spec.Signals = map[int]target.Disposition{
			int(handled): target.SigHandleRestart,
			// Were we killed, the kernel might send it to a target that is
			// stopped, which then could not tidy up.
			int(unix.SIGHUP): target.SigIgnore,
		}
		t, err := target.Start(ctx, spec)
		why, fewer := crowded(n, err)
		if why == "" || v.chosen || fewer < minCrowd {
			return t, err
		}
		v.notes.say("%s", why)
		v.threads = crowd(fewer)
	}
}

// crowded says why there is no room for n threads, if it is that which err says,
// and for how many there may be.
func crowded(n int, err error) (why string, fewer int) {
	why = fmt.Sprintf("there is no room for %s here: ", report.Plural(n, "thread"))
	if l, ok := errors.AsType[*target.LimitError](err); ok {
		short := int(l.Need - l.Have)
		return why + fmt.Sprintf("%s is %s, and would have to be %s", l.Limit,
			report.Number(int(l.Have)), report.Number(int(l.Need))), max(0, n-short) / 100 * 100
	}
	for _, errno := range []unix.Errno{unix.EAGAIN, unix.ENOMEM} {
		if errors.Is(err, errno) {
			return why + errno.Error(), n / 200 * 100
		}
	}
	return "", 0
}

// diagnose says what err means, which kept the demonstration from its end.
func (v *demoVerb) diagnose(ctx context.Context, err error) *problem {
	p := &problem{code: exitError, op: "demo", cause: string(attacher.CauseUnknown)}
	why := strings.TrimPrefix(oneLine(err.Error()), "target: ")
	ended := broken(ctx, err)
	full, fewer := crowded(int(v.threads), err)
	denied, isDenied := errors.AsType[*attacher.DeniedError](err)
	switch {
	case errors.Is(ended, errInterrupted):
		p.code, p.cause, why = exitPartial, causeInterrupted, "interrupted; its process has ended"
	case errors.Is(ended, errDeadline):
		p.cause, why = causeDeadline, "it took too long; its process has ended"
		p.hint = "the machine may be busy: try fewer --threads"
	case full != "":
		p.cause, why = causeLimit, full
		var hints []string
		if fewer >= minCrowd {
			hints = append(hints, fmt.Sprintf("massattach demo --threads %d", fewer))
		}
		if l, ok := errors.AsType[*target.LimitError](err); ok {
			hints = append(hints, "as root: "+l.Fix)
		}
		p.hint = strings.Join(hints, ", or ")
	case errors.Is(err, target.ErrGone):
		why = "its process was killed"
		p.hint = "if memory is scarce, try fewer --threads"
	case errors.Is(err, errors.ErrUnsupported):
		why = "this works on Linux only, on amd64 and arm64"
	case isDenied:
		return diagnose("attach", denied.PID, "", err)
	}
	p.message = "demo: " + why
	return p
}

// next is what to try next, by the name that we were called by.
func next() []report.Command {
	self := os.Args[0]
	if strings.Contains(self, "/go-build") {
		self = "go run ./cmd/massattach"
	}
	return []report.Command{
		{Line: self + " threads", Does: "lists the processes with the most threads"},
		{Line: self + " attach PID", Does: "attaches to one of yours until Ctrl-C"},
		{Line: self + " stop PID", Does: "stops its threads for a moment"},
		{Line: self + " examine PID", Does: "says what they do, and stops none"},
	}
}
