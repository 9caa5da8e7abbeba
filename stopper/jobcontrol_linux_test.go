package stopper_test

import (
	"syscall"
	"testing"
	"time"

	"massattach/attacher"
	"massattach/internal/target"
	"massattach/procfs"
	"massattach/stopper"
)

// parentSaw is what the target's parent was told.
func (s *scene) parentSaw() target.ParentAccount {
	s.t.Helper()
	a, err := s.target.ParentEvents(s.t.Context())
	must(s.t, err)
	return a
}

// listen waits until all threads are in the group-stop, as the session knows them.
func (s *scene) listen() {
	s.t.Helper()
	s.eventually("all are stopped by job control", func() bool {
		for th := range s.session.Threads() {
			if th.Phase.Seized() && !th.JobStopped {
				return false
			}
		}
		return true
	})
}

// Cases 31, 32, 35 and 71: a process that job control has stopped is arrested and
// resumed, and is stopped still; a SIGCONT, and a SIGSTOP, that comes in the middle
// acts after the resume. Its parent sees each change once.
func TestJobControlForReal(t *testing.T) {
	inStyles(t, func(t *testing.T, style stopper.Style) {
		for _, sig := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU} {
			s := newScene(t, target.Spec{Futex: 50, Spin: 1, Parent: target.ParentWatch}, attacher.Options{})
			for i := range 3 {
				s.kill(sig)
				s.listen()
				h := s.arrest(stopper.Request{Style: style})
				s.resume(h)
				s.listen() // not even for a moment has anybody run: the parent would know
				s.eventually("the parent sees it stopped", func() bool { return s.parentSaw().Stopped >= 2*i+1 })
				if a := s.parentSaw(); a.Stopped != 2*i+1 || a.Continued != 2*i {
					t.Errorf("%v: an arrest of a stopped process shows: %+v", sig, a)
				}
				h = s.arrest(stopper.Request{Style: style})
				s.kill(syscall.SIGCONT)
				s.eventually("SIGCONT has not ended the hold", func() bool {
					_, stopped := s.inStop() // in notify style each traps for it
					return stopped > 0
				})
				s.resume(h)
				before := s.account()
				s.eventually("it runs", func() bool { return s.account().Spins > before.Spins && s.parentSaw().Continued == 2*i+1 })
				h = s.arrest(stopper.Request{Style: style})
				s.kill(sig)
				time.Sleep(time.Millisecond)
				s.resume(h)
				s.listen()
				s.eventually("the parent sees it", func() bool { a := s.parentSaw(); return a.Stopped == 2*i+2 && a.Continued == 2*i+1 })
				s.kill(syscall.SIGCONT)
				s.eventually("it runs", func() bool { return s.account().Spins > before.Spins && s.parentSaw().Continued == 2*i+2 })
			}
			s.end()
			if a := s.parentSaw(); len(a.Events) != a.Stopped+a.Continued {
				t.Errorf("%v: the parent saw %+v", sig, a)
			}
			s.target.Close()
		}
	})
}

// Case 38: SIGSTOP while half of it is being arrested: one stop, and all are in it.
func TestStopWhileHalfIsArrested(t *testing.T) {
	inStyles(t, func(t *testing.T, style stopper.Style) {
		s := newScene(t, target.Spec{Futex: 100, Epoll: 100, Spin: 1, Parent: target.ParentWatch}, attacher.Options{})
		half := procfs.Selection{TIDs: s.kinds()[target.KindEpoll]}
		for i := range size(10, 100) {
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				time.Sleep(time.Duration(i%10) * 50 * time.Microsecond)
				s.kill(syscall.SIGSTOP)
			}()
			h := s.arrest(stopper.Request{Style: style, Selection: half})
			<-sent
			s.resume(h)
			s.listen()
			s.eventually("the parent sees it stopped", func() bool { return s.parentSaw().Stopped == i+1 })
			s.kill(syscall.SIGCONT)
			s.eventually("it runs", func() bool {
				for th := range s.session.Threads() {
					if th.JobStopped {
						return false
					}
				}
				return s.parentSaw().Continued == i+1
			})
		}
		s.end()
		if a := s.parentSaw(); len(a.Events) != a.Stopped+a.Continued {
			t.Errorf("the parent saw %+v", a)
		}
	})
}
