package stopper_test

import (
	"slices"
	"testing"
	"time"

	"massattach/attacher"
	"massattach/internal/target"
	"massattach/stopper"
)

// early are calls of the table that return what they have done so far when they
// are woken, which nobody can take back, or can't be begun anew.
var early = []string{"uring_submit_wait_inf", "recv_waitall_to",
	"write_pipe_inf", "sendfile_sock_inf", "connect_to", "close_linger_to"}

// byClock are calls whose time-out is a time of day, set before they begin.
var byClock = []string{"mq_timedreceive_to"}

// Cases 21, 22, 75, 77, 79: every call of the table is arrested twice. Nothing
// shows but what can't be mended, and that is counted.
func TestCallTable(t *testing.T) {
	needRepair(t)
	s := newScene(t, target.Spec{Signals: map[int]target.Disposition{sigUSR1: target.SigHandle}}, attacher.Options{})
	names, err := s.target.Calls(t.Context())
	must(t, err)
	calls := make(map[string]target.TimedCall)
	for _, name := range names {
		timeout := 700 * time.Millisecond
		if slices.Contains(early, name) {
			timeout = time.Minute // only the stop is to end them
		}
		calls[name], err = s.target.StartCall(t.Context(), name, timeout)
		must(t, err)
	}
	for range 2 {
		s.resume(s.arrest(stopper.Request{}))
		time.Sleep(50 * time.Millisecond)
	}
	lost := 0
	for _, name := range names {
		r, err := s.target.CallResult(t.Context(), calls[name].ID)
		must(t, err)
		switch {
		case r.Errno == "ENOSYS" || r.Errno == "EPERM":
			t.Logf("%s: %s on this kernel", name, r.Errno)
		case slices.Contains(early, name):
			s.eventually(name+" is ended by a stop", func() bool {
				if !r.Done {
					r, err = s.target.CallResult(t.Context(), calls[name].ID)
					must(t, err)
				}
				return r.Done
			})
			if r.ElapsedNS >= int64(time.Minute) {
				t.Errorf("%s is not ended by a stop any more", name)
			}
			lost++
		case r.Done && r.Want == "":
			t.Errorf("%s returned %s", name, r.Result())
		default:
			if r.Want == "" {
				must(t, s.target.Send(t.Context(), target.Send{Signal: sigUSR1, TID: calls[name].TID}))
			}
			s.eventually(name+" returns", func() bool {
				if r.Done {
					return true
				}
				r, err = s.target.CallResult(t.Context(), calls[name].ID)
				must(t, err)
				return r.Done
			})
			if !r.MaskSame {
				t.Errorf("%s: the signal mask has changed", name)
			}
			switch {
			case r.Want == "":
				if r.Errno != "EINTR" || r.Handled != 1 {
					t.Errorf("%s with a handler returned %s, %d handlers", name, r.Result(), r.Handled)
				}
			case r.Result() != r.Want || r.ElapsedNS < int64(690*time.Millisecond) && !slices.Contains(byClock, name):
				t.Errorf("%s returned %s after %v, want %s", name, r.Result(), time.Duration(r.ElapsedNS), r.Want)
			}
		}
	}
	if r := s.end(); r.Repair.Left != lost {
		t.Errorf("%d calls were ended early, the report says %d", lost, r.Repair.Left)
	}
}

// The same in notify style: no call shows anything at all. Those whose time comes
// while they are held return afterwards, with the result of that; and a signal with a
// handler ends the others as it does those of a process that nobody is attached to.
func TestCallTableInNotify(t *testing.T) {
	needNotify(t)
	loaded := stopper.Preload("") // an arrest that has to load it takes its time
	defer loaded.Close()
	// The time-out is in whole seconds, as that of one of the calls is.
	for timeout := time.Second; !callTableInNotify(t, timeout); timeout *= 2 {
		if timeout > 10*time.Second {
			t.Fatalf("the calls are not arrested twice within half of %v", timeout)
		}
	}
}

// callTableInNotify says whether it could be done with a time-out: none of the calls may
// be over before the arrest that is to see it return.
func callTableInNotify(t *testing.T, timeout time.Duration) bool {
	s := newScene(t, target.Spec{Signals: map[int]target.Disposition{sigUSR1: target.SigHandle}}, attacher.Options{})
	untraced, err := target.Start(t.Context(), target.Spec{Signals: map[int]target.Disposition{sigUSR1: target.SigHandle}})
	must(t, err)
	defer untraced.Close()
	names, err := s.target.Calls(t.Context())
	must(t, err)
	calls := make(map[string]target.TimedCall)
	began := time.Now()
	for _, name := range names {
		calls[name], err = s.target.StartCall(t.Context(), name, timeout)
		must(t, err)
	}
	s.resume(s.arrest(stopper.Request{Style: stopper.Notify}))
	h := s.arrest(stopper.Request{Style: stopper.Notify})
	if took := time.Since(began); took > timeout/2 {
		t.Logf("the calls of %v are arrested twice only after %v", timeout, took)
		s.resume(h)
		s.end()
		s.target.Close()
		return false
	}
	like := make(map[string]target.TimedCall)
	for _, name := range names {
		like[name], err = untraced.StartCall(t.Context(), name, timeout)
		must(t, err)
	}
	want := make(map[string]target.CallResult)
	timed := make(map[string]bool)
	for _, name := range names {
		r := result(t, untraced, like[name])
		want[name] = r
		timed[name] = r.Want != "" && r.Errno != "ENOSYS" && r.Errno != "EPERM"
		if timed[name] {
			s.eventually(name+" has returned, and stops", func() bool { return !slices.Contains(h.InKernel(), calls[name].TID) })
		} else if r.Want == "" && r.Handled == 1 && slices.Contains(h.TIDs(), calls[name].TID) {
			t.Errorf("%s has returned", name)
		}
	}
	s.resume(h)
	if r := s.session.Report().Repair; r != (attacher.RepairReport{}) { // before there are signals
		t.Errorf("there was something to repair: %+v", r)
	}
	for _, name := range names {
		got, want := result(t, s.target, calls[name]), want[name]
		switch {
		case !got.MaskSame:
			t.Errorf("%s: the signal mask has changed", name)
		case got.Result() != want.Result() || got.Handled != want.Handled:
			t.Errorf("%s returned %s, with %d handlers; untraced %s and %d", name, got.Result(), got.Handled, want.Result(), want.Handled)
		case timed[name] && got.ElapsedNS < int64(timeout-10*time.Millisecond) && !slices.Contains(byClock, name):
			t.Errorf("%s returned after %v", name, time.Duration(got.ElapsedNS))
		}
	}
	s.end()
	return true
}

// result is what becomes of a call; one without a time-out is sent a signal.
func result(t *testing.T, p *target.Target, c target.TimedCall) target.CallResult {
	t.Helper()
	var r target.CallResult
	for end := time.Now().Add(time.Minute); ; time.Sleep(2 * time.Millisecond) {
		was := r
		var err error
		r, err = p.CallResult(t.Context(), c.ID)
		must(t, err)
		switch {
		case r.Done:
			return r
		case was.Name == "" && r.Want == "":
			must(t, p.Send(t.Context(), target.Send{Signal: sigUSR1, TID: c.TID}))
		case time.Now().After(end):
			t.Fatalf("%s does not return", r.Name)
		}
	}
}
