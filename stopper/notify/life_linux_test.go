//go:build linux && (amd64 || arm64)

package notify_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"massattach/internal/sys"
	"massattach/internal/target"
	"massattach/stopper/notify"
)

// Two that are armed at once share the programs, and nothing else.
func TestTwo(t *testing.T) {
	needTaskWork(t)
	spec := target.Spec{Sem: 20, Sys: 1}
	var ps []*target.Target
	var ms []notify.Mechanism
	var rs []*tracer
	var tids [][]int
	for range 2 {
		p := start(t, spec)
		m := open(t, p.PID(), "")
		if m.Name() != notify.TaskWork || m.Guarantee() != notify.Strict {
			t.Errorf("the best is %s, %s", m.Name(), m.Guarantee())
		}
		who := under(t, p)
		ps, ms, tids, rs = append(ps, p), append(ms, m), append(tids, who), append(rs, trace(t, m, who, 0))
	}
	rs[0].arm(tids[0])
	rs[1].arm(tids[1])
	for i := range ps {
		rs[i].stopped(1)
	}
	rs[0].release(tids[0])
	if err := ms[0].Close(); err != nil {
		t.Fatal(err)
	}
	if err := ms[0].Arm(tids[0]); err == nil {
		t.Error("one that is closed arms")
	}
	before := [2]target.Account{account(t, ps[0]), account(t, ps[1])}
	for i := range ps {
		wake(t, before[i].SysV.Sem)
	}
	rs[1].stopped(21)
	eventually(t, "those of the first run", func() bool { a := account(t, ps[0]); return a.Early == 20 && a.Calls > before[0].Calls })
	if a := account(t, ps[1]); a.Early != 0 || a.Calls != before[1].Calls {
		t.Error("those of the second run, too")
	}
	rs[1].release(tids[1])
	eventually(t, "those of the second run", func() bool { rs[1].collect(); return account(t, ps[1]).Early == 20 })
}

// What is closed while it is armed stops nobody any more.
func TestCloseWhileArmed(t *testing.T) {
	needTaskWork(t)
	p := start(t, target.Spec{Sem: 50})
	tids := under(t, p, target.KindSem)
	m := open(t, p.PID(), notify.TaskWork)
	r := trace(t, m, tids, 0)
	r.arm(tids)
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	wake(t, account(t, p).SysV.Sem)
	eventually(t, "all go on", func() bool { return account(t, p).Early == 50 })
	if r.collect(); len(r.held) != 0 || len(r.ours) != 0 {
		t.Errorf("held %v, signals %v", r.held, r.ours)
	}
}

// Some of the threads are armed, and disarmed, and armed once more, while others are
// as they were; who was stopped and is armed again stops again.
func TestSome(t *testing.T) {
	needTaskWork(t)
	p := start(t, target.Spec{Sem: 40, Sys: 2})
	m := open(t, p.PID(), notify.TaskWork)
	sem, busy := under(t, p, target.KindSem), under(t, p, target.KindSys)
	r := trace(t, m, slices.Concat(sem, busy), 0)
	r.arm(busy[:1])
	r.stopped(1)
	before := account(t, p)
	eventually(t, "the other one runs", func() bool { return account(t, p).Calls > before.Calls })
	r.arm(busy[1:])
	r.stopped(2)
	before = account(t, p)
	// Armed again, it stops again before it runs.
	if err := m.Arm(busy[:1]); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		r.do(func() { delete(r.held, busy[0]); r.resume(busy[0], unix.SIGURG) })
		r.stopped(2)
		if err := m.Arm(busy[:1]); err != nil {
			t.Fatal(err)
		}
	}
	r.arm(sem[:30])
	if reported, err := m.Disarm(sem[10:20]); err != nil || len(reported) != 0 {
		t.Errorf("%v have reported, %v", reported, err)
	}
	wake(t, before.SysV.Sem)
	r.stopped(2 + 20)
	eventually(t, "those that are not armed return", func() bool { return account(t, p).Early == 20 })
	if a := account(t, p); a.Calls != before.Calls {
		t.Error("something ran while it was arrested")
	}
	r.release(slices.Concat(sem, busy))
	eventually(t, "all go on", func() bool { r.collect(); a := account(t, p); return a.Early == 40 && a.Calls > before.Calls })
}

// A vfork parent, a thread that is stopped already, by an interruption or by
// SIGSTOP: each is safe at once, and stops when it would return.
func TestBlockedOtherwise(t *testing.T) {
	needTaskWork(t)
	t.Run("vfork", func(t *testing.T) {
		p := start(t, target.Spec{})
		v, err := p.StartVfork(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		m := open(t, p.PID(), notify.TaskWork)
		r := trace(t, m, []int{v.TID}, 0)
		r.arm([]int{v.TID})
		if err := unix.Kill(v.PID, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		r.stopped(1)
		r.release([]int{v.TID})
		if r.ours[unix.SIGURG] != 1 {
			t.Errorf("ours: %v", r.ours)
		}
	})
	t.Run("interrupted", func(t *testing.T) {
		p := start(t, target.Spec{Sys: 1})
		tids := under(t, p, target.KindSys)
		m := open(t, p.PID(), notify.TaskWork)
		r := trace(t, m, tids, 0)
		r.do(func() { r.holding = true })
		r.interrupt(tids)
		r.stopped(1)
		before := account(t, p)
		r.arm(tids)
		r.do(func() { clear(r.held); r.resume(tids[0], 0) })
		r.stopped(1)
		if a := account(t, p); r.held[tids[0]] != unix.SIGURG || a.Calls != before.Calls {
			t.Errorf("stopped by %v; %d calls meanwhile", r.held[tids[0]], a.Calls-before.Calls)
		}
		r.release(tids)
		eventually(t, "it goes on", func() bool { r.collect(); return account(t, p).Calls > before.Calls })
	})
	t.Run("stopped", func(t *testing.T) {
		p := start(t, target.Spec{Sem: 10, Sys: 1})
		tids := under(t, p)
		m := open(t, p.PID(), notify.TaskWork)
		r := trace(t, m, tids, 0)
		if err := unix.Kill(p.PID(), unix.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		listening := 0
		r.do(func() {
			r.event = func(ws sys.WaitStatus) {
				if ws.Status == sys.EventStop<<8|int(unix.SIGSTOP) {
					listening++
				}
			}
		})
		eventually(t, "all are in group-stop", func() bool { r.collect(); return listening == len(tids) })
		r.arm(tids)
		r.do(func() { r.holding = false }) // they pass the end of the group-stop
		if err := unix.Kill(p.PID(), unix.SIGCONT); err != nil {
			t.Fatal(err)
		}
		before := account(t, p)
		r.ours = map[unix.Signal]int{}
		eventually(t, "the one that ran stops by ours", func() bool { r.collect(); return r.ours[unix.SIGURG] > 0 })
		r.release(tids)
		eventually(t, "it goes on", func() bool { r.collect(); return account(t, p).Calls > before.Calls })
	})
}

// Threads that end while they are armed, and a process that is killed, are no error.
func TestEnds(t *testing.T) {
	needTaskWork(t)
	p := start(t, target.Spec{Sem: 20, Epoll: 20, Sys: 1, Orphan: true})
	m := open(t, p.PID(), notify.TaskWork)
	tids := under(t, p)
	r := trace(t, m, tids, 0)
	r.arm(tids)
	r.stopped(1)
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all have ended", func() bool { r.collect(); return len(r.gone) >= len(tids)-1 })
	if look, err := m.Look(); err != nil || len(look.Pending)+len(look.Mute) != 0 {
		t.Errorf("%+v, %v", look, err)
	}
	if _, err := m.Disarm(tids); err != nil {
		t.Error(err)
	}
	if err := m.Arm(tids); err != nil {
		t.Error(err)
	}
	if look, err := m.Look(); err != nil || len(look.Pending)+len(look.Mute) != 0 {
		t.Errorf("%+v, %v", look, err)
	}
	m.Remove(tids)
	if err := m.Close(); err != nil {
		t.Error(err)
	}
}

// Births go on while others are armed, and those that are born, and armed when their
// tracer hears of it, do not run either.
func TestBirths(t *testing.T) {
	needTaskWork(t)
	p := start(t, target.Spec{Churn: 2, Sem: 10})
	m := open(t, p.PID(), notify.TaskWork)
	tids := under(t, p, target.KindChurn, target.KindSem)
	r := trace(t, m, tids, sys.OptionTraceClone)
	var born []int
	r.event = func(ws sys.WaitStatus) {
		if ws.Status>>8 == sys.EventStop && !slices.Contains(tids, ws.TID) {
			born = append(born, ws.TID)
			if r.holding {
				if err := m.Arm([]int{ws.TID}); err != nil {
					t.Error(err)
				}
			}
		}
	}
	for range size(30, 300) {
		r.arm(tids)
		// A creator is stopped, or waits for the end of one who is. Whom it has been
		// giving birth to is armed as soon as its tracer hears of it.
		time.Sleep(time.Millisecond)
		r.confirm()
		before := account(t, p)
		time.Sleep(time.Millisecond)
		r.collect()
		if a := account(t, p); a.Born != before.Born {
			t.Fatalf("%d were born while all were arrested", a.Born-before.Born)
		}
		all := slices.Concat(tids, born)
		r.release(all)
		eventually(t, "births go on", func() bool { r.collect(); return account(t, p).Born > before.Born+5 })
		m.Remove(born)
		born = born[:0]
	}
	if len(r.gone) == 0 {
		t.Error("nobody was born")
	}
}

// A leader that is armed, and whose number another thread takes over by exec: the
// new one stops before its first instruction.
func TestExec(t *testing.T) {
	needTaskWork(t)
	for i := range size(4, 100) {
		byLeader := i%2 == 0
		p := start(t, target.Spec{Sem: 10, Sys: 1})
		m := open(t, p.PID(), notify.TaskWork)
		tids := under(t, p)
		r := trace(t, m, tids, sys.OptionTraceExec)
		who := p.PID()
		armed := slices.DeleteFunc(slices.Clone(tids), func(tid int) bool { return tid == who })
		if !byLeader {
			who = under(t, p, target.KindSem)[0]
			armed = slices.DeleteFunc(slices.Clone(tids), func(tid int) bool { return tid == who })
		}
		r.arm(armed)
		r.stopped(1)
		execed := false
		r.event = func(ws sys.WaitStatus) {
			if ws.Status>>8 == sys.EventExec {
				clear(r.held)
				clear(r.ours)
				if err := m.Arm([]int{p.PID()}); err != nil {
					t.Error(err)
				}
				execed = true
			}
		}
		made := filepath.Join(t.TempDir(), "made")
		begun := make(chan error, 1)
		go func() {
			begun <- p.Exec(t.Context(), target.Exec{TID: who, Argv: []string{"/bin/sh", "-c", ": >" + made + "; read line"}})
		}()
		eventually(t, "the new program is held", func() bool { r.confirm(); return execed && len(r.held) == 1 })
		time.Sleep(20 * time.Millisecond)
		if _, err := os.Stat(made); err == nil {
			t.Error("the new program has run")
		}
		if sig := r.held[p.PID()]; sig != unix.SIGURG {
			t.Errorf("it was stopped by %v", sig)
		}
		if reported := r.release([]int{p.PID()}); !slices.Equal(reported, []int{p.PID()}) {
			t.Errorf("%v have reported", reported)
		}
		eventually(t, "the new program runs", func() bool { r.collect(); _, err := os.Stat(made); return err == nil })
		if err := <-begun; err != nil {
			t.Error(err)
		}
		r.end()
		p.Close()
	}
}
