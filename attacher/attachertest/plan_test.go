package attachertest_test

import (
	"math/rand/v2"
	"strings"
	"syscall"
	"time"

	"massattach/attacher"
	"massattach/attacher/attachertest"
)

// plan is what is drawn for a run before it begins.
type plan struct {
	threads  int
	log      int // births that the kernel's log of them has room for, 0: any number
	chunk    int
	unfit    int
	ownChild bool
	locked   bool // tracers are OS threads
	calls    []attachertest.Call
	spinning float64 // how many of the threads are in user mode instead
	actions  map[syscall.Signal]attachertest.Disposition
	refused  map[int]bool // SEIZE of these answers EPERM
	broken   float64      // how likely a read of /proc fails
	visits   []visit
}

// visit is a session: what the program that attaches does, and what happens
// meanwhile.
type visit struct {
	options  attacher.Options
	deadline time.Duration // of the attach, 0: none
	arbiter  bool
	stopper  bool    // it has one
	hold     float64 // how likely the arbiter holds a stop that nobody asked for
	panics   int     // which of its decisions panics, 0: none
	acts     []act

	troubles []trouble
	often    float64 // how likely one comes with a step
	budget   int
	closeAt  int           // the step at which it is closed, 0: when all is calm
	cancelAt int           // the attach is given up, 0: never
	killAt   int           // the tool is killed, 0: never
	leave    bool          // the process stays stopped, if it is
	slow     bool          // calls in D state take until after the session
	rest     time.Duration // until what has happened last must have been noticed
}

var followModes = []attacher.Follow{attacher.FollowEvent, attacher.FollowScan, attacher.FollowClone, attacher.FollowNone}

// one draws one of several.
func one[T any](rng *rand.Rand, of ...T) T { return of[rng.IntN(len(of))] }

// chance says yes as often as p.
func chance(rng *rand.Rand, p float64) bool { return rng.Float64() < p }

// some draws a number below n when something is to happen at all, else 0.
func some(rng *rand.Rand, p float64, n int) int {
	if !chance(rng, p) {
		return 0
	}
	return 1 + rng.IntN(n)
}

func drawPlan(rng *rand.Rand) plan {
	p := plan{
		threads:  3 + rng.IntN(18),
		log:      some(rng, 0.2, 3),
		chunk:    1 + rng.IntN(12),
		unfit:    max(0, rng.IntN(8)-4),
		ownChild: chance(rng, 0.1),
		locked:   chance(rng, 1./64),
		actions: map[syscall.Signal]attachertest.Disposition{
			syscall.SIGUSR1: attachertest.Handler,
			syscall.SIGUSR2: attachertest.HandlerRestart,
			rt:              attachertest.Handler,
			rt + 1:          attachertest.HandlerRestart,
			syscall.SIGCHLD: one(rng, attachertest.Default, attachertest.Ignore, attachertest.Handler),
			syscall.SIGTSTP: one(rng, attachertest.Default, attachertest.Default, attachertest.Ignore, attachertest.Handler),
			syscall.SIGCONT: one(rng, attachertest.Default, attachertest.Default, attachertest.HandlerRestart),
		},
		refused: make(map[int]bool),
	}
	if chance(rng, 0.5) {
		p.calls = []attachertest.Call{attachertest.EpollWait}
	} else {
		p.calls = []attachertest.Call{attachertest.EpollWait, attachertest.Semop, attachertest.Sigtimedwait,
			attachertest.Futex, attachertest.Pause, attachertest.Nanosleep, attachertest.Read, attachertest.Receive}
		if chance(rng, 0.3) {
			p.calls = append(p.calls, attachertest.Disk, attachertest.Vfork)
		}
		if chance(rng, 0.3) {
			p.calls = append(p.calls, timed(20), timed(1000))
		}
		p.spinning = rng.Float64() * 0.4
	}
	if chance(rng, 0.1) {
		for range 1 + rng.IntN(3) {
			p.refused[100+rng.IntN(p.threads)] = true
		}
	}
	if chance(rng, 0.05) {
		p.broken = 0.01
	}
	for range 1 + some(rng, 0.25, 2) {
		p.visits = append(p.visits, drawVisit(rng))
	}
	return p
}

// timed is an epoll_wait with a time-out.
func timed(ms uint64) attachertest.Call {
	c := attachertest.EpollWait
	c.Args[3] = ms
	return c
}

func drawVisit(rng *rand.Rand) visit {
	v := visit{
		options: attacher.Options{
			Follow:         one(rng, followModes...),
			Settle:         one(rng, 0, -1, time.Millisecond, 30*time.Millisecond),
			Share:          one(rng, 2, 3, 5, 8, 500),
			KeepChildStops: true,
		},
		arbiter: chance(rng, 0.4),
		often:   one(rng, 0.01, 0.03, 0.1, 0.3),
		budget:  one(rng, 0, 5, 15, 40),
		leave:   chance(rng, 0.3),
		slow:    chance(rng, 0.5),
	}
	if chance(rng, 0.1) {
		v.deadline = time.Duration(1+rng.IntN(3000)) * time.Microsecond
	}
	v.stopper = !v.arbiter && chance(rng, 0.5)
	if v.arbiter {
		v.hold = one(rng, 0, 0, 0.05, 0.5)
		v.panics = some(rng, 0.1, 12)
	}
	if v.stopper || chance(rng, 0.6) {
		v.acts = drawActs(rng, v)
	}
	v.troubles = drawTroubles(rng)
	v.rest = 3 * time.Second
	for _, t := range v.troubles {
		if t.name == "stranger" {
			// It sets back the number that was given out last.
			v.rest = 12 * time.Second
		}
		if strings.HasPrefix(t.name, "exec") {
			v.slow = false // an exec waits for the end of all calls
		}
	}
	v.closeAt = some(rng, 0.2, 600)
	v.cancelAt = some(rng, 0.05, 150)
	v.killAt = some(rng, 0.15, 600)
	return v
}
