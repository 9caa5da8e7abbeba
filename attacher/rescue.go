package attacher

import (
	"context"
	"sync"
	"time"
)

// While the target execs, the thread that does waits until each other one is
// dead and reaped (fs/exec.c, de_thread), and holds cred_guard_mutex, in which
// a SEIZE of any thread of the process sleeps; no signal gets it out. A tracer
// that sleeps there can't reap those of its tracees that the exec has killed:
// it waits for the exec, and the exec for it. So somebody who seizes nobody
// watches over those who do, and reaps for one that does not come out.
//
// That is all that can be done for another tracer's tracee. So no tracee is
// seized with PTRACE_O_TRACEEXIT: those that the exec kills would stop on their
// way out, and only their own tracer could let them go on.

// stuckAfter is how long a SEIZE lasts before its tracer is helped.
const stuckAfter = 5 * time.Millisecond

// lifeguard watches over the session's tracers while they seize, until done is
// closed, which comes after their end.
func (s *Session) lifeguard(done <-chan struct{}) {
	var calls sync.WaitGroup
	defer calls.Wait()
	for {
		select {
		case <-done:
			return
		case <-s.seating:
		}
		last := make(map[*tracer]uint32)
		for s.isSeating() {
			select {
			case <-done:
				return
			case <-time.After(stuckAfter):
			}
			for _, t := range s.crew() {
				n := t.seizing.Load()
				if inside := n%2 == 1; inside && last[t] == n {
					t.reapDead(&calls)
				}
				last[t] = n
			}
		}
	}
}

// isSeating says whether a tracer has threads to seize.
func (s *Session) isSeating() bool {
	for _, t := range s.crew() {
		if t.batches.Load() > 0 && !t.isGone() {
			return true
		}
	}
	return false
}

// reapDead reaps the exits of a tracer's tracees on its behalf, and leaves it
// word of them.
func (t *tracer) reapDead(calls *sync.WaitGroup) {
	var dead []Stop
	t.s.burying.Add(1) // until the tracer has buried them
	reap := func(tid int) {
		if t.s.ownChild && tid == t.s.pid {
			return // the exit of our own child is its parent's: see ended
		}
		if ws, err := t.s.kernel.ReapExit(tid); err == nil && ws.TID != 0 {
			dead = append(dead, t.decode(ws))
		}
	}
	for th := range t.shard.All() {
		if th.Phase.Alive() { // what it has seized of its present batch is still Found
			reap(th.TID)
		}
	}
	if len(dead) == 0 && t.s.options.Follow == FollowClone {
		// Of those that were born to it there may be no record yet.
		for _, tid := range t.s.unknown() {
			if st, err := t.s.process.Status(tid); err == nil && st.TracerPid == t.k.ID() {
				reap(tid)
			}
		}
	}
	if len(dead) == 0 {
		t.s.burying.Add(-1)
		return
	}
	c := t.post(func(t *tracer) {
		t.burial(func() {
			for _, s := range dead {
				t.bury(s)
			}
		})
	})
	// It may be asleep again before it has seen this.
	calls.Go(func() {
		_ = deliver(context.Background(), []order{{t, c}})
		<-c.done
		t.s.burying.Add(-1)
		t.s.summon()
	})
}

// unknown lists the threads that no record knows, and so does not disturb the
// scanner, who may be listing.
func (s *Session) unknown() (fresh []int) {
	process, err := s.options.Proc.Open(s.pid)
	if err != nil {
		return nil
	}
	defer process.Close()
	_ = process.Chunks(func(tids []int) error {
		fresh = s.set.Fresh(tids, fresh)
		return nil
	})
	return fresh
}
