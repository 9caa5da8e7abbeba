// What attach, stop and watch have in common: whom they attach to and how, for how
// long they stay, and that everybody is let go.

package main

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"massattach/attacher"
	"massattach/internal/report"
	"massattach/internal/watchdog"
)

// visit is one run of a verb that attaches to processes, stays and lets go.
type visit struct {
	*tool
	printer  *printer
	pids     *pids
	hold     duration
	bounded  bool // --for was given
	deadline duration
	settle   duration
	follow   choice
	phases   *phases
	measures *measures

	several bool // there is more than one process
	live    bool // what there is to say is said at once, not in their order
	bar     *progress
	guard   *watchdog.Guard
	scans   sync.Once // says that births can't be heard of
}

// defaultDeadline bounds an attach and an arrest.
const defaultDeadline = 10 * time.Second

// usualDeadline is what it is when nobody has said it: tests, whose machine may be busy with
// others, have it longer than it says.
var usualDeadline = defaultDeadline

func newVisit(t *tool) visit {
	return visit{
		tool:     t,
		deadline: duration{Duration: defaultDeadline, positive: true},
		settle:   duration{Duration: attacher.DefaultSettle},
		follow:   newFollow(),
		measures: new(measures),
	}
}

// addTo adds the flags to cmd.
func (v *visit) addTo(cmd *cobra.Command) {
	cmd.Annotations = map[string]string{confined: "yes"}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.Var(&v.hold, "for", "stay this long; 0s lets go at once")
	fs.Var(&v.deadline, "deadline", "give up an attach that takes longer")
	v.follow.add(cmd, "follow", "how to hear of new threads")
	fs.Var(&v.settle, "settle", "attach to a new thread at this age")
	v.measures.addFile(cmd)
	v.measures.addListen(cmd)
	v.pids = addPIDs(cmd)
	v.printer = newPrinter(v.tool, cmd)
	v.phases = addPhases(cmd)
}

// outcome is what became of one process.
type outcome struct {
	report  *report.Session
	problem *problem // instead of a report; it has been told
	code    int
}

// begin answers which processes were named, and a context that lasts until the
// first of the endings comes.
func (v *visit) begin(cmd *cobra.Command, args []string) (context.Context, []int, error) {
	all, err := v.pids.list(args)
	if err == nil && len(all) == 0 {
		err = errors.New(cmd.Name() + " needs the number of a process")
	}
	if err != nil {
		return nil, nil, asUsage(cmd, err)
	}
	for i, pid := range all {
		all[i] = v.resolve(pid)
	}
	all = unique(all)
	v.bounded = cmd.Flags().Changed("for")
	if !cmd.Flags().Changed("deadline") {
		v.deadline.Duration = usualDeadline
	}
	v.several = len(all) > 1
	at, err := v.measures.begin(all)
	if err != nil {
		v.notes.problem(err.Error(), "")
		return nil, nil, exitCode(exitError)
	}
	if at != "" {
		v.notes.say("metrics at http://%s/metrics", at)
	}
	return v.untilEnding(cmd.Context()), all, nil
}

// each attends to all processes at once, and yields the outcomes in the order
// of the processes.
func (v *visit) each(ctx context.Context, all []int, attend func(context.Context, int) outcome) iter.Seq[outcome] {
	attacher.Hurry()
	v.refuseStops()
	v.guard = v.startWatchdog()
	if !v.live || !v.several { // or results would be written into the bar
		v.bar = v.startProgress("attaching", len(all))
	}

	outcomes := make([]chan outcome, len(all))
	var attending sync.WaitGroup
	for i, pid := range all {
		outcomes[i] = make(chan outcome, 1)
		attending.Go(func() { outcomes[i] <- attend(ctx, pid) })
	}
	// Not after the outcomes: who reads what is said of them may take his time.
	go func() {
		attending.Wait()
		v.guard.End()
	}()
	return func(yield func(outcome) bool) {
		defer v.guard.End()
		for _, c := range outcomes {
			if !yield(<-c) {
				return
			}
		}
	}
}

// report attends to all processes and prints what comes of it.
func (v *visit) report(ctx context.Context, all []int, attend func(context.Context, int) outcome) error {
	// Everybody is waited for, whatever becomes of the output.
	var codes []int
	var failed error
	for o := range v.each(ctx, all, attend) {
		codes = append(codes, o.code)
		switch {
		case failed != nil:
		case o.report != nil:
			failed = v.printer.print(o.report)
		default:
			failed = v.printer.fail(o.problem)
		}
	}
	return v.result(codes, failed)
}

// result is the error of the verb. failed is why something could not be
// written.
func (v *visit) result(codes []int, failed error) error {
	unmeasured := v.measures.end()
	if unmeasured != nil {
		v.notes.problem(unmeasured.Error(), "")
	}
	if failed != nil && v.exit(failed) != exitComplete {
		return exitCode(exitError)
	}
	code := common(codes)
	if code == exitComplete && unmeasured != nil {
		code = exitError
	}
	if code != exitComplete {
		return exitCode(code)
	}
	return nil
}

// letGo ends a session; beside others that signals are passed on in it takes what
// CPUs there are.
func (v *visit) letGo(s *attacher.Session) error {
	if !v.several {
		defer confine()()
	}
	return s.Close()
}

// attend attaches to one process, stays and lets go. It calls attached, if that
// is not nil, before it stays.
func (v *visit) attend(ctx context.Context, pid int, attached func(*attacher.Session)) outcome {
	v.phases.enter(phaseAttach, pid)
	defer v.phases.enter(phaseDone, pid)
	a := attempt{visit: v, pid: pid}
	session, err := a.attach(ctx)
	v.bar.finish()
	if err != nil {
		return a.broken(err)
	}
	if attached != nil {
		attached(session)
	}
	v.phases.enter(phaseHold, pid)
	if why := session.Report().FollowMissing; why != "" {
		v.scans.Do(func() { v.notes.say("new threads are looked for in the list of threads: %s", why) })
	}
	begin := time.Now()
	if !v.bounded || v.hold.Duration > 0 {
		v.spread()
		r := report.FromAttacher(session.Report())
		v.notes.say("%s", a.status(r))
		if v.stay(ctx, session) && v.several && !v.live {
			// Its report may have to wait for others.
			v.notes.say("%s: ended", report.Name(r.Comm, r.PID))
		}
	}
	stayed := time.Since(begin)
	v.phases.enter(phaseDetach, pid)
	err = v.letGo(session)
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
func (v *visit) stay(ctx context.Context, session *attacher.Session) (ended bool) {
	var over <-chan time.Time
	if v.bounded {
		timer := time.NewTimer(v.hold.Duration)
		defer timer.Stop()
		over = timer.C
	}
	return await(ctx, session, over)
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

// interrupted says that the attach was.
func (v *visit) interrupted(r *report.Session) {
	v.notes.say("attach %s: %s", report.Name(r.Comm, r.PID), r.Summary(report.Style{}))
}
