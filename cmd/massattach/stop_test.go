//go:build linux

package main

import (
	"encoding/json"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"massattach/internal/report"
	"massattach/internal/target"
)

// withVfork is a target one of whose threads can't stop.
func withVfork(t *testing.T) (*target.Target, target.Vfork) {
	t.Helper()
	tg := startTarget(t, target.Spec{Epoll: 300, Futex: 199, Spin: 1})
	ctx, cancel := bounded()
	defer cancel()
	v, err := tg.StartVfork(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return tg, v
}

// stopReport is the report that the command has printed.
func stopReport(t *testing.T, p *process) *report.Session {
	t.Helper()
	var r report.Session
	if err := json.Unmarshal([]byte(p.stdout.String()), &r); err != nil || r.Stop == nil {
		t.Fatalf("%v: %s", err, p.stdout.String())
	}
	return &r
}

// standing is how many threads of the target are in a ptrace-stop.
func standing(t *testing.T, tg *target.Target) (n int) {
	t.Helper()
	for _, c := range captives(t, tg) {
		if strings.Contains(c, "state t") {
			n++
		}
	}
	return n
}

// A thread that can't stop is named when the time is over; the others are held,
// and nobody afterwards.
func TestStopNamesTheMissing(t *testing.T) {
	t.Parallel()
	const deadline = 10 * time.Second // in which the attach has to be done, too
	tg, v := withVfork(t)
	p := prepare(t, "massattach", "stop", "--phase-fd", "3", "--deadline", deadline.String(), "--for", "1m", "--format", "json", strconv.Itoa(tg.PID()))
	begin := time.Now()
	p.start().enters(phaseHold)
	if took := time.Since(begin); took < deadline {
		t.Errorf("it has given up after %v", took)
	}
	stopped := len(captives(t, tg))
	p.signal(syscall.SIGINT)
	p.ends(exitPartial)
	isFree(t, tg)
	r := stopReport(t, p)
	s := r.Stop
	if s.Requested != stopped || s.Stopped != stopped-1 || s.Missed != 1 || s.MissingTotal != 1 || s.HeldNS == 0 {
		t.Errorf("of %d: %+v", stopped, s)
	}
	if len(s.Missing) != 1 || s.Missing[0].TID != v.TID || s.Missing[0].State != "D" || s.Missing[0].Reason != "vfork" {
		t.Errorf("missing: %+v", s.Missing)
	}
	ctx, cancel := bounded()
	defer cancel()
	if err := tg.EndVfork(ctx, v.TID); err != nil {
		t.Error(err)
	}
	lives(t, tg, false)
	if a := account(t, tg); a.EINTR+a.Early != 0 {
		t.Errorf("disturbed: %+v", a)
	}
}

// Ctrl-C while the arrest is still under way.
func TestStopInterrupted(t *testing.T) {
	tg, _ := withVfork(t)
	p := prepare(t, "massattach", "stop", "--phase-fd", "3", "--deadline", "1m", "--for", "1m", "--format", "json", strconv.Itoa(tg.PID()))
	p.start().enters(phaseArrest)
	eventually(t, "all others are stopped", func() bool { return standing(t, tg) == len(captives(t, tg))-1 })
	p.signal(syscall.SIGINT)
	p.ends(exitPartial)
	isFree(t, tg)
	lives(t, tg, false)
	if s := stopReport(t, p).Stop; s.Missed != 1 {
		t.Errorf("%+v", s)
	}
	if a := account(t, tg); a.EINTR+a.Early != 0 {
		t.Errorf("disturbed: %+v", a)
	}
}

// What the command has come to ignore, its own child does not inherit.
func TestStopCommandIgnoresNothing(t *testing.T) {
	tg := startTarget(t, target.Spec{Epoll: 200})
	p := prepare(t, "massattach-slow", "stop", "--phase-fd", "3", strconv.Itoa(tg.PID()), "--", "grep", "SigIgn", "/proc/self/status")
	p.start().enters(phaseAttach)
	for _, s := range []syscall.Signal{syscall.SIGTTIN, syscall.SIGTTOU} {
		p.signal(s)
		p.says(refusal(s))
	}
	p.ends(exitComplete)
	ignored, err := strconv.ParseUint(strings.TrimSpace(strings.TrimPrefix(p.stdout.String(), "SigIgn:")), 16, 64)
	if err != nil || ignored&(1<<(syscall.SIGTTIN-1)|1<<(syscall.SIGTTOU-1)) != 0 {
		t.Errorf("it ignores %q, %v", p.stdout.String(), err)
	}
	isFree(t, tg)
}
