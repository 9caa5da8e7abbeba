// stop: it attaches, arrests, holds, and lets go. What it says while it works is
// on standard error; on standard output there is a report for each process, when it
// has been let go, or what a command wrote that was run meanwhile: then the report
// goes to standard error, too.

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"massattach/attacher"
	"massattach/internal/report"
	"massattach/procfs"
	"massattach/stopper"
	"massattach/stopper/notify"
)

// stopVerb is one run of stop.
type stopVerb struct {
	visit
	style choice
	by    choice    // the mechanism of notify style
	less  sync.Once // says that it promises less
	sel   *procfs.Selection

	command []string // to run while the threads are held; nil for none
	status  int      // of its exit
}

func (t *tool) stopCommand() *cobra.Command {
	v := &stopVerb{visit: newVisit(t), style: choice{value: "interrupt", among: []string{"interrupt", "notify"}}}
	v.by = choice{among: append([]string{""}, notify.Names()...)}
	v.follow = choice{value: attacher.FollowScan.String()}
	cmd := &cobra.Command{
		Use:   "stop [flags] PID... [-- COMMAND ARGS...]",
		Short: "Stop all threads, or some, for a while, and let them go on",
		Long: `Attach to each process, stop all of its threads, or those that are picked; hold
them for as long as --for says; let them go on, and detach. A system call that this
interrupts begins anew, unseen; what can't be mended is counted in the report.

With --style notify no thread runs another instruction of the program, but what goes
on in the kernel is left alone: a thread that sleeps in a system call sleeps on, and
stops when it would return. Nothing is interrupted.

A thread that does not stop within --deadline (it waits for a disk, or for a vfork
child) is named, and the others are held all the same; the exit code is 3 then.
Ctrl-C lets all go at once.

With -- COMMAND the threads of one process are held while the command runs, for
as long as --for says (10s) at the most. It has the standard streams for itself, the
report goes to standard error, and its exit status is passed on.`,
		Example: `  sudo massattach stop 4211
  sudo massattach stop --for 100ms --comm 'worker-*' 4211
  sudo massattach stop --format json --state R 4211 | jq .stop
  sudo massattach stop --style notify --for 1s 4211
  sudo massattach stop 4211 -- cat /proc/4211/maps`,
		RunE: func(cmd *cobra.Command, args []string) error { return v.run(cmd, args) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.Var(&v.hold, "for", "hold them this long (default 0s; 10s with a command)")
	flags.Var(&v.deadline, "deadline", "give up on threads that take longer to stop")
	v.style.add(cmd, "style", "how to stop them")
	v.by.add(cmd, "mechanism", "by which mechanism notify style arrests them")
	flags.Lookup("mechanism").Hidden = true
	v.sel = addSelection(cmd)
	v.measures.addFile(cmd)
	v.pids = addPIDs(cmd)
	v.printer = newPrinter(t, cmd)
	v.phases = addPhases(cmd)
	return cmd
}

// commandFor is how long threads are held for a command, unless --for says it.
const commandFor = 10 * time.Second

func (v *stopVerb) run(cmd *cobra.Command, args []string) error {
	if n := cmd.ArgsLenAtDash(); n >= 0 {
		args, v.command = args[:n], args[n:]
		if len(v.command) == 0 {
			return asUsage(cmd, errors.New("there is no command behind --"))
		}
		if !cmd.Flags().Changed("for") {
			v.hold.Duration = commandFor
		}
	}
	if err := v.sel.Validate(); err != nil {
		return asUsage(cmd, errors.New(strings.TrimPrefix(err.Error(), "procfs: selection: ")))
	}
	ctx, all, err := v.begin(cmd, args)
	if err != nil {
		return err
	}
	if v.several && v.command != nil {
		return asUsage(cmd, errors.New("a command is for one process"))
	}
	if v.command != nil {
		v.printer.to = v.stderr
	}
	err = v.report(ctx, all, v.attend)
	if v.status != 0 {
		return exitCode(v.status)
	}
	return err
}

// attend stops the threads of one process, holds them and lets go.
func (v *stopVerb) attend(ctx context.Context, pid int) outcome {
	v.phases.enter(phaseAttach, pid)
	defer v.phases.enter(phaseDone, pid)
	until := time.Now().Add(v.deadline.Duration)
	a := attempt{visit: &v.visit, pid: pid}
	loaded, unload := v.preload()
	defer unload()
	session, err := a.attach(ctx)
	v.bar.finish()
	if err != nil {
		o := a.broken(err)
		if r := o.report; r != nil && r.Interrupted && v.printer.json() {
			v.interrupted(r)
		}
		return o
	}
	if why := loaded(); why != nil {
		v.less.Do(func() { v.notes.say("threads may run for a moment when they wake up: %v", why) })
	}
	begin := time.Now()
	account := stopper.Report{Style: v.arrestStyle()}
	held, err := v.arrest(ctx, &a, session, until)
	// Before the hold has begun: an arrest that was done is none that was broken off.
	interrupted := ctx.Err() != nil && (held == nil || !held.Report().Complete)
	switch {
	case err == nil:
		account, err = v.keep(ctx, &a, session, held)
	case errors.Is(err, attacher.ErrGone), interrupted:
		err = nil // it has ended, or nobody was stopped yet
	}
	stop := report.FromStopper(account)
	stop.Selected, stop.Interrupted = !v.sel.All(), interrupted
	v.phases.enter(phaseDetach, pid)
	err = errors.Join(err, session.Close())
	r := report.FromAttacher(session.Report())
	r.Stop, r.NSPID, r.Stayed = stop, a.nspid, time.Since(begin)
	return outcome{report: r, code: v.code(r, err, pid)}
}

func (v *stopVerb) arrestStyle() stopper.Style {
	if v.style.value == stopper.Notify.String() {
		return stopper.Notify
	}
	return stopper.Interrupt
}

// preload loads what notify style needs beside the attach. It answers what waits for
// that, and says why none of its mechanisms is strict, and what lets go of it.
func (v *stopVerb) preload() (loaded func() (why error), unload func()) {
	var loading sync.WaitGroup
	var p *stopper.Programs
	var why error
	if v.arrestStyle() == stopper.Notify {
		loading.Go(func() {
			if p = stopper.Preload(v.by.value); v.by.value == "" {
				why = weak()
			}
		})
	}
	return func() error { loading.Wait(); return why }, func() {
		loading.Wait()
		_ = p.Close() // what is left goes with the process
	}
}

// weak says why no mechanism of notify style that is strict works here; nil: one does.
func weak() (why error) {
	for _, s := range notify.Supported() {
		switch {
		case s.Err == nil && s.Guarantee == notify.Strict:
			return nil
		case s.Err != nil && why == nil:
			why = s.Err
		}
	}
	return why
}

// arrest has the threads stop, until the deadline. Who is stopped then is held.
func (v *stopVerb) arrest(ctx context.Context, a *attempt, session *attacher.Session, until time.Time) (*stopper.Held, error) {
	v.phases.enter(phaseArrest, a.pid)
	st, err := stopper.New(session, &stopper.Options{Mechanism: v.by.value, Trace: v.measures.stopper()})
	if err != nil {
		return nil, err
	}
	over := v.guard.Bound(a.pid, time.Until(until))
	defer over()
	h, err := st.Arrest(ctx, stopper.Request{
		Style: v.arrestStyle(), Selection: *v.sel, Within: max(time.Until(until), time.Millisecond), Partial: true,
	})
	if err != nil {
		return nil, err
	}
	r := report.FromStopper(h.Report())
	r.Selected = !v.sel.All()
	name := report.Name(a.comm, a.pid)
	switch {
	case ctx.Err() != nil:
	case r.Requested == 0:
		v.notes.say("%s: no thread matches", name)
	case v.command == nil && v.hold.Duration > 0:
		v.notes.say("%s: %s; holding for %v, or until Ctrl-C", name, r.Arrested(report.Style{}), v.hold.Duration)
	}
	return h, nil
}

// keep holds, and lets go.
func (v *stopVerb) keep(ctx context.Context, a *attempt, session *attacher.Session, held *stopper.Held) (stopper.Report, error) {
	var err error
	if ctx.Err() == nil {
		v.phases.enter(phaseHold, a.pid)
		r := held.Report()
		over := v.guard.Bound(a.pid, v.hold.Duration+lettingGo(r.Stopped+r.InKernel))
		defer over()
		err = v.stay(ctx, a, session, held)
	}
	v.phases.enter(phaseResume, a.pid)
	err = errors.Join(err, held.Resume())
	return held.Report(), err
}

// lettingGo is how long it may take to let go of so many threads, beyond the second that
// the watchdog gives anyway: a busy machine may need that for 100,000.
func lettingGo(threads int) time.Duration { return time.Duration(threads) * 100 * time.Microsecond }

// code is the exit code for one process.
func (v *stopVerb) code(r *report.Session, err error, pid int) int {
	switch {
	case err != nil:
		p := diagnose("stop", pid, r.Comm, err)
		v.notes.problem(p.message, p.hint)
		return exitError
	case r.Stop.Interrupted:
		return exitPartial
	case r.Ended:
		return exitComplete
	case !r.Stop.Complete, r.FailuresTotal > 0 && v.sel.All():
		return exitPartial
	}
	return exitComplete
}

// stay returns when the time of the hold is over, or an ending comes, or the target
// ends. A command that is still at work then is waited for, but nobody is held for
// it.
func (v *stopVerb) stay(ctx context.Context, a *attempt, session *attacher.Session, held *stopper.Held) error {
	timer := time.NewTimer(v.hold.Duration)
	defer timer.Stop()
	if v.command == nil {
		await(ctx, session, timer.C)
		return nil
	}
	cmd := exec.Command(v.command[0], v.command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = v.stdin, v.stdout, v.stderr
	v.notes.flush()
	v.catchStops() // or it would inherit that they are ignored
	if err := cmd.Start(); err != nil {
		v.status = exitError
		v.notes.problem(fmt.Sprintf("%s: %v", v.command[0], startFailure(err)), "")
		return nil
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cmd.Wait() // what became of it is in ProcessState
	}()
	select {
	case <-done:
	case <-timer.C:
		v.notes.say("%s: %s has not ended within %v: letting go", report.Name(a.comm, a.pid), v.command[0], v.hold.Duration)
	case <-ctx.Done():
	case <-session.Ended():
	}
	err := held.Resume()
	<-done
	v.status = exitStatus(cmd.ProcessState.Sys())
	return err
}

// startFailure is why a command could not be started, without its name.
func startFailure(err error) error {
	if e, ok := errors.AsType[*exec.Error](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

// exitStatus is that of a command, as a shell has it.
func exitStatus(sys any) int {
	ws, ok := sys.(syscall.WaitStatus)
	switch {
	case !ok:
		return exitError
	case ws.Signaled():
		return 128 + int(ws.Signal())
	}
	return ws.ExitStatus()
}
