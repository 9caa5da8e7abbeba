package attachertest_test

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"sync"
	"syscall"
	"time"

	"massattach/attacher"
	"massattach/procfs"
	"massattach/threadset"
)

// host is the program that attaches: one session of it.
type host struct {
	sim     *simulation
	visit   *visit
	rng     *rand.Rand
	arbiter *arbiter
	holder  *holder

	ctx    context.Context // of the attach
	cancel context.CancelFunc
	calm   chan struct{} // closed when nothing more happens to the target
	finish chan struct{} // closed when it is time to close
	closed chan struct{}
	done   chan struct{}

	mu       sync.Mutex
	doing    string
	rested   time.Time // since when it has nothing to do but to close
	session  *attacher.Session
	err      error // of the attach
	closing  bool
	since    time.Time // of the close
	gone     bool      // the target had ended before the close
	closeErr error     // of it
}

func newHost(s *simulation, v *visit) *host {
	h := &host{
		sim: s, visit: v, rng: rand.New(rand.NewPCG(s.seed, 2)),
		calm: make(chan struct{}), finish: make(chan struct{}), closed: make(chan struct{}), done: make(chan struct{}),
	}
	if v.arbiter {
		h.arbiter = &arbiter{sim: s, rng: rand.New(rand.NewPCG(s.seed, 3)), often: v.hold, panics: v.panics}
	}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	if v.deadline > 0 {
		h.ctx, h.cancel = context.WithTimeout(context.Background(), v.deadline)
	}
	return h
}

// run is the life of the program.
func (h *host) run() {
	defer close(h.done)
	defer h.cancel()
	h.does("attach")
	o := h.visit.options
	o.Kernel, o.Proc = h.sim.m, h.sim.m
	o.Trace = &attacher.Trace{Mistaken: h.mistaken}
	session, err := attacher.Attach(h.ctx, 100, &o)
	h.mu.Lock()
	h.session, h.err = session, err
	late := h.closing && err == nil // for a cancel
	h.closing = h.closing && !late
	h.mu.Unlock()
	if late {
		h.close()
	}
	if late || err != nil {
		return
	}
	if h.arbiter != nil {
		if err := session.SetArbiter(h.arbiter); err != nil {
			h.sim.fail("set arbiter: %v", err)
		}
	}
	if h.visit.stopper {
		h.holder = h.newHolder()
	}
	for _, a := range h.visit.acts {
		h.does(a.name)
		a.do(h)
	}
	h.does("wait until all is calm")
	<-h.calm
	h.does("release")
	h.release()
	h.does("wait until it is time")
	h.mu.Lock()
	h.rested = time.Now()
	h.mu.Unlock()
	<-h.finish
	h.does("close")
	h.close()
}

// mistaken hears of moves that no thread can make. When the tool is dead, what
// it believes is no matter.
func (h *host) mistaken(err error) {
	if !h.sim.killed.Load() {
		h.sim.fail("mistaken: %v", err)
	}
}

func (h *host) does(what string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.doing = what
	h.sim.note(0, "("+what+")", 0)
}

// attached is the session, once there is one.
func (h *host) attached() *attacher.Session {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.session
}

// close may be called at any time.
func (h *host) close() {
	h.mu.Lock()
	s, first := h.session, !h.closing
	h.closing = true
	if h.since.IsZero() {
		h.since = time.Now()
	}
	h.mu.Unlock()
	switch {
	case s == nil:
		h.cancel()
	case first:
		h.gone = len(h.sim.m.Threads()) == 0
		h.closeErr = s.Close()
		close(h.closed)
	default:
		// A second Close would wait for a mutex, which synctest takes for
		// work.
		<-h.closed
	}
}

// closesFor is how long the close has lasted, or that of an attach that was
// given up.
func (h *host) closesFor() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.since.IsZero() && h.ctx.Err() != nil {
		h.since = time.Now()
	}
	if h.since.IsZero() {
		return 0
	}
	return time.Since(h.since)
}

func (h *host) isClosing() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.closing
}

// release lets everybody go who is held.
func (h *host) release() {
	if h.holder != nil {
		h.holder.end()
	}
	if h.arbiter == nil {
		return
	}
	h.arbiter.end()
	for range 100 {
		if h.isClosing() || h.resume(context.Background()) == 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
	h.sim.fail("somebody is held for ever")
}

// resume lets everybody go who is held now, and answers how many that still
// are.
func (h *host) resume(ctx context.Context) (held int) {
	h.do(ctx, procfs.Selection{}, func(o *attacher.Owner) {
		for _, tid := range o.TIDs() {
			h.tolerate("resume", o.Resume(tid), syscall.ESRCH)
		}
	})
	for th := range h.session.Threads() {
		// The leader's exit comes last, whatever it was held in.
		if th.Phase == threadset.Held && h.sim.m.State(th.TID) != 'Z' {
			held++
		}
	}
	return held
}

func (h *host) do(ctx context.Context, sel procfs.Selection, f func(*attacher.Owner)) {
	err := h.session.Do(ctx, sel, func(o *attacher.Owner) error { f(o); return nil })
	h.tolerate("do", err, context.Canceled, context.DeadlineExceeded, attacher.ErrClosed, fs.ErrNotExist, errBroken)
}

// tolerate fails for an error that is none of these, unless the tool is dead.
func (h *host) tolerate(what string, err error, these ...error) {
	if err == nil || h.sim.killed.Load() {
		return
	}
	for _, e := range these {
		if errors.Is(err, e) {
			return
		}
	}
	h.sim.fail("%s: %v", what, err)
}

// act is one thing that the program does with its session.
type act struct {
	name string
	do   func(*host)
}

func drawActs(rng *rand.Rand, v visit) []act {
	all := []act{{"pause", (*host).pause}, {"look", (*host).look}, {"impatient do", (*host).impatient}}
	if v.arbiter {
		hold := act{"hold", (*host).hold}
		all = append(all, hold, hold, hold, act{"resume", (*host).resumeAll}, act{"unexpect", (*host).unexpect})
	}
	if v.stopper {
		all = append(all, holderActs...)
	}
	if chance(rng, 0.05) {
		all = append(all, act{"panic", (*host).panic})
	}
	acts := make([]act, 1+rng.IntN(12))
	for i := range acts {
		acts[i] = one(rng, all...)
	}
	return acts
}

func (h *host) pause() {
	time.Sleep(time.Duration(h.rng.IntN(one(h.rng, 100, 5_000, 100_000))) * time.Microsecond)
}

// selection draws a set of threads.
func (h *host) selection() procfs.Selection {
	switch h.rng.IntN(4) {
	case 0:
		return procfs.Selection{TIDs: []int{100 + h.rng.IntN(20), 100 + h.rng.IntN(20)}}
	case 1:
		return procfs.Selection{State: "S"}
	}
	return procfs.Selection{}
}

// hold asks threads to stop, and keeps who does.
func (h *host) hold() {
	h.arbiter.hold(true)
	expect := chance(h.rng, 0.5)
	h.do(context.Background(), h.selection(), func(o *attacher.Owner) {
		for _, tid := range o.TIDs() {
			h.tolerate("interrupt", o.Interrupt(tid), syscall.ESRCH)
		}
		if expect {
			o.Expect(o.TIDs())
		}
	})
	h.pause()
	if chance(h.rng, 0.5) {
		h.resumeAll()
	}
}

func (h *host) resumeAll() {
	h.arbiter.hold(false)
	h.resume(context.Background())
}

func (h *host) unexpect() {
	h.do(context.Background(), h.selection(), func(o *attacher.Owner) { o.Unexpect(o.TIDs()) })
}

// look reads all that can be read.
func (h *host) look() {
	_ = h.session.Report()
	held := make(map[int]bool)
	for th := range h.session.Threads() {
		held[th.TID] = th.Phase == threadset.Held
	}
	h.do(context.Background(), procfs.Selection{}, func(o *attacher.Owner) {
		for _, tid := range o.TIDs() {
			var r attacher.Regs
			var si attacher.Siginfo
			if held[tid] {
				h.tolerate("registers", o.Regs(tid, &r), syscall.ESRCH)
				h.tolerate("siginfo", o.Siginfo(tid, &si), syscall.ESRCH)
			}
		}
	})
}

// impatient asks the owners, and waits hardly at all for them to hear.
func (h *host) impatient() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(h.rng.IntN(300))*time.Microsecond)
	defer cancel()
	h.do(ctx, h.selection(), func(*attacher.Owner) {})
}

// panic breaks a tracer.
func (h *host) panic() {
	h.sim.noteBroken()
	once := false
	h.do(context.Background(), procfs.Selection{}, func(*attacher.Owner) {
		if !once {
			once = true
			panic("in a command")
		}
	})
}

// arbiter holds stops when it is told to, and at times when it is not.
type arbiter struct {
	mu      sync.Mutex
	sim     *simulation
	rng     *rand.Rand
	holding bool
	often   float64
	panics  int
	ended   bool
}

func (a *arbiter) Decide(tid int, s attacher.Stop) attacher.Verdict {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.panics > 0 && !a.ended {
		if a.panics--; a.panics == 0 {
			a.sim.noteBroken()
			panic("in the arbiter")
		}
	}
	if !a.ended && (a.holding || chance(a.rng, a.often)) {
		return attacher.Hold
	}
	return attacher.Pass
}

func (a *arbiter) hold(on bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.holding = on
}

// end lets every stop pass from now on.
func (a *arbiter) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = true
}
