package stopper_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"massattach/attacher"
	"massattach/internal/target"
	"massattach/stopper"
)

// counters are those that threads of the target keep in its memory, to be read while
// it can't answer.
type counters struct {
	s   *scene
	mem *os.File
	at  map[int]int64
}

// count is what one thread has counted.
type count struct{ EINTR, Early, Calls, Handled uint64 }

// counters are those of the threads under test that stay.
func (s *scene) counters() *counters {
	s.t.Helper()
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", s.target.PID()))
	must(s.t, err)
	s.t.Cleanup(func() { mem.Close() })
	c := &counters{s: s, mem: mem, at: make(map[int]int64)}
	for kind, tids := range s.kinds() {
		if kind != "runtime" && kind != target.KindBirth {
			c.add(tids)
		}
	}
	return c
}

func (c *counters) add(tids []int) {
	c.s.t.Helper()
	for _, tid := range tids {
		a, err := c.s.target.Thread(c.s.t.Context(), tid)
		must(c.s.t, err)
		c.at[tid] = int64(a.Counters)
	}
}

func (c *counters) read() map[int]count {
	c.s.t.Helper()
	all := make(map[int]count)
	for tid, at := range c.at {
		var n count
		must(c.s.t, binary.Read(io.NewSectionReader(c.mem, at, 32), binary.NativeEndian, &n))
		all[tid] = n
	}
	return all
}

// same fails if any of the threads has counted since.
func (c *counters) same(was map[int]count) {
	c.s.t.Helper()
	for tid, now := range c.read() {
		if now != was[tid] {
			c.s.t.Fatalf("thread %d has run while it was arrested: %+v, before %+v", tid, now, was[tid])
		}
	}
}

// wake lets every thread that is blocked in semop return once, from outside. Who has
// come back to user mode counts it as early.
func (s *scene) wake(sets []int) {
	s.t.Helper()
	const setVal, setSize = 16, 250
	for _, id := range sets {
		for i := range uintptr(setSize) {
			if _, _, errno := unix.Syscall6(unix.SYS_SEMCTL, uintptr(id), i, setVal, 1, 0, 0); errno != 0 {
				s.t.Fatal(errno)
			}
		}
	}
}

// asleep waits until threads that do nothing but wait do so.
func (s *scene) asleep(tids []int) {
	s.t.Helper()
	s.eventually("they sleep", func() bool {
		states := s.states()
		return !slices.ContainsFunc(tids, func(tid int) bool { return states[tid].State != 'S' })
	})
}

// 1,000 threads, 16 of which spin, while others are born and end. Once the arrest is
// confirmed no instruction runs, also of those that are woken; and each of these goes
// on once.
func TestWokenWhileArrested(t *testing.T) {
	needNotify(t)
	for _, follow := range []attacher.Follow{attacher.FollowClone, attacher.FollowEvent} {
		t.Run(follow.String(), func(t *testing.T) {
			s := newScene(t, target.Spec{Total: 984, Epoll: 400, Sem: 250, Read: 50, Sys: 2, Churn: 2,
				Births: target.Births{Rate: 200, Life: 20 * time.Millisecond}}, attacher.Options{Follow: follow})
			c, sems := s.counters(), s.kinds()[target.KindSem]
			sets := s.account().SysV.Sem
			spins, err := s.target.Spawn(t.Context(), target.KindSpin, 16) // from here on the target is slow to answer
			must(t, err)
			c.add(spins)
			late, strict := 0, 0
			for i := range size(3, 300) {
				h := s.arrest(stopper.Request{Style: stopper.Notify})
				before := c.read()
				s.areHeld(h)
				s.wake(sets)
				s.eventually("who was woken has stopped", func() bool {
					held := h.TIDs()
					return !slices.ContainsFunc(sems, func(tid int) bool { _, ok := slices.BinarySearch(held, tid); return !ok })
				})
				c.same(before)
				r := h.Report()
				late += r.LateBirths
				if r.Guarantee == "strict" {
					strict++
				}
				s.resume(h)
				s.eventually("all who were woken go on", func() bool {
					a := s.account()
					return a.Kinds[target.KindSem].Early >= int64((i+1)*len(sems)) && a.Spins > 0
				})
				for tid, now := range c.read() {
					want := before[tid].Early
					if slices.Contains(sems, tid) {
						want++
					}
					if now.Early != want || now.EINTR != 0 {
						t.Fatalf("round %d: thread %d: %+v, before the hold %+v", i, tid, now, before[tid])
					}
				}
			}
			last := s.account()
			s.eventually("the others go on", func() bool {
				now := s.account()
				return now.Spins > last.Spins && now.Calls > last.Calls && now.Born > last.Born
			})
			s.end()
			if a := s.account(); a.EINTR != 0 {
				t.Errorf("%d EINTR: %+v", a.EINTR, a.Kinds)
			}
			t.Logf("%d late births, strict %d times", late, strict)
		})
	}
}
