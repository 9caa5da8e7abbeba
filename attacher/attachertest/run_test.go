package attachertest_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"massattach/attacher/attachertest"
)

// simulation is one run: a machine, a program that attaches to the process on
// it, and all that happens to the two, drawn from a seed.
type simulation struct {
	scheduler
	seed    uint64
	plan    plan
	signals uint64
	foreign []int       // tools of others
	killed  atomic.Bool // the tool was, in this visit
	execs   atomic.Bool // it may be in exec
	dying   atomic.Bool // something has happened that ends the process
	early   atomic.Bool // the leader has not been seized in it, nor anybody by a tool
	before  []int       // the threads that there were at its beginning

	stuck atomic.Pointer[[]int] // the threads in D when there was nothing to do last

	failing sync.Mutex
	faults  *rand.Rand
	failure string
	broken  bool  // a tracer was, or couldn't know what to do
	left    int   // EINTRs that were left, as the reports of the sessions that are over say
	host    *host // of the session that isn't
}

// The bounds of a run: so many steps in all and after the last trouble, and so
// long until it has come to a rest, or is said to hang.
const (
	maxSteps = 200_000
	maxCalm  = 40_000
	patience = 4 * time.Millisecond // of a tracer that is to end, with signals that come without end
	restless = 60 * time.Second
)

func newSimulation(seed uint64) *simulation {
	s := &simulation{seed: seed}
	s.rng = rand.New(rand.NewPCG(seed, 1))
	s.plan = drawPlan(s.rng)
	s.sticky = one(s.rng, 0, 0, 0.3, 0.8)
	s.starve = one(s.rng, 0, 0, 0.003, 0.02)
	s.tick = one(s.rng, 0, 0.02, 0.2)
	s.jump = one(s.rng, 200*time.Microsecond, 200*time.Microsecond, 200*time.Microsecond, 20*time.Millisecond)
	s.faults = rand.New(rand.NewPCG(seed, 4))
	s.starved = make(map[int]int)
	s.arrived = make(chan struct{}, 1)
	s.m = s.machine()
	return s
}

// machine is the target, as the plan wants it.
func (s *simulation) machine() *attachertest.Machine {
	p := &s.plan
	m := attachertest.New(100, p.threads)
	s.m = m
	m.LogSize, m.ChunkSize, m.Unfit, m.Unlocked = p.log, p.chunk, p.unfit, !p.locked
	s.handlers()
	m.SetParent(attachertest.Parent{Waits: true, Ours: p.ownChild})
	for _, tid := range m.Threads() {
		if chance(s.rng, p.spinning) {
			m.Spin(tid)
		} else {
			m.Set(tid, one(s.rng, p.calls...))
		}
	}
	m.Manual, m.Gate = true, s.gate
	m.Before = s.call
	return m
}

// errBroken is what reads of /proc fail with.
var errBroken error = syscall.EMFILE

// call answers in the kernel's stead what it could have said.
func (s *simulation) call(op string, tid int) error {
	switch op {
	case "seize":
		if s.plan.refused[tid] {
			return syscall.EPERM
		}
		if tid == 100 {
			s.leaderLast()
		}
	case "list", "status", "facts", "lastpid", "threads", "select":
		if s.breaks(s.plan.broken) {
			s.noteBroken() // who can't read what a signal does has to guess
			return errBroken
		}
	case "timeout", "memory":
		if s.plan.broken > 0 && s.breaks(0.2) {
			return syscall.EFAULT
		}
	}
	return nil
}

// breaks draws for the callers, of whom there may be several.
func (s *simulation) breaks(p float64) bool {
	if p == 0 {
		return false
	}
	s.failing.Lock()
	defer s.failing.Unlock()
	return chance(s.faults, p)
}

// run goes from the first visit to the last.
func (s *simulation) run() {
	for i := range s.plan.visits {
		s.visit(&s.plan.visits[i])
		if s.failed() {
			return
		}
	}
	s.after()
}

// course is how far a visit has come.
type course struct {
	v      *visit
	h      *host
	begin  int       // the step
	budget int       // troubles still to come
	calm   time.Time // since when there are none, zero before
	calmed int       // the step
}

// visit is one session.
func (s *simulation) visit(v *visit) {
	if s.killed.Swap(false) {
		s.m.NewTool()
	}
	s.early.Store(len(s.foreign) == 0)
	s.before = s.m.Threads()
	c := &course{v: v, h: newHost(s, v), begin: s.steps, budget: v.budget}
	if s.jump > time.Millisecond {
		// Tracers may lose their patience with threads that are so slow, and
		// a list that takes so long is read less often.
		s.noteBroken()
		v.rest = 12 * time.Second
	}
	s.host = c.h
	go c.h.run()
	for s.settle(); !s.failed(); s.settle() {
		select {
		case <-c.h.done:
			s.verdict(c.h)
			return
		default:
		}
		if c.h.closesFor() > patience {
			s.noteBroken()
		}
		s.check()
		s.disturb(c)
		if s.tick > 0 && chance(s.rng, s.tick) {
			s.pass(1 + time.Duration(s.rng.Int64N(int64(s.jump))))
			s.settle()
		}
		if !s.step() {
			s.idle(c)
		}
		s.bound(c)
	}
	s.abort(c.h)
}

// disturb does what is to be done at this step.
func (s *simulation) disturb(c *course) {
	switch s.steps - c.begin + 1 { // never 0
	case c.v.cancelAt:
		c.h.cancel()
	case c.v.closeAt:
		s.note(0, "close", 0)
		go c.h.close()
		c.h.calmDown()
	case c.v.killAt:
		s.note(0, "kill-tool", 0)
		s.killed.Store(true)
		s.noteBroken()
		s.m.KillTool()
		if o := c.h.holder; o != nil {
			o.die()
		}
	}
	switch {
	case c.budget > 0 && chance(s.rng, c.v.often):
		c.budget--
		s.trouble(c.v)
	case c.budget == 0 && c.calm.IsZero():
		s.calm(c.v)
		c.h.calmDown()
		c.calm, c.calmed = time.Now(), s.steps
	}
}

// idle lets time pass, for there is nothing to do.
func (s *simulation) idle(c *course) {
	s.stuck.Store(new(s.inDisk()))
	s.pass(100 * time.Millisecond)
	if c.budget > 0 {
		c.budget-- // a target that is asleep, or gone, must not last for ever
		s.trouble(c.v)
	}
	if c.calm.IsZero() {
		return
	}
	if !c.v.slow || c.h.attached() == nil {
		s.endDisk()
	}
	if c.h.resting() > c.v.rest {
		s.rested(c.h)
		c.h.finishNow()
	}
}

// bound fails when it goes on for too long.
func (s *simulation) bound(c *course) {
	switch calm := !c.calm.IsZero(); {
	case s.steps-c.begin > maxSteps, calm && s.steps-c.calmed > maxCalm:
		s.fail("it does not end: %s", c.h.what())
	case calm && time.Since(c.calm) > restless:
		s.fail("it hangs: %s", c.h.what())
	}
}

// after looks at what is left when all sessions are over.
func (s *simulation) after() {
	defer func() {
		if s.failed() {
			s.failure += "\n" + s.situation()
		}
	}()
	s.drain()
	if err := s.m.Quiet(); err != nil {
		s.judge(err, "afterwards")
		return
	}
	s.m.Kill(100, syscall.SIGCONT)
	s.drain()
	if err := s.m.Quiet(); err != nil {
		s.judge(err, "after SIGCONT")
	}
}

// drain lets the threads of the target run until they have nothing to do.
func (s *simulation) drain() {
	s.endTools(len(s.foreign))
	for range maxSteps {
		s.settle()
		if !s.step() {
			return
		}
	}
	s.fail("the target does not come to a rest")
}

// fail notes the first thing that is wrong.
func (s *simulation) fail(format string, args ...any) {
	s.failing.Lock()
	defer s.failing.Unlock()
	if s.failure == "" {
		s.failure = fmt.Sprintf(format, args...)
	}
}

func (s *simulation) failed() bool {
	s.failing.Lock()
	defer s.failing.Unlock()
	return s.failure != ""
}

// noteBroken says that a tracer panics, is killed, or can't know what to do: it
// leaves threads that it has woken to themselves.
func (s *simulation) noteBroken() {
	s.failing.Lock()
	defer s.failing.Unlock()
	s.broken = true
}

func (s *simulation) isBroken() bool {
	s.failing.Lock()
	defer s.failing.Unlock()
	return s.broken
}

// abort ends a run that has failed, whatever state it is in.
func (s *simulation) abort(h *host) {
	s.failure += "\n" + s.situation()
	s.killed.Store(true)
	s.m.KillTool()
	s.openGate()
	h.cancel()
	h.calmDown()
	h.finishNow()
	<-h.done
}

// situation says who waits for what, and what happened last.
func (s *simulation) situation() string {
	var b strings.Builder
	b.WriteString("the last steps:")
	for i, t := range s.trace[max(0, len(s.trace)-*lastSteps):] {
		if i%6 == 0 {
			b.WriteString("\n   ")
		}
		fmt.Fprintf(&b, " %v;", t)
	}
	b.WriteString("\nat the gate:\n")
	s.mu.Lock()
	for _, w := range s.waiting {
		fmt.Fprintf(&b, "    %d: %s %d\n", w.tracer, w.op, w.tid)
	}
	s.mu.Unlock()
	b.WriteString(s.m.String())
	return b.String()
}
