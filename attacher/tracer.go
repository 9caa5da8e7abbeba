package attacher

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"massattach/threadset"
)

// tracer is one tracer thread and all that it owns. Only its own goroutine,
// which is locked to the thread and never unlocked, makes requests for its
// tracees, waits for them and moves their phases; everybody else posts it a
// command.
type tracer struct {
	s     *Session
	k     Tracer
	shard *threadset.Shard

	// bound is closed when k and shard are set, or the tracer ended without.
	bound chan struct{}

	mu     sync.Mutex
	inbox  []*command
	closed bool
	posted atomic.Bool   // the inbox isn't empty
	asleep atomic.Bool   // in a Look that sleeps, or about to be
	wake   chan struct{} // rouses a tracer that owns nobody

	seats   atomic.Int32  // threads that it was given and has not begun to seize
	batches atomic.Int32  // of such threads, until they are seized
	seizing atomic.Uint32 // odd while it is inside a SEIZE

	// What follows is the tracer's own.
	quit    bool
	idle    bool           // the last Look said that it owns nobody
	streak  int            // reports since the last look at everybody
	rounds  time.Time      // when that was
	notes   map[int]*note  // what is remembered of a few of its tracees
	stops   map[int]uint32 // the last group-stop that a tracee was in
	awaited []int          // tids whose stops are collected by tid
	owner   *Owner         // itself, for the witness
	delays  []time.Duration
}

// note is what a tracer remembers of a tracee between two of its stops. Most
// tracees have none.
type note struct {
	asked bool // an INTERRUPT of ours may still have its stop to come
	letGo bool // detach it at its next stop: it is a stranger
	held  Stop // the stop that it is held in; Kind 0 when it isn't
	job   bool // in group-stop

	expected bool // its stop is collected by tid: it is in awaited
	spent    spent
	call     *restarted
}

func newTracer(s *Session) *tracer {
	return &tracer{
		s:     s,
		bound: make(chan struct{}),
		wake:  make(chan struct{}, 1),
		notes: make(map[int]*note),
		stops: make(map[int]uint32),
	}
}

// start runs the tracer on an OS thread of its own. The goroutine never
// unlocks it: when it returns the thread ends, and Linux lets the tracees of
// a thread that ends go on without stopping them (kernel/ptrace.c,
// exit_ptrace).
func (t *tracer) start() {
	t.s.pool.Go(func() error {
		k, err := t.s.kernel.Tracer()
		if errors.Is(err, ErrUnfit) {
			// Stay on this thread until another goroutine has one, or the
			// scheduler may well give it this one again: a goroutine started
			// while main is blocked lands on the main thread.
			t.start()
			<-t.bound
			runtime.UnlockOSThread()
			return nil
		}
		if err != nil {
			t.s.unfit.CompareAndSwap(nil, &err)
			t.abandon()
			close(t.bound)
			return nil
		}
		t.k, t.shard = k, t.s.set.Shard(k.ID())
		close(t.bound)
		if t.s.crowded.Load() {
			k.Hurry()
		}
		return t.run()
	})
}

// run is the life of the tracer's thread.
func (t *tracer) run() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("tracer thread %d: panic: %v\n%s", t.k.ID(), p, debug.Stack())
			// The end of the thread lets its tracees go. A follower finds
			// them again, and must not take them for somebody's.
			t.abandon()
			tids := t.tracees()
			t.shard.Apply(tids, threadset.LetGo)
			t.lost(tids...)
			t.s.ledger.unconverge()
			t.s.summon()
		}
		t.abandon()
		if t.witness() != nil {
			t.lost(t.tracees()...)
		}
		t.k.Exit()
	}()
	for {
		t.takeCommands()
		if t.quit {
			if t.s.ownChild {
				t.recoverLeader()
			}
			t.settle()
			t.flush()
			return nil
		}
		if t.sweep(sweepMisses) {
			continue
		}
		if err := t.await(); err != nil {
			return err
		}
	}
}

// await sleeps until there is something to do, and does it if it is a report
// of a tracee.
func (t *tracer) await() error {
	if t.idle {
		t.flush()
		<-t.wake
		t.idle = false
		return nil
	}
	ws, err := t.look()
	switch {
	case err == nil:
		if ws.TID != 0 {
			t.handle(t.decode(ws))
			t.beFair()
		}
	case errors.Is(err, syscall.EINTR):
	case errors.Is(err, syscall.ECHILD):
		// It owns nobody, whatever the records say: an exec takes the old
		// leader away without a report (fs/exec.c, de_thread).
		t.idle = true
		t.forgetAll()
	default:
		return fmt.Errorf("tracer thread %d: waitid: %w", t.k.ID(), err)
	}
	return nil
}

// look waits for a report of any tracee, and hears the bell.
//
// The race with post is won here: asleep is set before the inbox is looked at
// for the last time, and post looks at asleep after it has filled the inbox.
// So either we see the command, or the poster sees that it has to ring; and it
// rings until it was heard, because a signal that comes between our last look
// at the inbox and the sleep wakes nobody.
func (t *tracer) look() (WaitStatus, error) {
	if t.posted.Load() {
		return WaitStatus{}, nil
	}
	if len(t.delays) > 0 {
		if ws, err := t.k.Look(0, false); err != nil || ws.TID != 0 {
			return ws, err
		}
		t.flush()
	}
	if t.s.attaching.Load() {
		// Others have a batch to seize, and Go takes the P of a thread that
		// sleeps in a system call only when its monitor comes by, some 0.2
		// ms later: hand it on.
		runtime.Gosched()
	}
	t.asleep.Store(true)
	defer t.asleep.Store(false)
	if t.posted.Load() {
		return WaitStatus{}, nil
	}
	return t.k.Look(0, true)
}

func (t *tracer) decode(ws WaitStatus) Stop {
	s := decode(ws)
	s.owner = t
	if t.notified(s) {
		s.Kind = StopNotify
	}
	return s
}

// sweepMisses is how many awaited tracees in a row have nothing to report when a
// sweep ends: they stop by and large in the order in which they were asked to, and
// whoever does not is found by the wait for any.
const sweepMisses = 32

// sweep collects the stops of awaited tracees by tid, which is O(1) each where
// a wait for any costs 25 ns a tracee, until so many in a row have none. It says
// whether it found any.
func (t *tracer) sweep(misses int) (found bool) {
	missed := 0
	keep := t.awaited[:0]
	for i, tid := range t.awaited {
		if !t.expects(tid) {
			continue
		}
		if missed >= misses {
			keep = append(keep, t.awaited[i:]...)
			break
		}
		ws, err := t.k.Look(tid, false)
		switch {
		case err != nil: // gone: reaped, or taken away by an exec
			t.unexpect(tid)
			if t.knows(tid) && t.isStray() {
				t.renumbered(tid)
			}
		case ws.TID != 0:
			found, missed = true, 0
			t.handle(t.decode(ws))
		default:
			missed++
		}
		if t.expects(tid) {
			keep = append(keep, tid)
		}
	}
	t.awaited = keep
	return found
}

// expects says whether a tracee's stop is awaited.
func (t *tracer) expects(tid int) bool {
	n := t.notes[tid]
	return n != nil && n.expected
}

func (t *tracer) unexpect(tid int) {
	if n := t.notes[tid]; n != nil {
		n.expected = false
		t.forget(tid, n)
	}
}

// fairEvery is how many reports in a row are taken as they come.
const fairEvery = 1024

// beFair looks at every tracee when reports come thick and fast. A wait for
// any finds the first of the list that has something to report
// (kernel/exit.c, ptrace_do_wait), so that a few threads which are signalled
// all the time would keep the others waiting for ever.
func (t *tracer) beFair() {
	if t.streak++; t.streak < fairEvery {
		return
	}
	t.streak = 0
	now := t.s.now()
	busy := now.Sub(t.rounds) < fairEvery*50*time.Microsecond
	t.rounds = now
	if !busy {
		return
	}
	t.lookAtAll()
}

// load is how many threads it owns or is about to own.
func (t *tracer) load() int {
	n := int(t.seats.Load())
	select {
	case <-t.bound:
		if t.shard != nil {
			c := t.shard.Counts()
			n += c[threadset.Found] + c.Live()
		}
	default:
	}
	return n
}

// note answers what is remembered of tid, and begins to remember.
func (t *tracer) note(tid int) *note {
	n := t.notes[tid]
	if n == nil {
		n = new(note)
		t.notes[tid] = n
	}
	return n
}

// lingers is how long a tracer that is about to end waits for the stop of a tracee that
// it has asked for one.
func (t *tracer) lingers() time.Duration {
	if t.s.crowded.Load() {
		return time.Second // everybody is slower
	}
	return 50 * time.Millisecond
}

// settle brings what the tracer has begun to an end before its thread ends: a
// tracee that stands in a stop then, or whose INTERRUPT has its stop still to
// come, has a call interrupted that nobody repairs any more.
//
// It is not for ever. Signals may come without end, and a thread in D, or one
// that waits for a vfork child, can't stop now.
func (t *tracer) settle() {
	const flooded = 5 * time.Millisecond
	const fewest = 8 // rounds, whatever the time: others may have had the CPU
	nap, patience := 20*time.Microsecond, t.lingers()
	for begin, rounds := t.s.now(), 1; !t.idle; rounds++ {
		// Most often that is all: nobody has anything to say.
		ws, err := t.k.Look(0, false)
		if err != nil || ws.TID == 0 && !t.asking() {
			return
		}
		passed := t.s.now().Sub(begin)
		if rounds >= fewest && (passed >= patience || passed >= flooded && !t.asking()) {
			return
		}
		if ws.TID == 0 {
			t.s.kernel.Nap(nap)
			nap = min(2*nap, time.Millisecond)
		} else {
			t.handle(t.decode(ws)) // it may be one that we don't know yet
			t.lookAtAll()
		}
	}
}

// lookAtAll handles the reports of all tracees, one each: where signals come
// without end a wait for any finds the same few again and again.
func (t *tracer) lookAtAll() {
	for _, tid := range t.tracees() {
		if ws, err := t.k.Look(tid, false); err == nil && ws.TID != 0 {
			t.handle(t.decode(ws))
		}
	}
}

// asking reports whether an INTERRUPT of ours may still have its stop to come.
func (t *tracer) asking() bool {
	for _, n := range t.notes {
		if n.asked && n.held.Kind == 0 {
			return true
		}
	}
	return false
}

// flush hands the delays of forwarded signals over.
func (t *tracer) flush() {
	if len(t.delays) == 0 {
		return
	}
	if f := t.s.trace.Forwarded; f != nil {
		f(t.delays)
	}
	t.delays = t.delays[:0]
}
