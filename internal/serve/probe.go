package serve

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"massattach/attacher"
	"massattach/internal/report"
	"massattach/metrics"
	"massattach/stopper"
)

// attachment is a session, and what arrests its threads.
type attachment struct {
	session *attacher.Session
	stopper *stopper.Stopper // nil: no style is asked for
	loaded  *stopper.Programs
}

// result is what became of a probe.
type result struct {
	outcome Outcome
	report  any           // a Report or a *report.Failed
	why     *report.Error // of an outcome that is not complete
	message string        // the same for people
}

var errDeadline = errors.New("not done within the deadline")

// probe attaches, if nobody is attached yet, arrests, and detaches, unless that is
// kept. It returns when nobody is stopped, and nobody attached, but by a kept session.
func (w *watcher) probe(ctx context.Context, pid int) result {
	until := time.Now().Add(w.target.Deadline)
	if w.attachment != nil && isClosed(w.attachment.session.Ended()) {
		w.detach()
	}
	if w.attachment == nil {
		if o, ok := traced(pid); ok {
			w.gauges.recorder.Refuse(o.Cause)
			return refused(Skipped, pid, report.Error{Op: "attach", Cause: string(o.Cause), Hint: o.Hint()}, o.Detail)
		}
		if err := w.attach(ctx, pid, until); err != nil {
			return failed(pid, err)
		}
	}
	a := w.attachment
	stops, err := w.arrest(ctx, a, until)
	if len(stops) == 0 && err == nil {
		w.gauges.recorder.Look()
	}
	if !w.target.Keep || err != nil { // the next probe may have more luck
		err = errors.Join(err, w.detach())
	}
	r := Report{Session: report.FromAttacher(a.session.Report()), Stops: stops}
	if len(stops) > 0 {
		r.Stop = stops[len(stops)-1]
	}
	return judge(r, err)
}

// traced says whether somebody else traces the leader, and who. Of other threads the
// attach will tell.
func traced(pid int) (attacher.Obstacle, bool) {
	p, err := attacher.ProcFS{}.Open(pid)
	if err != nil {
		return attacher.Obstacle{}, false // the attach says why
	}
	defer p.Close()
	f, err := p.Facts(pid)
	if err != nil {
		return attacher.Obstacle{}, false
	}
	for _, o := range f.Obstacles() {
		if o.Cause == attacher.CauseAlreadyTraced {
			return o, true
		}
	}
	return attacher.Obstacle{}, false
}

// attach makes the attachment.
func (w *watcher) attach(ctx context.Context, pid int, until time.Time) error {
	ctx, cancel := context.WithDeadlineCause(ctx, until, errDeadline)
	defer cancel()
	a := &attachment{loaded: w.preload()}
	var err error
	a.session, err = attacher.Attach(ctx, pid, &attacher.Options{
		Follow: w.target.follow(), Trace: w.gauges.recorder.Session(), Kernel: w.daemon.options.Kernel,
	})
	if err != nil {
		_ = a.loaded.Close() // what is left goes with this process
		if cause := context.Cause(ctx); cause != nil {
			return fmt.Errorf("%w: %w", cause, err)
		}
		return err
	}
	if len(w.target.Arrest) > 0 {
		a.stopper, err = stopper.New(a.session, &stopper.Options{Trace: w.gauges.recorder.Stopper()})
	}
	w.attachment = a
	w.setAttached(true)
	if err != nil {
		return errors.Join(err, w.detach())
	}
	return nil
}

// preload loads what notify style needs, before the attach: beside it, it would be
// measured. It is not kept loaded between two probes: while it is, each signal that is
// sent on the machine costs some more.
func (w *watcher) preload() *stopper.Programs {
	if slices.Contains(w.target.Arrest, stopper.Notify) {
		return stopper.Preload("")
	}
	return nil
}

// detach lets everybody go, and returns when they are.
func (w *watcher) detach() error {
	a := w.attachment
	if a == nil {
		return nil
	}
	err := a.session.Close()
	_ = a.loaded.Close() // what is left goes with this process
	w.attachment = nil
	w.setAttached(false)
	return err
}

// arrest arrests all threads in each style, one after the other, and lets them run on
// at once. It ends with the first that could not be done.
func (w *watcher) arrest(ctx context.Context, a *attachment, until time.Time) (stops []*report.Stop, err error) {
	if by := tracedElsewhere(a.session); by != nil {
		return nil, by
	}
	for _, style := range w.target.Arrest {
		left := time.Until(until)
		if left <= 0 {
			return stops, errDeadline
		}
		r, err := w.arrestOnce(ctx, a, style, min(left, standing(a.session.Report().Phases.Live())))
		if err != nil {
			return stops, err
		}
		stops = append(stops, report.FromStopper(r))
	}
	return stops, nil
}

// leastStanding is for how long any target may stand still. Tests raise it: where the
// machine is busy a second may not do.
var leastStanding = time.Second

// standing is for how long the threads of a target may stand still for an arrest,
// however long a probe may take: ten times what all take to stop, and a second. One that
// does not stop, because it waits for a disk, say, is no reason to hold the others.
func standing(threads int) time.Duration {
	return leastStanding + time.Duration(threads)*100*time.Microsecond
}

func (w *watcher) arrestOnce(ctx context.Context, a *attachment, style stopper.Style, within time.Duration) (stopper.Report, error) {
	// And as long again to let go.
	defer w.daemon.bound(a.session.PID(), 2*within)()
	h, err := a.stopper.Arrest(ctx, stopper.Request{Style: style, Within: within, Partial: true})
	if err != nil {
		return stopper.Report{}, err
	}
	if err := h.Resume(); err != nil {
		return stopper.Report{}, err
	}
	return h.Report(), nil
}

// tracedError says that somebody else traces threads of the process.
type tracedError struct{ failure attacher.Failure }

func (e *tracedError) Error() string { return e.failure.Detail }

// tracedElsewhere is that, nil for nobody.
func tracedElsewhere(s *attacher.Session) error {
	for _, f := range s.Report().Failures {
		if f.Cause == attacher.CauseAlreadyTraced {
			return &tracedError{f}
		}
	}
	return nil
}

// judge is the result of a probe that has attached.
func judge(r Report, err error) result {
	res := result{outcome: Complete, report: r}
	by, isTraced := errors.AsType[*tracedError](err)
	switch {
	case isTraced:
		res.outcome, res.message = Skipped, "skipped: "+by.Error()
		res.why = &report.Error{Op: "attach", Cause: string(by.failure.Cause), Hint: by.failure.Hint}
	case r.Ended, errors.Is(err, attacher.ErrGone):
		res.outcome = Ended
	case err != nil:
		res.outcome, res.message = Partial, err.Error()
		res.why = &report.Error{Op: "stop", Cause: causeOf(err)}
	case r.FailuresTotal > 0:
		f := r.Failures[0]
		res.outcome, res.message = Partial, fmt.Sprintf("%s not attached to: %s", report.Plural(r.FailuresTotal, "thread"), f.Detail)
		res.why = &report.Error{Op: "attach", Cause: f.Cause, Hint: f.Hint}
	default:
		for _, s := range r.Stops {
			if !s.Complete {
				// No time in it: the same again is said once.
				res.outcome = Partial
				res.message = fmt.Sprintf("%s style: %d of %s stopped in time", s.Style, s.Stopped+s.InKernel, report.Plural(s.Requested, "thread"))
				res.why = &report.Error{Op: "stop", Cause: string(metrics.CauseDeadline)}
			}
		}
	}
	return res
}

// failed is the result of an attach that came to nothing.
func failed(pid int, err error) result {
	if denied, ok := errors.AsType[*attacher.DeniedError](err); ok {
		f := denied.Failure
		outcome := Failed
		if f.Cause == attacher.CauseAlreadyTraced {
			outcome = Skipped
		}
		return refused(outcome, pid, report.Error{Op: "attach", Cause: string(f.Cause), Hint: f.Hint}, f.Detail)
	}
	if errors.Is(err, attacher.ErrGone) {
		return refused(Ended, pid, report.Error{Op: "attach", Cause: causeOf(err)}, "")
	}
	return refused(Failed, pid, report.Error{Op: "attach", Cause: causeOf(err)}, err.Error())
}

func refused(o Outcome, pid int, why report.Error, message string) result {
	if message != "" {
		message = string(o) + ": " + message
	}
	return result{outcome: o, why: &why, message: message, report: &report.Failed{PID: pid, Error: why}}
}

func causeOf(err error) string {
	switch {
	case errors.Is(err, errDeadline):
		return string(metrics.CauseDeadline)
	case errors.Is(err, attacher.ErrGone):
		return string(metrics.CauseGone)
	}
	return string(attacher.CauseUnknown)
}
