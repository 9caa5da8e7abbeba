// attach: what it says while it works is on standard error, a line when a
// process is attached and one for each that is not; on standard output there is
// a report for each process, in the order given, when it has been let go.

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"massattach/attacher"
	"massattach/internal/report"
	"massattach/procfs"
)

// attachVerb is one run of attach.
type attachVerb struct {
	*tool
	printer  *printer
	pids     *pids
	hold     duration
	bounded  bool // --for was given
	deadline duration
	settle   duration
	follow   choice
	phases   *phases

	several bool // there is more than one process
	bar     *progress
	scans   sync.Once // says that births can't be heard of
}

// followModes are those that --follow takes, the default first.
var followModes = []attacher.Follow{attacher.FollowEvent, attacher.FollowScan, attacher.FollowClone, attacher.FollowNone}

func newFollow() choice {
	c := choice{value: followModes[0].String()}
	for _, f := range followModes {
		c.among = append(c.among, f.String())
	}
	return c
}

func (t *tool) attachCommand() *cobra.Command {
	v := &attachVerb{
		tool:     t,
		deadline: duration{Duration: 10 * time.Second, positive: true},
		settle:   duration{Duration: attacher.DefaultSettle},
		follow:   newFollow(),
	}
	cmd := &cobra.Command{
		Use:   "attach [flags] PID...",
		Short: "Attach to every thread, stay, and let go",
		Long: `Attach to every thread of each process, and to those that are born later; stay
until Ctrl-C, or for as long as --for says; let go. No thread is stopped for it,
and signals and job control go on as ever.

New threads are heard of from the kernel, without a stop, where that is allowed
(as root, mostly); elsewhere they are looked for in the list of threads.

Without --for it stays until SIGINT, SIGTERM or SIGHUP, until the process ends,
or until nobody reads its output any more. The report comes when everybody has
been let go; with --format json it is one object a process and line.

Ctrl-Z doesn't stop it: each thread that gets a signal would stand still with it.
When it is stopped all the same, by SIGSTOP, it is killed after a second. That
lets everybody go, and no signal is lost.`,
		Example: `  sudo massattach attach 4211
  sudo massattach attach --for 5s $(pidof server)
  sudo massattach attach --for 0s --format json 4211 | jq .threads.attached`,
		RunE: func(cmd *cobra.Command, args []string) error {
			v.bounded = cmd.Flags().Changed("for")
			return v.run(cmd, args)
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.Var(&v.hold, "for", "stay this long; 0s lets go at once")
	fs.Var(&v.deadline, "deadline", "give up an attach that takes longer")
	v.follow.add(cmd, "follow", "how to hear of new threads")
	fs.Var(&v.settle, "settle", "attach to a new thread at this age")
	v.pids = addPIDs(cmd)
	v.printer = newPrinter(t, cmd)
	v.phases = addPhases(cmd)
	return cmd
}

// outcome is what became of one process.
type outcome struct {
	report  *report.Session
	problem *problem // instead of a report; it has been told
	code    int
}

func (v *attachVerb) run(cmd *cobra.Command, args []string) error {
	all, err := v.pids.list(args)
	if err == nil && len(all) == 0 {
		err = errors.New("attach needs the number of a process")
	}
	if err != nil {
		return asUsage(cmd, err)
	}
	for i, pid := range all {
		all[i] = v.resolve(pid)
	}
	all = unique(all)
	v.several = len(all) > 1

	attacher.Hurry()
	ctx := v.untilEnding(cmd.Context())
	v.refuseStops()
	unwatch := v.startWatchdog()
	v.bar = v.startProgress("attaching", len(all))

	outcomes := make([]chan outcome, len(all))
	var attending sync.WaitGroup
	for i, pid := range all {
		outcomes[i] = make(chan outcome, 1)
		attending.Go(func() { outcomes[i] <- v.attend(ctx, pid) })
	}
	// Not after the reports: their reader may take his time.
	go func() {
		attending.Wait()
		unwatch()
	}()
	// Everybody is waited for, whatever becomes of the output.
	var codes []int
	var failed error
	for _, c := range outcomes {
		o := <-c
		codes = append(codes, o.code)
		switch {
		case failed != nil:
		case o.report != nil:
			failed = v.printer.print(o.report)
		default:
			failed = v.printer.fail(o.problem)
		}
	}
	unwatch()
	if failed != nil && v.exit(failed) != exitComplete {
		return exitCode(exitError)
	}
	if code := common(codes); code != exitComplete {
		return exitCode(code)
	}
	return nil
}

// attend attaches to one process, stays and lets go.
func (v *attachVerb) attend(ctx context.Context, pid int) outcome {
	v.phases.enter(phaseAttach, pid)
	defer v.phases.enter(phaseDone, pid)
	a := attempt{verb: v, pid: pid}
	session, err := a.attach(ctx)
	v.bar.finish()
	if err != nil {
		return a.broken(err)
	}
	v.phases.enter(phaseHold, pid)
	if why := session.Report().FollowMissing; why != "" {
		v.scans.Do(func() { v.notes.say("new threads are looked for in the list of threads: %s", why) })
	}
	begin := time.Now()
	if !v.bounded || v.hold.Duration > 0 {
		r := report.FromAttacher(session.Report())
		v.notes.say("%s", a.status(r))
		if v.stay(ctx, session) && v.several {
			// Its report may have to wait for others.
			v.notes.say("%s: ended", report.Name(r.Comm, r.PID))
		}
	}
	stayed := time.Since(begin)
	v.phases.enter(phaseDetach, pid)
	err = session.Close()
	o := outcome{report: report.FromAttacher(session.Report())}
	o.report.NSPID = a.nspid
	o.report.Stayed = stayed
	switch r := o.report; {
	case err != nil:
		p := diagnose("detach", pid, a.comm, err)
		v.notes.problem(p.message, p.hint)
		o.code = exitError
	case r.FailuresTotal > 0 && !r.Ended:
		o.code = exitPartial
	case !r.Converged && !r.Ended && v.follow.value == attacher.FollowNone.String():
		// Who follows will still find them.
		o.code = exitPartial
	}
	return o
}

// stay returns when the time is over, or an ending comes, or the target ends,
// which it reports.
func (v *attachVerb) stay(ctx context.Context, session *attacher.Session) (ended bool) {
	var over <-chan time.Time
	if v.bounded {
		timer := time.NewTimer(v.hold.Duration)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-over:
	case <-ctx.Done():
	case <-session.Ended():
		return true
	}
	return false
}

// attempt is one attach, and what is known of it while it is under way.
type attempt struct {
	verb   *attachVerb
	pid    int
	comm   string
	nspid  int // 0 when it is the same
	listed int // threads that there were at the start

	begin   time.Time
	ctx     context.Context
	reached atomic.Int64
}

func (a *attempt) attach(ctx context.Context) (*attacher.Session, error) {
	v := a.verb
	a.inspect()
	v.bar.expect(a.listed)
	follow, err := attacher.ParseFollow(v.follow.value)
	if err != nil {
		return nil, err
	}
	o := &attacher.Options{
		Follow: follow,
		Settle: cmp.Or(v.settle.Duration, -1),
		Kernel: v.kernel,
		Trace: &attacher.Trace{Seized: func(took []time.Duration) {
			a.reached.Add(int64(len(took)))
			v.bar.add(len(took))
		}},
	}
	ctx, cancel := context.WithTimeoutCause(ctx, v.deadline.Duration, errDeadline)
	defer cancel()
	a.begin, a.ctx = time.Now(), ctx
	return attacher.Attach(ctx, a.pid, o)
}

// inspect looks what can be said of the process before it is attached to.
func (a *attempt) inspect() {
	p, err := procfs.FS{}.Open(a.pid)
	if err != nil {
		return // Attach says why
	}
	defer p.Close()
	a.listed, _ = p.NumThreads()
	if st, err := p.Status(a.pid); err == nil {
		a.comm = st.Name
		if inner := st.InnermostPID(); inner != a.pid {
			a.nspid = inner
		}
	}
}

// broken is the outcome of an attach that failed with err.
func (a *attempt) broken(err error) outcome {
	reached := int(a.reached.Load())
	switch why := broken(a.ctx, err); {
	case errors.Is(why, errDeadline):
		p := tooLate(a.pid, a.comm, a.verb.deadline.Duration, reached, a.listed)
		a.verb.notes.problem(p.message, p.hint)
		return outcome{problem: p, code: p.code}
	case why != nil:
		r := &report.Session{
			PID: a.pid, NSPID: a.nspid, Comm: a.comm, Leader: string(attacher.LeaderAlive),
			Follow:      a.verb.follow.value,
			Failures:    []report.Failure{},
			Attach:      report.Attach{ElapsedNS: time.Since(a.begin).Nanoseconds()},
			Detach:      report.Detach{Confirmed: alone(err)},
			Interrupted: true, Listed: a.listed,
		}
		r.Threads.Found, r.Threads.Attached = reached, reached
		if a.verb.printer.json() {
			// As text the report itself says so.
			a.verb.notes.say("attach %s: %s", report.Name(a.comm, a.pid), r.Summary(report.Style{}))
		}
		return outcome{report: r, code: exitPartial}
	}
	p := diagnose("attach", a.pid, a.comm, err)
	a.verb.notes.problem(p.message, p.hint)
	return outcome{problem: p, code: p.code}
}

// status is the line that says that the process is attached.
func (a *attempt) status(r *report.Session) string {
	line := fmt.Sprintf("%s: %s", report.Name(r.Comm, r.PID), r.Attached(report.Style{}))
	if why := r.Failed(); why != "" {
		line += " (" + why + ")"
	}
	if a.verb.bounded {
		return fmt.Sprintf("%s; staying for %v, or until Ctrl-C", line, a.verb.hold.Duration)
	}
	return line + "; Ctrl-C detaches"
}
