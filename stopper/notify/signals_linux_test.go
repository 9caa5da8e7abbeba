//go:build linux && (amd64 || arm64)

package notify_test

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"massattach/internal/target"
	"massattach/stopper/notify"
)

const (
	urg   = int(unix.SIGURG)
	winch = int(unix.SIGWINCH)
	chld  = int(unix.SIGCHLD)
)

// handle is that the target has a handler for each.
func handle(signals ...int) map[int]target.Disposition {
	m := make(map[int]target.Disposition)
	for _, sig := range signals {
		m[sig] = target.SigHandleRestart
	}
	return m
}

// The signal is one without a handler, then SIGWINCH or SIGCHLD, never a SIGURG that
// has one; and one that is not blocked. For a thread that none is left for, it says
// so; it is interrupted, and held all the same.
func TestChoice(t *testing.T) {
	needTaskWork(t)
	everything := make([]int, 64)
	for i := range everything {
		everything[i] = i + 1
	}
	for _, tc := range []struct {
		handled, blocked []int
		ignored          []int
		want             int // 0: mute
	}{
		{want: urg},
		{ignored: []int{urg}, want: urg},
		{handled: []int{urg}, want: winch},
		{handled: []int{urg, winch}, want: chld},
		{handled: []int{winch, chld}, want: urg},
		{handled: []int{urg, winch, chld}, want: winch},
		{blocked: []int{urg}, want: winch},
		{blocked: []int{urg, winch}, want: chld},
		{handled: []int{urg, winch, chld}, blocked: []int{winch}, want: chld},
		{handled: []int{winch}, blocked: []int{urg, chld}, want: winch},
		{handled: []int{urg}, blocked: []int{winch, chld}, want: 0},
		{blocked: []int{urg, winch, chld}, want: 0},
		{blocked: everything, want: 0},
	} {
		t.Run(fmt.Sprintf("handled=%d,blocked=%d", tc.handled, tc.blocked[:min(3, len(tc.blocked))]), func(t *testing.T) {
			signals := handle(tc.handled...)
			for _, sig := range tc.ignored {
				signals[sig] = target.SigIgnore
			}
			p := start(t, target.Spec{Sem: 5, Sys: 1, Signals: signals, Block: map[string][]int{
				target.KindSem: tc.blocked, target.KindSys: tc.blocked,
			}})
			m := open(t, p.PID(), notify.TaskWork)
			tids := under(t, p, target.KindSem, target.KindSys)
			r := trace(t, m, tids, 0)
			sem, busy := under(t, p, target.KindSem), under(t, p, target.KindSys)[0]
			for range 3 {
				asleep(t, p, sem)
				r.arm(tids)
				before := account(t, p)
				if tc.want != 0 {
					r.stopped(1)
				} else {
					eventually(t, "the one that runs is mute, and stops", func() bool { r.confirm(); _, held := r.held[busy]; return held })
				}
				wake(t, before.SysV.Sem)
				eventually(t, "all are held", func() bool { r.confirm(); return len(r.held) == len(tids) })
				for tid, sig := range r.held {
					if int(sig) != tc.want {
						t.Errorf("thread %d was stopped by %v", tid, sig)
					}
				}
				if a := account(t, p); tc.want != 0 && (a.Calls != before.Calls || a.Early != before.Early) {
					t.Error("something ran while it was arrested")
				}
				if n := len(r.release(tids)); tc.want != 0 && n != len(tids) || tc.want == 0 && n != 0 {
					t.Errorf("%d have reported", n)
				}
				eventually(t, "all go on", func() bool { r.collect(); return account(t, p).Early == before.Early+5 })
			}
			if a := account(t, p); a.Runs[urg]+a.Runs[winch]+a.Runs[chld] != 0 || tc.want != 0 && a.EINTR != 0 {
				t.Errorf("handlers ran: %v; %d EINTR", a.Runs, a.EINTR)
			}
		})
	}
}

// A thread with a signal of its own that it is about to stop by is sent none. It
// is held by an interruption, and the handler runs afterwards, once.
func TestOwnSignalFirst(t *testing.T) {
	needTaskWork(t)
	for _, sig := range []syscall.Signal{unix.SIGUSR1, unix.SIGWINCH} {
		p := start(t, target.Spec{Sem: 1, Signals: handle(urg, winch, chld, int(unix.SIGUSR1))})
		m := open(t, p.PID(), notify.TaskWork)
		tids := under(t, p, target.KindSem)
		r := trace(t, m, tids, 0)
		for round := range int64(20) {
			asleep(t, p, tids)
			r.arm(tids)
			tgkill(t, p, tids[0], sig)
			r.stopped(1)
			if held := r.held[tids[0]]; held != 0 || len(r.ours) != 0 {
				t.Fatalf("stopped by %v, ours were %v", held, r.ours)
			}
			if a := account(t, p); a.Runs[int(sig)] != round {
				t.Fatal("the handler ran while it was arrested")
			}
			if reported := r.release(tids); len(reported) != 0 {
				t.Error("it is said to have reported")
			}
			eventually(t, "the handler runs", func() bool { r.collect(); return account(t, p).Runs[int(sig)] == round+1 })
		}
		r.end()
		p.Close()
	}
}

// A signal of the target's own that is merged into ours is delivered, once, and as
// it was sent; one that comes later is left alone.
func TestMerge(t *testing.T) {
	needTaskWork(t)
	for _, tc := range []struct {
		name        string
		early, late int // sent while ours is pending, and when it was taken
		handled     int64
	}{
		{"none", 0, 0, 0},
		{"one", 1, 0, 1},
		{"three", 3, 0, 1},
		{"later", 0, 1, 1},
		{"later, twice", 0, 2, 1},
		{"one, and one later", 1, 1, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := start(t, target.Spec{Sem: 1, Signals: handle(urg, winch, chld)})
			m := open(t, p.PID(), notify.TaskWork)
			tids := under(t, p, target.KindSem)
			r := trace(t, m, tids, 0)
			for round := range int64(5) {
				asleep(t, p, tids)
				r.arm(tids)
				// Interrupted, it does its work, which sends ours, and stops before
				// it takes that.
				r.interrupt(tids)
				r.stopped(1)
				for range tc.early {
					tgkill(t, p, tids[0], unix.SIGWINCH)
				}
				r.do(func() { delete(r.held, tids[0]); r.resume(tids[0], 0) })
				r.stopped(1)
				if r.held[tids[0]] != unix.SIGWINCH {
					t.Fatalf("stopped by %v", r.held[tids[0]])
				}
				for range tc.late {
					tgkill(t, p, tids[0], unix.SIGWINCH)
				}
				if tc.early > 0 {
					info, merged := m.Merged(tids[0], unix.SIGWINCH)
					if !merged || code(info) != siTkill || int(sender(info)) != os.Getpid() {
						t.Fatalf("merged: %v, code %d of %d", merged, code(info), sender(info))
					}
					if _, twice := m.Merged(tids[0], unix.SIGWINCH); twice {
						t.Fatal("told twice")
					}
					r.m = merge{m, info}
				}
				r.release(tids)
				r.m = m
				eventually(t, "the handler runs", func() bool {
					r.collect()
					return account(t, p).Runs[winch] >= (round+1)*tc.handled && status(t, p, tids[0], "SigPnd") == "0000000000000000"
				})
				if n := account(t, p).Runs[winch]; n != (round+1)*tc.handled {
					t.Fatalf("round %d: the handler ran %d times", round, n)
				}
			}
		})
	}
}

const siTkill = -6

// merge is a mechanism that says of any signal that this one was merged into it.
type merge struct {
	notify.Mechanism
	info []byte
}

func (m merge) Merged(int, syscall.Signal) ([]byte, bool) { return m.info, true }

// Signals of the target's own of the three numbers, sent at full rate before, while
// and after it is arrested, are each handled, whichever has a handler.
func TestNoneLost(t *testing.T) {
	needTaskWork(t)
	for _, handled := range [][]int{{urg, winch, chld}, {urg}, {winch}, {chld, urg}} {
		p := start(t, target.Spec{Sem: 1, Sys: 1, Spin: 1, Signals: handle(handled...)})
		m := open(t, p.PID(), notify.TaskWork)
		tids := under(t, p, target.KindSem, target.KindSys, target.KindSpin)
		r := trace(t, m, tids, 0)
		var over atomic.Bool
		var senders sync.WaitGroup
		var sent atomic.Int64
		for _, tid := range tids {
			senders.Go(func() {
				for !over.Load() {
					sent.Add(sendEach(t, p, tid, handled))
				}
			})
		}
		// Where others are busy a handler may run only after some arrests.
		end := time.Now().Add(time.Minute)
		for round := 0; round < size(50, 500) || sent.Load() < 20 && time.Now().Before(end); round++ {
			r.arm(tids)
			time.Sleep(time.Millisecond)
			r.release(tids)
			for end := time.Now().Add(2 * time.Millisecond); time.Now().Before(end); {
				r.collect()
			}
		}
		over.Store(true)
		done := make(chan struct{})
		go func() { defer close(done); senders.Wait() }()
		eventually(t, "the last ones are handled", func() bool {
			r.collect()
			select {
			case <-done:
				return true
			default:
				return false
			}
		})
		a := account(t, p)
		if n := a.Runs[urg] + a.Runs[winch] + a.Runs[chld]; n != sent.Load() || n < 20 {
			t.Errorf("%v have handlers: %d sent, %d handled", handled, sent.Load(), n)
		}
		t.Logf("%v have handlers: %d signals, ours %v", handled, sent.Load(), r.ours)
		r.end()
		p.Close()
	}
}

// sendEach sends each of the three signals to one thread, and waits until those that
// have a handler were handled. It answers how many these are.
func sendEach(t *testing.T, p *target.Target, tid int, handled []int) (n int64) {
	runs := func() int64 {
		a, err := p.Thread(t.Context(), tid)
		if err != nil {
			t.Error(err)
		}
		return a.Handled
	}
	for _, sig := range []int{urg, winch, chld} {
		before := runs()
		if err := unix.Tgkill(p.PID(), tid, syscall.Signal(sig)); err != nil {
			t.Error(err)
			return n
		}
		if !slices.Contains(handled, sig) {
			continue
		}
		n++
		for end := time.Now().Add(time.Minute); runs() == before; time.Sleep(50 * time.Microsecond) {
			if time.Now().After(end) {
				t.Errorf("signal %d to thread %d is lost", sig, tid)
				return n
			}
		}
	}
	return n
}
