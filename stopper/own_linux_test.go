package stopper_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"massattach/attacher"
	"massattach/internal/target"
	"massattach/procfs"
	"massattach/stopper"
)

// candidates are the signals of which notify style sends one.
var candidates = []syscall.Signal{syscall.SIGURG, syscall.SIGWINCH, syscall.SIGCHLD}

// handlers are the sets of them that have a handler.
func handlers() (all [][]syscall.Signal) {
	for _, set := range append(subsets(len(candidates)), nil) {
		var signals []syscall.Signal
		for _, i := range set {
			signals = append(signals, candidates[i])
		}
		all = append(all, signals)
	}
	return all
}

// handling is that the target has handlers for those.
func handling(signals []syscall.Signal) map[int]target.Disposition {
	m := make(map[int]target.Disposition)
	for _, sig := range signals {
		m[int(sig)] = target.SigHandleRestart
	}
	return m
}

// underTest are the threads of the target but for those by which it answers.
func (s *scene) underTest() procfs.Selection {
	var sel procfs.Selection
	for kind, tids := range s.kinds() {
		if kind != "runtime" {
			sel.TIDs = append(sel.TIDs, tids...)
		}
	}
	return sel
}

// Cases 72, 73: during a hold each of the signals of which one is ours is sent once to
// a thread that has stopped, and to one that sleeps in the kernel, and to the process.
// Each runs its handler, if there is one, once, and after the hold.
func TestOwnSignalsInNotifyHold(t *testing.T) {
	needNotify(t)
	for _, handled := range handlers() {
		t.Run(fmt.Sprint(handled), func(t *testing.T) {
			s := newScene(t, target.Spec{Futex: 5, Sem: 5, Epoll: 5, Sys: 1, Spin: 1, Signals: handling(handled)}, attacher.Options{})
			sel, sems := s.underTest(), s.kinds()[target.KindSem]
			c := s.counters()
			sent := make(map[int]int64)
			for round := range size(3, 100) {
				h := s.arrest(stopper.Request{Style: stopper.Notify, Selection: sel})
				if round%3 == 2 {
					s.wake(s.account().SysV.Sem) // those that sleep in semop have stopped, too
				}
				before := c.read()
				for _, sig := range candidates {
					for _, tid := range sel.TIDs {
						must(t, unix.Tgkill(s.target.PID(), tid, sig))
					}
					if round%3 == 1 && slices.Contains(handled, sig) {
						s.kill(sig)
						sent[int(sig)]++
					}
					sent[int(sig)] += int64(len(sel.TIDs))
				}
				time.Sleep(2 * time.Millisecond)
				c.same(before)
				s.resume(h)
				s.eventually("the handlers run, and nothing is left pending", func() bool {
					a := s.account()
					for _, sig := range handled {
						if a.Runs[int(sig)] < sent[int(sig)] {
							return false
						}
					}
					return s.pending(sel.TIDs) == 0
				})
				s.asleep(sems)
			}
			s.end()
			a := s.account()
			for _, sig := range candidates {
				want := sent[int(sig)]
				if !slices.Contains(handled, sig) {
					want = 0
				}
				if got := a.Runs[int(sig)]; got != want {
					t.Errorf("%v: %d handlers ran, of %d sent", sig, got, want)
				}
			}
			if len(handled) == 0 && a.EINTR != 0 {
				t.Errorf("%d EINTR of signals that are ignored", a.EINTR)
			}
		})
	}
}

// Cases 72, 73: they are sent without pause while arrests come and go. Each handler
// runs once for every signal that was sent when none of its number was pending, which
// is so when the handler has run for the one before.
func TestOwnSignalsAtFullRate(t *testing.T) {
	needNotify(t)
	for _, handled := range handlers() {
		t.Run(fmt.Sprint(handled), func(t *testing.T) {
			s := newScene(t, target.Spec{Futex: 5, Sem: 5, Epoll: 5, Sys: 1, Spin: 1, Signals: handling(handled)}, attacher.Options{})
			sel := s.underTest()
			var over atomic.Bool
			var senders sync.WaitGroup
			sent := make([]atomic.Int64, len(candidates))
			for i, sig := range candidates {
				senders.Go(func() {
					handled := slices.Contains(handled, sig)
					for n := 0; !over.Load(); n++ {
						// One to the process that is ignored may wake a thread, and be
						// taken by another: nothing is there to repair it by.
						err := error(nil)
						if n %= len(sel.TIDs) + 1; n == len(sel.TIDs) && handled {
							err = unix.Kill(s.target.PID(), sig)
						} else {
							err = unix.Tgkill(s.target.PID(), sel.TIDs[n%len(sel.TIDs)], sig)
						}
						if err != nil {
							t.Error(err)
							return
						}
						sent[i].Add(1)
						for end := time.Now().Add(time.Minute); ; {
							time.Sleep(50 * time.Microsecond)
							if !handled {
								break
							}
							if a, err := s.target.Account(t.Context()); err != nil || a.Runs[int(sig)] >= sent[i].Load() {
								break
							}
							if time.Now().After(end) {
								t.Errorf("%v number %d is lost", sig, sent[i].Load())
								return
							}
						}
					}
				})
			}
			// Where others are busy a handler may run only after some arrests.
			few := func() bool { return slices.ContainsFunc(loaded(sent), func(n int64) bool { return n < 10 }) }
			end := time.Now().Add(time.Minute)
			for round := 0; round < size(30, 1000) || few() && time.Now().Before(end); round++ {
				h := s.arrest(stopper.Request{Style: stopper.Notify, Selection: sel})
				time.Sleep(time.Millisecond)
				s.resume(h)
				time.Sleep(2 * time.Millisecond)
			}
			over.Store(true)
			senders.Wait()
			s.eventually("nothing is left pending", func() bool { return s.pending(sel.TIDs) == 0 })
			s.end()
			a := s.account()
			sums := loaded(sent)
			for i, sig := range candidates {
				switch got := a.Runs[int(sig)]; {
				case !slices.Contains(handled, sig) && got != 0, slices.Contains(handled, sig) && got != sums[i], sums[i] < 10:
					t.Errorf("%v: %d handlers ran, of %d sent", sig, got, sums[i])
				}
			}
			if len(handled) == 0 && a.EINTR != 0 {
				t.Errorf("%d EINTR of signals that are ignored", a.EINTR)
			}
			t.Logf("sent %d, handlers ran %v", sums, a.Runs)
		})
	}
}

func loaded(all []atomic.Int64) []int64 {
	n := make([]int64, len(all))
	for i := range all {
		n[i] = all[i].Load()
	}
	return n
}

// Signals of which many merge, as they do untraced: no handler runs more often than
// its signal was sent, and each after the last.
func TestOwnSignalsMerge(t *testing.T) {
	needNotify(t)
	s := newScene(t, target.Spec{Futex: 5, Sem: 5, Sys: 1, Spin: 1, Signals: handling(candidates)}, attacher.Options{})
	sel, c := s.underTest(), s.counters()
	delete(c.at, s.target.PID()) // its handlers run on another stack, and are not counted
	var over atomic.Bool
	var senders sync.WaitGroup
	var sent [3]atomic.Int64
	send := func(i, tid int) {
		_ = unix.Tgkill(s.target.PID(), tid, candidates[i])
		sent[i].Add(1)
	}
	for i := range candidates {
		senders.Go(func() {
			for n := 0; !over.Load(); n++ {
				send(i, sel.TIDs[n%len(sel.TIDs)])
			}
		})
	}
	for range size(10, 500) {
		s.resume(s.arrest(stopper.Request{Style: stopper.Notify, Selection: sel}))
	}
	h := s.arrest(stopper.Request{Style: stopper.Notify, Selection: sel})
	over.Store(true)
	senders.Wait()
	before := c.read()
	for tid := range before {
		for i := range candidates {
			send(i, tid)
		}
	}
	s.resume(h)
	for tid, n := range before {
		s.eventually("a handler runs for each", func() bool { return c.read()[tid].Handled >= n.Handled+3 })
	}
	s.eventually("nothing is left pending", func() bool { return s.pending(sel.TIDs) == 0 })
	s.end()
	a := s.account()
	for i, sig := range candidates {
		if got, most := a.Runs[int(sig)], sent[i].Load(); got > most || got < 20 {
			t.Errorf("%v: %d handlers ran, of %d sent", sig, got, most)
		}
	}
}

// pending is how many of some threads have one of the candidates pending.
func (s *scene) pending(tids []int) (n int) {
	states := s.states()
	for _, tid := range tids {
		for _, sig := range candidates {
			if (states[tid].SigPnd|states[tid].ShdPnd)>>(sig-1)&1 != 0 {
				n++
			}
		}
	}
	return n
}
