package attacher_test

import (
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"massattach/attacher"
	"massattach/internal/target"
)

// needRepair skips where EINTR can't be repaired, unless MASSATTACH_REQUIRE
// names it.
func needRepair(t *testing.T) {
	t.Helper()
	if attacher.CanRepair {
		return
	}
	reason := "interrupted calls are not repaired on " + runtime.GOARCH
	if slices.Contains(strings.Split(os.Getenv("MASSATTACH_REQUIRE"), ","), "repair") {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

// interruption is something that makes a seized thread leave its call.
type interruption struct {
	name string
	do   func(t *testing.T, p *target.Target, tid int)
}

var interruptions = []interruption{
	{"ignored signal", func(t *testing.T, p *target.Target, tid int) {
		if err := p.Send(t.Context(), target.Send{Signal: sigWINCH, TID: tid}); err != nil {
			t.Fatal(err)
		}
	}},
	{"SIGCONT", func(t *testing.T, p *target.Target, tid int) { kill(t, p, syscall.SIGCONT) }},
}

// notOurs are calls that return early with a result when they are woken, and
// no EINTR: what was submitted can't be submitted again, what was received is
// in the program's memory; and connect, which can't be begun anew.
var notOurs = map[string]bool{"uring_submit_wait_inf": true, "recv_waitall_to": true,
	"write_pipe_inf": true, "sendfile_sock_inf": true, "connect_to": true, "close_linger_to": true}

// byClock are calls whose time-out is a time of day, set before they begin.
var byClock = map[string]bool{"mq_timedreceive_to": true}

// Case 21, 22, 79 and the table of the calls: each call that blocks goes on
// after an interruption that an untraced one does not feel, ends as its
// time-out says, and returns EINTR when a handler runs.
func TestCallTable(t *testing.T) {
	needRepair(t)
	p := start(t, target.Spec{Signals: map[int]target.Disposition{sigUSR1: target.SigHandle}})
	names, err := p.Calls(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, how := range interruptions {
		t.Run(how.name, func(t *testing.T) {
			type call struct {
				target.TimedCall
				name string
			}
			var calls []call
			for _, name := range names {
				if notOurs[name] {
					continue
				}
				c, err := p.StartCall(t.Context(), name, 700*time.Millisecond)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				calls = append(calls, call{c, name})
			}
			s := attach(t, p.PID(), nil)
			for _, c := range calls {
				how.do(t, p, c.TID)
			}
			time.Sleep(100 * time.Millisecond)
			for _, c := range calls {
				if strings.HasSuffix(c.name, "_to") {
					continue
				}
				r, err := p.CallResult(t.Context(), c.ID)
				if err != nil {
					t.Fatal(err)
				}
				if r.Done {
					if unavailable(r) {
						t.Logf("%s: %s on this kernel", c.name, r.Errno)
						continue
					}
					t.Errorf("%s returned %s early", c.name, r.Result())
					continue
				}
				// A handler ends it, untraced and traced.
				if err := p.Send(t.Context(), target.Send{Signal: sigUSR1, TID: c.TID}); err != nil {
					t.Fatal(err)
				}
			}
			for _, c := range calls {
				var r target.CallResult
				eventually(t, c.name+" returns", func() bool {
					var err error
					r, err = p.CallResult(t.Context(), c.ID)
					return err != nil || r.Done
				})
				if !r.Done || unavailable(r) {
					continue
				}
				if !r.MaskSame {
					t.Errorf("%s: the signal mask has changed", c.name)
				}
				if strings.HasSuffix(c.name, "_to") {
					if r.Result() != r.Want || r.ElapsedNS < int64(690*time.Millisecond) && !byClock[c.name] {
						t.Errorf("%s returned %s after %v, want %s after 700ms", c.name, r.Result(), time.Duration(r.ElapsedNS), r.Want)
					}
				} else if r.Handled != 1 || r.Errno != "EINTR" {
					t.Errorf("%s with a handler returned %s, handlers %d", c.name, r.Result(), r.Handled)
				}
			}
			r := detach(t, s)
			if r.Repair.Left != 0 {
				t.Errorf("left %d: %+v", r.Repair.Left, r.Repair)
			}
		})
	}
}

func unavailable(r target.CallResult) bool { return r.Errno == "ENOSYS" || r.Errno == "EPERM" }

// Case 78: a call with a time-out that is interrupted more often than its
// time-out is long ends all the same.
func TestTimeoutDoesNotStarve(t *testing.T) {
	needRepair(t)
	p := start(t, target.Spec{})
	names := []string{"epoll_wait_to", "epoll_pwait2_to", "semtimedop_to", "sigtimedwait_to", "recv_unix_to",
		"io_getevents_to", "uring_wait_ext_to"}
	known := make(map[string]bool)
	all, err := p.Calls(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range all {
		known[name] = true
	}
	for _, name := range names {
		if !known[name] {
			t.Fatalf("no call %q in %v", name, all)
		}
	}
	// On a busy machine a time-out may be over before the first signal comes.
	timeout := 2 * time.Second
	for ; timeout <= time.Minute && !interrupted(t, p, names, timeout); timeout *= 4 {
		t.Logf("no call was extended in %v", timeout)
	}
	if timeout > time.Minute {
		t.Error("no call was ever extended")
	}
}

// interrupted interrupts calls with a time-out again and again, until they have ended.
// It tells whether the time-out of any began anew.
func interrupted(t *testing.T, p *target.Target, names []string, timeout time.Duration) bool {
	s := attach(t, p.PID(), &attacher.Options{Settle: -1})
	calls := make(map[string]target.TimedCall)
	for _, name := range names {
		c, err := p.StartCall(t.Context(), name, timeout)
		if err != nil {
			t.Fatal(err)
		}
		calls[name] = c
	}
	eventually(t, "all are traced", func() bool { return lookAt(t, p.PID()).tracers[0] == 0 })
	results := make(map[string]target.CallResult)
	begin := time.Now()
	for len(results) < len(names) && time.Since(begin) < timeout+2*time.Minute {
		time.Sleep(200 * time.Millisecond)
		for name, c := range calls {
			if _, done := results[name]; done {
				continue
			}
			r, err := p.CallResult(t.Context(), c.ID)
			if err != nil {
				t.Fatal(err)
			}
			if r.Done {
				results[name] = r
				continue
			}
			if err := p.Send(t.Context(), target.Send{Signal: sigCHLD, TID: c.TID}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, name := range names {
		r, done := results[name]
		switch {
		case !done:
			t.Errorf("%s never returned", name)
		case unavailable(r):
			t.Logf("%s: %s on this kernel", name, r.Errno)
		case r.Result() != r.Want:
			t.Errorf("%s returned %s after %v, want %s", name, r.Result(), time.Duration(r.ElapsedNS), r.Want)
		default:
			t.Logf("%s returned %s after %v", name, r.Result(), time.Duration(r.ElapsedNS))
		}
	}
	r := detach(t, s)
	if r.Repair.Left != 0 {
		t.Errorf("repair: %+v", r.Repair)
	}
	return r.Repair.Extended > 0
}
