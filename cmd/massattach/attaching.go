// What attach and stop have in common: to attach to several processes at once,
// and to say what went wrong with that.

package main

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"massattach/attacher"
	"massattach/internal/report"
	"massattach/procfs"
)

// attaching is one run of a verb that attaches.
type attaching struct {
	*tool
	printer  *printer
	pids     *pids
	deadline duration
	settle   duration
	follow   choice
	phases   *phases

	several bool // there is more than one process
	bar     *progress
	watch   *watch
	scans   sync.Once // says that births can't be heard of
}

func newAttaching(t *tool) attaching {
	return attaching{
		tool:     t,
		deadline: duration{Duration: 10 * time.Second, positive: true},
		settle:   duration{Duration: attacher.DefaultSettle},
		follow:   newFollow(),
	}
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

// outcome is what became of one process.
type outcome struct {
	report  *report.Session
	problem *problem // instead of a report; it has been told
	code    int
}

// run has each of the processes attended to, all at once, and prints what comes
// of it in the order in which they were named.
func (v *attaching) run(cmd *cobra.Command, args []string, attend func(context.Context, int) outcome) error {
	all, err := v.pids.list(args)
	if err == nil && len(all) == 0 {
		err = errors.New(cmd.Name() + " needs the number of a process")
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
	v.watch = v.startWatchdog()
	v.bar = v.startProgress("attaching", len(all))

	outcomes := make([]chan outcome, len(all))
	var attending sync.WaitGroup
	for i, pid := range all {
		outcomes[i] = make(chan outcome, 1)
		attending.Go(func() { outcomes[i] <- attend(ctx, pid) })
	}
	// Not after the reports: their reader may take his time.
	go func() {
		attending.Wait()
		v.watch.end()
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
	v.watch.end()
	if failed != nil && v.exit(failed) != exitComplete {
		return exitCode(exitError)
	}
	if code := common(codes); code != exitComplete {
		return exitCode(code)
	}
	return nil
}

// attempt is one attach, and what is known of it while it is under way.
type attempt struct {
	verb   *attaching
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

// tellFollow says, once, that births can't be heard of.
func (v *attaching) tellFollow(session *attacher.Session) {
	if why := session.Report().FollowMissing; why != "" {
		v.scans.Do(func() { v.notes.say("new threads are looked for in the list of threads: %s", why) })
	}
}

// await returns when something is over, or an ending comes, or the target ends,
// which it reports.
func await[T any](ctx context.Context, session *attacher.Session, over <-chan T) (ended bool) {
	select {
	case <-over:
	case <-ctx.Done():
	case <-session.Ended():
		return true
	}
	return false
}
