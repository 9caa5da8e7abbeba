//go:build linux && (amd64 || arm64)

package notify_test

import (
	"slices"
	"testing"
	"time"

	"massattach/internal/target"
	"massattach/stopper/notify"
)

// Once confirmed not one instruction runs in user mode: not of those that ran, nor
// of those that are woken from outside, who stop on their way back, and go on
// afterwards as if nothing had been. Whoever is not woken sleeps on.
func TestStrict(t *testing.T) {
	needTaskWork(t)
	const sems = 300
	p := start(t, target.Spec{Sem: sems, Epoll: 100, Futex: 50, Read: 20, Sleep: 20, Spin: 2, Sys: 2})
	m := open(t, p.PID(), notify.TaskWork)
	tids := under(t, p)
	sem := under(t, p, target.KindSem)
	r := trace(t, m, tids, 0)
	for round := range int64(size(5, 100)) {
		asleep(t, p, sem)
		r.arm(tids)
		before := account(t, p)
		r.stopped(4) // those that ran
		wake(t, before.SysV.Sem)
		r.stopped(4 + sems)
		time.Sleep(20 * time.Millisecond)
		during := account(t, p)
		if during.Spins != before.Spins || during.Calls != before.Calls || during.Early != before.Early || during.Early != round*sems {
			t.Fatalf("something ran while it was arrested: %+v, then %+v", before, during)
		}
		if look, err := m.Look(); err != nil || len(look.Pending)+len(look.Mute) != 0 {
			t.Fatalf("during the hold: %+v, %v", look, err)
		}
		held := make([]int, 0, len(r.held))
		for tid := range r.held {
			held = append(held, tid)
		}
		reported := r.release(tids)
		slices.Sort(held)
		slices.Sort(reported)
		if !slices.Equal(held, reported) {
			t.Errorf("held %v, reported %v", held, reported)
		}
		eventually(t, "all go on, once", func() bool {
			r.collect()
			a := account(t, p)
			return a.Early == (round+1)*sems && a.Spins > during.Spins && a.Calls > during.Calls
		})
	}
	if a := account(t, p); a.EINTR != 0 || len(r.gone) != 0 || r.own != 0 {
		t.Errorf("%d EINTR, %d ended, %d signals of the target's own", a.EINTR, len(r.gone), r.own)
	}
	for _, tid := range tids {
		if s := status(t, p, tid, "SigPnd"); s != "0000000000000000" {
			t.Errorf("thread %d is left with pending signals %s", tid, s)
		}
	}
}

// Threads that wake up while they are disarmed have reported, and are waited for, or
// have not, and are not stopped.
func TestDisarmRace(t *testing.T) {
	needTaskWork(t)
	const sems = 200
	p := start(t, target.Spec{Sem: sems, Sys: 1})
	m := open(t, p.PID(), notify.TaskWork)
	tids := under(t, p)
	r := trace(t, m, tids, 0)
	sets := account(t, p).SysV.Sem
	split := 0
	for round := range int64(size(100, 3000)) {
		r.arm(tids)
		woken := make(chan struct{})
		go func() { defer close(woken); wake(t, sets) }()
		time.Sleep(time.Duration(round%10) * 10 * time.Microsecond)
		reported := r.release(tids)
		<-woken
		if n := len(reported); n > 1 && n < sems {
			split++
		}
		eventually(t, "all go on", func() bool { r.collect(); return account(t, p).Early == (round+1)*sems })
		for sig, n := range r.ours {
			if sum := len(reported); n > sum {
				t.Fatalf("round %d: %d have reported, but %d came by %v", round, sum, n, sig)
			}
		}
		clear(r.ours)
	}
	if split == 0 {
		t.Error("there was no race: nobody was woken while others were disarmed")
	}
	if a := account(t, p); a.EINTR != 0 {
		t.Errorf("%d EINTR", a.EINTR)
	}
}
