//go:build linux && (amd64 || arm64)

package notify_test

import (
	"errors"
	"slices"
	"testing"

	"massattach/internal/target"
	"massattach/stopper/notify"
)

// Who is blocked in a call that would show it is left asleep, until it wakes up;
// all others are to be interrupted. Each is told of once an arming.
func TestSleepers(t *testing.T) {
	p := start(t, target.Spec{Epoll: 20, Sem: 20, Futex: 20, Sleep: 10, Sys: 1, Spin: 1})
	m := open(t, p.PID(), notify.Ptrace)
	if m.Name() != notify.Ptrace || m.Guarantee() != notify.BestEffort {
		t.Errorf("%s, %s", m.Name(), m.Guarantee())
	}
	tids, sem := under(t, p), under(t, p, target.KindSem)
	others := under(t, p, target.KindLeader, target.KindFutex, target.KindSleep, target.KindSys, target.KindSpin)
	if err := m.Add(tids); err != nil {
		t.Fatal(err)
	}
	look := func() []int {
		t.Helper()
		l, err := m.Look()
		if err != nil || len(l.Pending) != 0 {
			t.Fatalf("pending %v, %v", l.Pending, err)
		}
		slices.Sort(l.Mute)
		return slices.Clone(l.Mute)
	}
	slices.Sort(others)
	slices.Sort(sem)
	for round := range int64(3) {
		asleep(t, p, sem)
		if err := m.Arm(tids); err != nil {
			t.Fatal(err)
		}
		if got := look(); !slices.Equal(got, others) {
			t.Errorf("to be interrupted: %v, want %v", got, others)
		}
		if got := look(); len(got) != 0 {
			t.Errorf("told again: %v", got)
		}
		wake(t, account(t, p).SysV.Sem)
		eventually(t, "they have run", func() bool { return account(t, p).Early == (round+1)*int64(len(sem)) })
		asleep(t, p, sem)
		if got := look(); !slices.Equal(got, sem) {
			t.Errorf("woken: %v, want %v", got, sem)
		}
		if reported, err := m.Disarm(tids); err != nil || len(reported) != 0 {
			t.Errorf("reported: %v, %v", reported, err)
		}
		if got := look(); len(got) != 0 {
			t.Errorf("disarmed, but told: %v", got)
		}
	}
	// One that ends is nobody's trouble.
	if err := m.Arm(tids); err != nil {
		t.Fatal(err)
	}
	look()
	if err := p.End(t.Context(), sem[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if got := look(); len(got) != 0 {
		t.Errorf("told of who has ended: %v", got)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if err := m.Arm(tids); err == nil {
		t.Error("one that is closed arms")
	}
	if _, err := m.Look(); err == nil {
		t.Error("one that is closed looks")
	}
}

func TestOpen(t *testing.T) {
	p := start(t, target.Spec{})
	if _, err := notify.Open(p.PID(), "prayer"); !errors.Is(err, notify.ErrNotSupported) {
		t.Error(err)
	}
	const nobody = 1 << 22
	if _, err := notify.Open(nobody, notify.Ptrace); err == nil {
		t.Error("it opens for a process that is not there")
	}
	var names []string
	for _, s := range notify.Supported() {
		names = append(names, s.Name)
		if m, err := notify.Open(p.PID(), s.Name); (err == nil) != (s.Err == nil) {
			t.Errorf("%s: %v, but %v", s.Name, s.Err, err)
		} else if err == nil {
			if m.Name() != s.Name || m.Guarantee() != s.Guarantee {
				t.Errorf("%+v: %s, %s", s, m.Name(), m.Guarantee())
			}
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	if !slices.Equal(names, notify.Names()) || !slices.Equal(names, []string{notify.TaskWork, notify.Ptrace}) {
		t.Errorf("mechanisms %v, %v", names, notify.Names())
	}
}
