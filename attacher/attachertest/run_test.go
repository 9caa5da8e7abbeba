package attachertest_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
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
	foreign []int // tools of others
	killed  bool  // the tool was, in this visit

	failing sync.Mutex
	failure string
	broken  bool // a tracer has panicked, or was killed
	left    int  // EINTRs that were left, as the reports say
}

// The bounds of a run: so many steps in all and after the last trouble, and so
// long until it has come to a rest, or is said to hang.
const (
	maxSteps = 200_000
	maxCalm  = 40_000
	restless = 30 * time.Second
	rest     = 3 * time.Second
)

func newSimulation(seed uint64) *simulation {
	s := &simulation{seed: seed}
	s.rng = rand.New(rand.NewPCG(seed, 1))
	s.plan = drawPlan(s.rng)
	s.sticky = one(s.rng, 0, 0, 0.3, 0.8)
	s.starve = one(s.rng, 0, 0, 0.003, 0.02)
	s.tick = one(s.rng, 0, 0.02, 0.2)
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
	m.ChunkSize, m.Unfit, m.Unlocked = p.chunk, p.unfit, !p.locked
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
	m.Before = s.before
	return m
}

// errBroken is what reads of /proc fail with.
var errBroken error = syscall.EMFILE

// before answers in the kernel's stead what it could have said.
func (s *simulation) before(op string, tid int) error {
	switch op {
	case "seize":
		if s.plan.refused[tid] {
			return syscall.EPERM
		}
	case "list", "status", "facts", "lastpid", "threads", "select":
		if s.plan.broken > 0 && chance(s.rng, s.plan.broken) {
			return errBroken
		}
	case "timeout", "memory":
		if s.plan.broken > 0 && chance(s.rng, 0.2) {
			return syscall.EFAULT
		}
	}
	return nil
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

// visit is one session.
func (s *simulation) visit(v *visit) {
	if s.killed {
		s.m.NewTool()
	}
	s.killed = false
	h := newHost(s, v)
	if h.arbiter != nil {
		h.arbiter.sim = s
	}
	go h.run()
	defer func() {
		if s.failed() {
			s.abort(h)
		}
	}()
	var (
		begin, calmStep = s.steps, 0
		calm            time.Time // since when
		idle            time.Duration
		budget          = v.budget
	)
	for {
		s.settle()
		if s.failed() {
			return
		}
		select {
		case <-h.done:
			s.verdict(h)
			return
		default:
		}
		switch s.steps - begin + 1 { // never 0
		case v.cancelAt:
			h.cancel()
		case v.closeAt:
			s.note(0, "close", 0)
			go h.close()
			h.calmDown()
		case v.killAt:
			s.note(0, "kill-tool", 0)
			s.killed = true
			s.noteBroken()
			s.m.KillTool()
		}
		switch {
		case budget > 0 && chance(s.rng, v.often):
			budget--
			s.trouble(v)
		case budget == 0 && calm.IsZero():
			s.calm(v)
			h.calmDown()
			calm, calmStep = time.Now(), s.steps
		}
		if s.tick > 0 && chance(s.rng, s.tick) {
			s.pass(time.Duration(1+s.rng.IntN(200)) * time.Microsecond)
			s.settle()
		}
		if s.step() {
			idle = 0
		} else {
			before := time.Now()
			s.pass(100 * time.Millisecond)
			idle += time.Since(before)
			if budget > 0 {
				budget-- // a target that is asleep, or gone, must not last for ever
				s.trouble(v)
			}
			if !calm.IsZero() && (!v.slow || h.attached() == nil) {
				s.endDisk()
			}
			if !calm.IsZero() && h.resting() > rest {
				s.rested(h)
				h.finishNow()
			}
		}
		s.check()
		switch {
		case s.steps-begin > maxSteps, !calm.IsZero() && s.steps-calmStep > maxCalm:
			s.fail("it does not end: %s", h.what())
		case !calm.IsZero() && time.Since(calm) > restless:
			s.fail("it hangs: %s", h.what())
		}
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

// noteBroken says that a tracer is about to panic: it leaves threads that it
// has woken to themselves.
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
	s.killed = true
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
