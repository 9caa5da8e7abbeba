package attachertest_test

import (
	"math/rand/v2"
	"syscall"

	"massattach/attacher/attachertest"
	"massattach/internal/sys"
)

// trouble is something that happens to the target, or to a thread of it.
type trouble struct {
	name  string
	usual float64 // how many visits may have it
	do    func(s *simulation, tid int)
}

var troubles = []trouble{
	// Signals.
	{"queue", 0.3, func(s *simulation, tid int) { s.m.Queue(tid, one(s.rng, rt, rt+1), s.serial()) }},
	{"handled", 0.3, func(s *simulation, tid int) { s.m.Signal(tid, one(s.rng, syscall.SIGUSR1, syscall.SIGUSR2)) }},
	{"ignored", 0.4, func(s *simulation, tid int) {
		s.m.Signal(tid, one(s.rng, syscall.SIGCHLD, syscall.SIGWINCH, syscall.SIGURG))
	}},
	{"handled-all", 0.2, func(s *simulation, _ int) { s.m.Kill(100, one(s.rng, syscall.SIGUSR1, syscall.SIGUSR2)) }},
	{"ignored-all", 0.3, func(s *simulation, _ int) { s.m.Kill(100, one(s.rng, syscall.SIGCHLD, syscall.SIGWINCH)) }},
	{"cookie", 0.1, func(s *simulation, tid int) { s.m.Cookie(tid, syscall.SIGURG, cookie) }},
	{"block", 0.1, func(s *simulation, tid int) {
		if s.m.State(tid) == 'S' { // one that is stopped couldn't
			s.m.Block(tid, syscall.SIGUSR1, syscall.SIGCHLD, rt)
		}
	}},
	{"unblock", 0.2, func(s *simulation, tid int) { s.m.Unblock(tid, syscall.SIGUSR1, syscall.SIGCHLD, rt) }},
	{"handlers", 0.2, func(s *simulation, _ int) { s.handlers() }},
	{"ignore", 0.05, func(s *simulation, _ int) { s.m.Handle(one(s.rng, syscall.SIGUSR1, rt), attachertest.Ignore) }},
	{"deadly", 0.03, func(s *simulation, tid int) { s.dying.Store(true); s.m.Signal(tid, syscall.SIGTERM) }},
	{"kill", 0.05, func(s *simulation, _ int) { s.dying.Store(true); s.m.Kill(100, syscall.SIGKILL) }},

	// Job control.
	{"stop", 0.3, func(s *simulation, _ int) { s.m.Kill(100, one(s.rng, syscall.SIGSTOP, syscall.SIGTSTP)) }},
	{"stop-by-thread", 0.1, func(s *simulation, tid int) { s.m.Signal(tid, one(s.rng, syscall.SIGSTOP, syscall.SIGTSTP)) }},
	{"cont", 0.4, func(s *simulation, _ int) { s.m.Kill(100, syscall.SIGCONT) }},
	{"cont-by-thread", 0.1, func(s *simulation, tid int) { s.m.Signal(tid, syscall.SIGCONT) }},
	{"parent-waits", 0.2, func(s *simulation, _ int) { _ = s.m.ParentWait() }},

	// Births and deaths.
	{"birth", 0.4, func(s *simulation, _ int) { s.m.Spawn(0) }},
	{"fork", 0.1, func(s *simulation, tid int) { s.m.Fork(tid) }},
	{"birth-by", 0.2, func(s *simulation, tid int) { s.m.Spawn(tid) }},
	{"exit", 0.4, func(s *simulation, tid int) { s.exit(tid) }},
	{"exit-leader", 0.1, func(s *simulation, _ int) { s.m.Exit(100, 0) }},
	{"exit-group", 0.03, func(s *simulation, _ int) { s.dying.Store(true); s.m.ExitGroup(3) }},
	{"stranger", 0.2, func(s *simulation, _ int) { s.m.Reuse(101 + s.rng.IntN(s.plan.threads+10)) }},

	// Exec.
	{"exec", 0.1, func(s *simulation, tid int) { s.execs.Store(true); s.m.Exec(tid) }},
	{"exec-leader", 0.05, func(s *simulation, _ int) { s.execs.Store(true); s.m.Exec(100) }},
	{"exec-fails", 0.1, func(s *simulation, tid int) { s.m.FailExec(tid) }},

	// Calls.
	{"return", 0.4, func(s *simulation, tid int) { s.m.Return(tid, 1) }},
	{"call", 0.3, func(s *simulation, tid int) { s.m.Set(tid, one(s.rng, s.plan.calls...)) }},
	{"spin", 0.2, func(s *simulation, tid int) { s.m.Spin(tid) }},

	// Other tools.
	{"tool", 0.1, func(s *simulation, tid int) {
		s.foreign = append(s.foreign, s.m.TraceBy(tid, "strace"))
		s.early.Store(false)
	}},
	{"tool-ends", 0.1, func(s *simulation, _ int) { s.endTools(1) }},
}

// cookie is in the signals of our own.
const cookie = sys.Cookie

// drawTroubles draws which of them there are at all: few at a time find more
// than all at once.
func drawTroubles(rng *rand.Rand) (drawn []trouble) {
	for _, t := range troubles {
		if chance(rng, t.usual) {
			drawn = append(drawn, t)
		}
	}
	return drawn
}

// trouble has something happen to the target.
func (s *simulation) trouble(v *visit) {
	threads := s.m.Threads()
	if len(threads) == 0 || len(v.troubles) == 0 {
		return
	}
	t := one(s.rng, v.troubles...)
	tid := one(s.rng, threads...)
	s.note(0, t.name, tid)
	t.do(s, tid)
}

// serial numbers signals that carry a value.
func (s *simulation) serial() uint64 {
	s.signals++
	return s.signals
}

// exit ends a thread by exit(2), which the last one makes the end of all.
func (s *simulation) exit(tid int) {
	if tid != 100 {
		s.m.Exit(tid, 0)
	}
}

// handlers does what the program begins with.
func (s *simulation) handlers() {
	for sig := syscall.Signal(1); sig <= 64; sig++ {
		if d, ok := s.plan.actions[sig]; ok {
			s.m.Handle(sig, d)
		}
	}
}

// endTools ends the first n tools of others.
func (s *simulation) endTools(n int) {
	for ; n > 0 && len(s.foreign) > 0; n-- {
		s.m.EndTool(s.foreign[0])
		s.foreign = s.foreign[1:]
	}
}

// calm ends all that could keep the target from coming to a rest.
func (s *simulation) calm(v *visit) {
	s.note(0, "calm", 0)
	s.endTools(len(s.foreign))
	for _, tid := range s.m.Threads() {
		s.m.Unblock(tid, syscall.SIGUSR1, syscall.SIGCHLD, rt)
	}
	if !v.leave {
		s.m.Kill(100, syscall.SIGCONT)
	}
}

// endDisk ends the calls that nothing else can end.
func (s *simulation) endDisk() {
	for _, tid := range s.m.Threads() {
		if s.m.State(tid) == 'D' {
			s.m.Return(tid, 2)
		}
	}
}
