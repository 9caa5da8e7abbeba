package report_test

import (
	"bytes"
	"testing"
	"time"

	"massattach/attacher"
	. "massattach/internal/report"
	"massattach/stopper"
	"massattach/threadset"
)

// demo is a demonstration as it should be.
func demo() *Demo {
	signals := Signals{Sent: 100, Handled: 100, Ignored: 100}
	r := full()
	r.PID, r.Comm = 4211, "target"
	r.Threads = threadset.Totals{Found: 5_025, Attached: 5_025, Born: 25, Exited: 25}
	r.Events = attacher.EventReport{Signals: 200, Births: 25, Exits: 25}
	r.Repair = attacher.RepairReport{Repaired: 100}
	session := FromAttacher(r)
	session.Stayed = 1_012 * time.Millisecond
	return &Demo{
		PID: 4211, Comm: "target", Threads: 5_000, ForNS: 1e9, Follow: "scan",
		Trials: []Trial{
			{Name: "untouched", ElapsedNS: 1_012e6, MaxPauseNS: 433_124, EINTRIn: map[string]int{}, Signals: signals, Births: 25},
			{Name: "massattach", ElapsedNS: 1_013e6, MaxPauseNS: 1_022_005, EINTRIn: map[string]int{}, Signals: signals, Births: 25, Followed: 25, Session: session},
			{Name: "stop", ElapsedNS: 1_013e6, MaxPauseNS: 88_022_005, EINTRIn: map[string]int{}, Signals: signals, Births: 25, Followed: 25,
				SeenStopped: 5_025, StoppedNS: 80_000_000, Session: stopped()},
			{Name: "sigstop", ElapsedNS: 1_015e6, MaxPauseNS: 78_903_112, EINTR: 2_275, EINTRIn: map[string]int{"semop": 250, "epoll_wait": 2_025},
				Signals: signals, Births: 25, SeenStopped: 5_025, StoppedNS: 84_411_300},
		},
		Next: []Command{{"massattach threads", "lists the processes with the most threads"}, {"massattach attach PID", "attaches to one of yours until Ctrl-C"}},
	}
}

// stopped is a session whose threads were stopped once.
func stopped() *Session {
	r := full()
	r.PID, r.Comm = 4211, "target"
	r.Threads = threadset.Totals{Found: 5_025, Attached: 5_025, Born: 25, Exited: 25}
	r.Events = attacher.EventReport{Signals: 200, Births: 25, Exits: 25}
	r.Repair = attacher.RepairReport{Repaired: 2_375}
	s := FromAttacher(r)
	s.Stayed = 1_012 * time.Millisecond
	s.Stop = FromStopper(stopper.Report{Complete: true, Requested: 5_025, Stopped: 5_025, Elapsed: 24 * time.Millisecond, Held: 56 * time.Millisecond,
		Latency: attacher.Quantiles{P50: 9 * time.Millisecond, P99: 22 * time.Millisecond, Max: 23 * time.Millisecond}})
	return s
}

func TestDemo(t *testing.T) {
	for _, tc := range []struct {
		name string
		mar  func(*Demo)
	}{
		{"demo", func(*Demo) {}},
		{"demo-noticed", func(d *Demo) {
			d.Noticed = true
			d.Trials[0].MaxPauseNS = 196_247_311
			a := &d.Trials[1]
			a.EINTR, a.EINTRIn = 3, map[string]int{"semop": 3}
			a.Early, a.Signals.Handled, a.Followed = 1, 98, 20
			a.Session.FailuresTotal = 12
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := demo()
			tc.mar(d)
			golden(t, tc.name+".json", line(t, d))
			plain := text(t, d.Text, Style{})
			golden(t, tc.name+".txt", plain)
			coloured := text(t, d.Text, Style{Colour: true})
			if got := strip(coloured); !bytes.Equal(got, plain) {
				t.Errorf("colours change more than colours:\n%s", got)
			}
		})
	}
}
