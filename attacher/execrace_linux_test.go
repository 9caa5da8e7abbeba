package attacher_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"massattach/attacher"
	"massattach/internal/target"
	"massattach/threadset"
)

// hooked is Linux, with something done before each SEIZE.
type hooked struct {
	attacher.Kernel
	before func(tid int)
}

func (k hooked) Tracer() (attacher.Tracer, error) {
	t, err := k.Kernel.Tracer()
	if err != nil {
		return nil, err
	}
	return hookedTracer{t, k.before}, nil
}

type hookedTracer struct {
	attacher.Tracer
	before func(tid int)
}

func (t hookedTracer) Seize(tid, options int) error {
	t.before(tid)
	return t.Tracer.Seize(tid, options)
}

// Case 41 and 66: a thread execs when the attach has come to one of the
// others, whoever that is. A tracer that sleeps in SEIZE until the exec is over
// can't reap its tracees, whose deaths the exec waits for.
func TestExecDuringAttach(t *testing.T) {
	for _, procs := range []int{1, 2} {
		t.Run("GOMAXPROCS="+itoa(procs), func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
			random := rand.New(rand.NewPCG(66, uint64(procs)))
			p := start(t, target.Spec{Futex: size(2_000, 6_000)})
			for i := range size(3, 500) {
				execDuringAttach(t, p, i%2 == 1, random)
				if t.Failed() {
					t.Fatalf("in round %d", i)
				}
			}
		})
	}
}

func execDuringAttach(t *testing.T, p *target.Target, leader bool, random *rand.Rand) {
	// The SEIZE before which it happens, and how far the exec is when that
	// goes on.
	at, nap := int64(1+random.IntN(p.Threads())), time.Duration(random.IntN(4))*time.Millisecond
	tid := p.PID()
	if !leader {
		tid = oneOf(t, p, target.KindFutex, random.IntN(p.Threads()))
	}
	var seizes atomic.Int64
	execed := make(chan error, 1)
	kernel := hooked{attacher.Linux, func(int) {
		if seizes.Add(1) == at {
			go func() { execed <- execIn(context.Background(), p, target.Exec{TID: tid}) }()
			time.Sleep(nap)
		}
	}}
	what := fmt.Sprintf(" with exec (leader: %v) at SEIZE %d + %v", leader, at, nap)
	var s *attacher.Session
	inTime(t, p, "attach"+what, func() (err error) {
		s, err = attacher.Attach(t.Context(), p.PID(), &attacher.Options{Kernel: kernel})
		return err
	})
	defer s.Close()
	if seizes.Load() < at {
		t.Fatalf("%d SEIZEs, and no exec%s", seizes.Load(), what)
	}
	inTime(t, p, "exec"+what, func() error { return <-execed })
	undisturbed(t, p)
	allTraced(t, p)
	alone(t, s, p)
	if r := s.Report(); r.Events.Execs > 1 || r.Ended {
		t.Errorf("%+v%s", r, what)
	}
	inTime(t, p, "detach"+what, s.Close)
	detach(t, s)
	free(t, p.PID())
}

// Exec while the newborn are being seized, and while others end.
func TestExecDuringFollow(t *testing.T) {
	for _, follow := range following {
		t.Run(follow.String(), func(t *testing.T) {
			p := start(t, target.Spec{Futex: 200, Churn: 2,
				Births: target.Births{Rate: 300, Life: 100 * time.Millisecond}})
			s := attach(t, p.PID(), &attacher.Options{Follow: follow, Settle: -1})
			rounds := size(10, 500)
			for i := range rounds {
				tid := p.PID()
				if i%3 > 0 {
					tid = oneOf(t, p, target.KindFutex, i)
				}
				inTime(t, p, "the exec", func() error { return execIn(t.Context(), p, target.Exec{TID: tid}) })
				// At any point of the new image's growth.
				time.Sleep(time.Duration(i*7%50) * time.Millisecond)
			}
			eventually(t, "all that don't end are traced", func() bool {
				all, err := p.List(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				traced := make(map[int]bool)
				for th := range s.Threads() {
					traced[th.TID] = th.Phase == threadset.Running
				}
				for _, tid := range all[target.KindFutex] {
					if !traced[tid] {
						return false
					}
				}
				return traced[p.PID()]
			})
			undisturbed(t, p)
			// Who is not traced yet execs without our hearing of it.
			if r := detach(t, s); r.Events.Execs < 1 || r.Events.Execs > rounds {
				t.Errorf("%d execs reported of %d", r.Events.Execs, rounds)
			}
			free(t, p.PID())
		})
	}
}
