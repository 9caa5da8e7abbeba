package stopper_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"massattach/attacher"
	"massattach/internal/target"
	"massattach/stopper"
	"massattach/stopper/notify"
)

// A vfork parent is in the kernel: nobody is missing, however long its child takes.
// When that ends during the hold it stops, and runs on afterwards.
func TestVforkParentInNotify(t *testing.T) {
	needNotify(t)
	s := newScene(t, target.Spec{Epoll: 20, Sem: 5}, attacher.Options{})
	v, err := s.target.StartVfork(t.Context())
	must(t, err)
	s.eventually("it is traced", func() bool { return s.states()[v.TID].TracerPid != 0 })
	for range 3 {
		h := s.arrest(stopper.Request{Style: stopper.Notify})
		if r := h.Report(); !r.Complete || r.Missed != 0 || r.Guarantee != notify.Strict || !slices.Contains(h.InKernel(), v.TID) {
			t.Errorf("%+v", r)
		}
		s.areHeld(h)
		s.resume(h)
	}
	h := s.arrest(stopper.Request{Style: stopper.Notify})
	must(t, unix.Kill(v.PID, unix.SIGKILL))
	s.eventually("it stops", func() bool { return slices.Contains(h.TIDs(), v.TID) })
	s.resume(h)
	must(t, s.target.EndVfork(t.Context(), v.TID)) // which checks what vfork has answered
	s.end()
	s.undisturbed()
}

// Threads that block every signal: those that run are interrupted, and those that are
// woken; they are counted, and everybody goes on once.
func TestAllSignalsBlocked(t *testing.T) {
	needNotify(t)
	everything := make([]int, 64)
	for i := range everything {
		everything[i] = i + 1
	}
	s := newScene(t, target.Spec{Sem: 20, Spin: 2, Sys: 1, Block: map[string][]int{
		target.KindSem: everything, target.KindSpin: everything, target.KindSys: everything,
	}}, attacher.Options{})
	sel, sems := s.underTest(), s.kinds()[target.KindSem]
	c, sets := s.counters(), s.account().SysV.Sem
	for range size(5, 100) {
		s.asleep(sems)
		h := s.arrest(stopper.Request{Style: stopper.Notify, Selection: sel})
		s.eventually("those that run are stopped", func() bool { return len(h.TIDs()) == 3 })
		before := c.read()
		if r := h.Report(); r.BestEffort != 3 || r.Stopped != 3 || r.InKernel != len(sel.TIDs)-3 || !r.Complete {
			t.Errorf("%+v", r)
		}
		s.wake(sets)
		s.eventually("those that were woken are stopped", func() bool { return len(h.TIDs()) == 3+len(sems) })
		if r := h.Report(); r.BestEffort != 3+len(sems) {
			t.Errorf("%d were interrupted, the report says %d", 3+len(sems), r.BestEffort)
		}
		s.resume(h)
		s.eventually("all go on, once", func() bool {
			for tid, n := range c.read() {
				was := before[tid]
				if slices.Contains(sems, tid) && n.Early != was.Early+1 {
					return false
				}
			}
			return true
		})
	}
	s.end()
	if a := s.account(); a.EINTR != 0 {
		t.Errorf("%d EINTR", a.EINTR)
	}
}

// SIGSTOP before an arrest, and in the middle of a hold: nobody runs, and all are
// stopped until SIGCONT. Who was woken goes on then.
func TestStoppedInNotify(t *testing.T) {
	needNotify(t)
	s := newScene(t, target.Spec{Sem: 20, Spin: 1, Sys: 1}, attacher.Options{})
	c, sems, sets := s.counters(), s.kinds()[target.KindSem], s.account().SysV.Sem
	for i := range size(6, 100) {
		if i%2 == 0 {
			s.kill(syscall.SIGSTOP)
			s.listen()
		}
		h := s.arrest(stopper.Request{Style: stopper.Notify})
		before := c.read()
		if i%2 == 1 {
			s.kill(syscall.SIGSTOP)
		}
		s.wake(sets)
		time.Sleep(2 * time.Millisecond)
		c.same(before)
		s.resume(h)
		s.listen()
		if i%2 == 0 { // else SIGSTOP begins to act at the resume
			c.same(before)
		}
		s.kill(syscall.SIGCONT)
		s.eventually("all go on", func() bool {
			for tid, n := range c.read() {
				if slices.Contains(sems, tid) && n.Early+n.EINTR == before[tid].Early+before[tid].EINTR {
					return false
				}
			}
			return true
		})
		s.asleep(sems)
	}
	s.end()
}

// An exec that is under way in the kernel goes on there, and the new program does not
// begin before the resume.
func TestExecInNotifyHold(t *testing.T) {
	needNotify(t)
	under := 0
	for i := range size(8, 100) {
		s := newScene(t, target.Spec{Epoll: 100, Futex: 100}, attacher.Options{})
		made := filepath.Join(t.TempDir(), "made")
		tid := s.kinds()[target.KindEpoll][10]
		execed := make(chan error, 1)
		go func() {
			execed <- s.target.Exec(t.Context(), target.Exec{TID: tid, Argv: []string{"/bin/mkdir", made}})
		}()
		time.Sleep(time.Duration(i%8) * 200 * time.Microsecond)
		h, err := s.stopper.Arrest(t.Context(), stopper.Request{Style: stopper.Notify})
		if err != nil {
			if !errors.Is(err, attacher.ErrGone) {
				t.Error(err)
			}
			s.target.Close()
			continue
		}
		all := len(s.states()) // first: where it is more than one the new program has not begun
		_, before := os.Stat(made)
		time.Sleep(20 * time.Millisecond)
		if _, after := os.Stat(made); all > 1 && (before == nil) != (after == nil) {
			t.Error("the new program has run while it was held")
		}
		if before != nil && all > 1 && len(s.states()) == 1 {
			under++
		}
		s.resume(h)
		s.eventually("the new program runs", func() bool { _, err := os.Stat(made); return err == nil })
		<-execed
		s.target.Close()
	}
	t.Logf("an exec was finished in a hold %d times", under)
}

// A context that ends in the middle of a hold lets everybody go: who is woken then is
// not stopped, and the next arrest works.
func TestContextEndsInNotifyHold(t *testing.T) {
	needNotify(t)
	s := newScene(t, target.Spec{Sem: 20, Spin: 1, Epoll: 20}, attacher.Options{})
	sets := s.account().SysV.Sem
	for i := range size(5, 100) {
		ctx, cancel := context.WithCancel(t.Context())
		h, err := s.stopper.Arrest(ctx, stopper.Request{Style: stopper.Notify})
		must(t, err)
		if i%2 == 1 {
			s.wake(sets)
		}
		cancel()
		if i%2 == 0 {
			s.eventually("nobody is held", func() bool { return len(h.TIDs())+len(h.InKernel()) == 0 })
			s.wake(sets)
		}
		s.eventually("all go on", func() bool { return s.account().Early == int64(20*(i+1)) })
		s.runs()
		s.resume(h) // it is over
		if len(h.TIDs())+len(h.InKernel()) != 0 {
			t.Error("somebody is held after the resume")
		}
	}
	s.end()
	if a := s.account(); a.EINTR != 0 {
		t.Errorf("%d EINTR", a.EINTR)
	}
}

// A thread that is on a CPU in the kernel for long is pending until it has left it,
// or the CPU. When the time is over meanwhile nobody is left armed or stopped.
func TestDeadlineInNotify(t *testing.T) {
	needNotify(t)
	s := newScene(t, target.Spec{}, attacher.Options{})
	// A read of 64 MiB of random bytes takes its time.
	err := s.target.Exec(t.Context(), target.Exec{Argv: []string{"/bin/dd", "if=/dev/urandom", "of=/dev/null", "bs=64M"}})
	if err != nil && !errors.Is(err, target.ErrGone) { // it closes the output of the target
		t.Fatal(err)
	}
	pid := s.target.PID()
	s.eventually("it is another program", func() bool { return s.states()[pid].Name == "dd" })
	s.eventually("an arrest takes too long", func() bool {
		h, err := s.stopper.Arrest(t.Context(), stopper.Request{Style: stopper.Notify, Within: time.Millisecond})
		if err == nil {
			s.resume(h)
			return false
		}
		var partial *stopper.PartialError
		if !errors.As(err, &partial) || partial.Requested != 1 {
			t.Fatal(err)
		}
		if n := len(partial.Missing); n > 1 || n == 1 && partial.Missing[0].TID != pid {
			t.Errorf("missing: %v", partial.Missing)
		}
		return true
	})
	before := s.states()[pid]
	s.eventually("it goes on, and never stops", func() bool {
		now := s.states()[pid]
		if now.State == 't' {
			t.Fatal("it has stopped after the deadline")
		}
		return now.VoluntarySwitches+now.NonvoluntarySwitches > before.VoluntarySwitches+before.NonvoluntarySwitches+5
	})
	s.resume(s.arrest(stopper.Request{Style: stopper.Notify}))
	s.end()
}
