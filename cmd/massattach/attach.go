// attach: what it says while it works is on standard error, a line when a
// process is attached and one for each that is not; on standard output there is
// a report for each process, in the order given, when it has been let go.

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"massattach/attacher"
	"massattach/internal/report"
)

// attachVerb is one run of attach.
type attachVerb struct {
	attaching
	hold    duration
	bounded bool // --for was given
}

func (t *tool) attachCommand() *cobra.Command {
	v := &attachVerb{attaching: newAttaching(t)}
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
			return v.run(cmd, args, v.attend)
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

// attend attaches to one process, stays and lets go.
func (v *attachVerb) attend(ctx context.Context, pid int) outcome {
	v.phases.enter(phaseAttach, pid)
	defer v.phases.enter(phaseDone, pid)
	a := attempt{verb: &v.attaching, pid: pid}
	session, err := a.attach(ctx)
	v.bar.finish()
	if err != nil {
		return a.broken(err)
	}
	v.phases.enter(phaseHold, pid)
	v.tellFollow(session)
	begin := time.Now()
	if !v.bounded || v.hold.Duration > 0 {
		r := report.FromAttacher(session.Report())
		v.notes.say("%s", v.status(&a, r))
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
	return await(ctx, session, over)
}

// status is the line that says that the process is attached.
func (v *attachVerb) status(a *attempt, r *report.Session) string {
	line := fmt.Sprintf("%s: %s", report.Name(r.Comm, r.PID), r.Attached(report.Style{}))
	if why := r.Failed(); why != "" {
		line += " (" + why + ")"
	}
	if v.bounded {
		return fmt.Sprintf("%s; staying for %v, or until Ctrl-C", line, v.hold.Duration)
	}
	return line + "; Ctrl-C detaches"
}
