// attach: what it says while it works is on standard error, a line when a
// process is attached and one for each that is not; on standard output there is
// a report for each process, in the order given, when it has been let go.

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"massattach/attacher"
	"massattach/internal/report"
	"massattach/procfs"
)

// attachVerb is one run of attach.
type attachVerb struct{ visit }

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
	v := &attachVerb{newVisit(t)}
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
		RunE: v.run,
	}
	v.addTo(cmd)
	return cmd
}

func (v *attachVerb) run(cmd *cobra.Command, args []string) error {
	ctx, all, err := v.begin(cmd, args)
	if err != nil {
		return err
	}
	return v.report(ctx, all, v.attend)
}

func (v *attachVerb) attend(ctx context.Context, pid int) outcome {
	o := v.visit.attend(ctx, pid, nil)
	if r := o.report; r != nil && r.Interrupted && v.printer.json() {
		// As text the report itself says so.
		v.interrupted(r)
	}
	return o
}

// attempt is one attach, and what is known of it while it is under way.
type attempt struct {
	visit  *visit
	pid    int
	comm   string
	nspid  int // 0 when it is the same
	listed int // threads that there were at the start

	begin   time.Time
	ctx     context.Context
	reached atomic.Int64
}

func (a *attempt) attach(ctx context.Context) (*attacher.Session, error) {
	v := a.visit
	a.inspect()
	v.bar.expect(a.listed)
	follow, err := attacher.ParseFollow(v.follow.value)
	if err != nil {
		return nil, err
	}
	trace := v.measures.session()
	measured := trace.Seized
	trace.Seized = func(took []time.Duration) {
		a.reached.Add(int64(len(took)))
		v.bar.add(len(took))
		if measured != nil {
			measured(took)
		}
	}
	o := &attacher.Options{
		Follow: follow,
		Settle: cmp.Or(v.settle.Duration, -1),
		Kernel: v.kernel,
		Trace:  trace,
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
		p := tooLate(a.pid, a.comm, a.visit.deadline.Duration, reached, a.listed)
		a.visit.notes.problem(p.message, p.hint)
		return outcome{problem: p, code: p.code}
	case why != nil:
		r := &report.Session{
			PID: a.pid, NSPID: a.nspid, Comm: a.comm, Leader: string(attacher.LeaderAlive),
			Follow:      a.visit.follow.value,
			Failures:    []report.Failure{},
			Attach:      report.Attach{ElapsedNS: time.Since(a.begin).Nanoseconds()},
			Detach:      report.Detach{Confirmed: alone(err)},
			Interrupted: true, Listed: a.listed,
		}
		r.Threads.Found, r.Threads.Attached = reached, reached
		return outcome{report: r, code: exitPartial}
	}
	p := diagnose("attach", a.pid, a.comm, err)
	a.visit.notes.problem(p.message, p.hint)
	return outcome{problem: p, code: p.code}
}

// status is the line that says that the process is attached.
func (a *attempt) status(r *report.Session) string {
	line := fmt.Sprintf("%s: %s", report.Name(r.Comm, r.PID), r.Attached(report.Style{}))
	if why := r.Failed(); why != "" {
		line += " (" + why + ")"
	}
	if a.visit.bounded {
		return fmt.Sprintf("%s; staying for %v, or until Ctrl-C", line, a.visit.hold.Duration)
	}
	return line + "; Ctrl-C detaches"
}
