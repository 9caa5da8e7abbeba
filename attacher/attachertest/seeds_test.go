package attachertest_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"massattach/attacher"
	"massattach/attacher/attachertest"
)

// scheduler owns the order of all that happens: one call at a time passes the
// gate, one thread at a time runs, and which is drawn from a seed.
type scheduler struct {
	m   *attachertest.Machine
	rng *rand.Rand

	mu      sync.Mutex
	waiting []waiter
	trace   []string
}

type waiter struct {
	tracer, tid int
	op          string
	pass        chan struct{}
}

func (s *scheduler) gate(tracer int, op string, tid int) {
	w := waiter{tracer, tid, op, make(chan struct{})}
	s.mu.Lock()
	s.waiting = append(s.waiting, w)
	s.mu.Unlock()
	<-w.pass
}

// step does one thing, when all that runs has come to a rest. It says whether
// there was anything to do.
func (s *scheduler) step() bool {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.SortStableFunc(s.waiting, func(a, b waiter) int {
		return strings.Compare(a.String(), b.String())
	})
	var ready []int
	for i, w := range s.waiting {
		if w.op != "sleep" || s.m.Awake(w.tracer) {
			ready = append(ready, i)
		}
	}
	run := s.m.Runnable()
	if len(ready)+len(run) == 0 {
		return false
	}
	n := s.rng.IntN(len(ready) + len(run))
	if n < len(run) {
		s.trace = append(s.trace, fmt.Sprintf("run %d", run[n]))
		s.m.Run(run[n])
		return true
	}
	i := ready[n-len(run)]
	w := s.waiting[i]
	s.waiting = slices.Delete(s.waiting, i, i+1)
	s.trace = append(s.trace, w.String())
	close(w.pass)
	return true
}

func (w waiter) String() string { return fmt.Sprintf("%d: %s %d", w.tracer, w.op, w.tid) }

// simulate attaches to a process that is signalled, stopped, continued and
// made to give birth and die meanwhile, and answers the trace of it.
func simulate(t *testing.T, seed uint64) (trace []string) {
	synctest.Test(t, func(t *testing.T) {
		m := attachertest.New(100, 12)
		m.Manual, m.ChunkSize = true, 5
		m.Handle(syscall.SIGUSR1, attachertest.Handler)
		s := &scheduler{m: m, rng: rand.New(rand.NewPCG(seed, 1))}
		m.Gate = s.gate
		var session *attacher.Session
		var err error
		done := make(chan struct{})
		go func() {
			defer close(done)
			session, err = attacher.Attach(context.Background(), 100, &attacher.Options{Kernel: m, Proc: m, Follow: attacher.FollowNone})
			if err == nil {
				time.Sleep(50 * time.Millisecond)
				err = session.Close()
			}
		}()
		disturb := []func(){
			func() { m.Queue(100+s.rng.IntN(12), syscall.SIGUSR1, 1) },
			func() { m.Signal(100+s.rng.IntN(12), syscall.SIGCHLD) },
			func() { m.Kill(100, syscall.SIGSTOP) },
			func() { m.Kill(100, syscall.SIGCONT) },
			func() { m.Spawn(0) },
			func() { m.Exit(101+s.rng.IntN(11), 0) },
		}
		for i := 0; ; i++ {
			synctest.Wait()
			select {
			case <-done:
			default:
				if i < 600 && s.rng.IntN(8) == 0 {
					n := s.rng.IntN(len(disturb))
					s.trace = append(s.trace, fmt.Sprintf("disturb %d", n))
					disturb[n]()
				}
				if i == 600 {
					m.Kill(100, syscall.SIGCONT) // let it come to an end
				}
				if !s.step() {
					time.Sleep(100 * time.Microsecond) // timers
				}
				if i > 200_000 {
					t.Fatalf("seed %d does not end:\n%s", seed, strings.Join(s.trace[len(s.trace)-40:], "\n"))
				}
				continue
			}
			break
		}
		for s.step() {
		}
		if err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		if err := m.Quiet(); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		trace = s.trace
	})
	return trace
}

// The same seed gives the same trace: nothing but the scheduler decides.
func TestSeeds(t *testing.T) {
	for seed := range uint64(20) {
		a, b := simulate(t, seed), simulate(t, seed)
		if !slices.Equal(a, b) {
			i := 0
			for i < min(len(a), len(b)) && a[i] == b[i] {
				i++
			}
			t.Fatalf("seed %d: traces of %d and %d steps part at %d: %q %q", seed, len(a), len(b), i, a[i:min(i+3, len(a))], b[i:min(i+3, len(b))])
		}
	}
}
