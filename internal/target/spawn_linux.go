//go:build linux && (amd64 || arm64)

package target

import (
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// An inner is the target from inside: what its control thread knows.
// Everything in it is that thread's alone, unless said otherwise.
type inner struct {
	spec     Spec
	pid      int
	mem      *memory
	used     int   // control blocks given out so far; births has its own, above
	limit    int   // where those of births begin
	free     []int // given out before, thread ended
	res      resources
	own      int // see ownDescriptors
	starting bool
	comm     string // that threads to come will have
	pinned   int    // how many threads have been pinned
	settled  int    // control blocks below this one have been seen in place

	info    []byte // a siginfo, and its address
	infoAt  uint64
	births  *births
	senders *sender
	calls   map[int]*timedCall
	vforks  map[int]*vfork // by thread
	nextID  int

	epoch   [2]int64 // ticks and ns at the start
	retired [numKinds]tally
	base    baseline
	images  int
}

// spare is how many threads can be made in a running target beyond its Spec.
const spare = 8192

func newInner(s Spec) (*inner, error) {
	pool := birthPool(s.Births)
	// A creator has a block more, for the stack of its child.
	limit := s.threads() + s.Churn + spare
	mem, err := newMemory(limit + pool)
	if err != nil {
		return nil, err
	}
	in := &inner{
		spec: s, pid: unix.Getpid(), mem: mem, limit: limit, own: ownDescriptors(), starting: true,
		calls: map[int]*timedCall{}, vforks: map[int]*vfork{}, epoch: [2]int64{ticks(), now()},
	}
	handlers.sender = uint32(in.pid)
	return in, nil
}

// now is CLOCK_MONOTONIC.
func now() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return ts.Nano()
}

// pause sleeps without the runtime's timers: they would wake other threads.
func pause(d time.Duration) {
	ts := unix.NsecToTimespec(int64(d))
	for unix.Nanosleep(&ts, &ts) == unix.EINTR {
	}
}

// take finds a free control block and resets it.
func (in *inner) take() (int, error) {
	i := in.used
	if n := len(in.free); n > 0 {
		i = in.free[n-1]
		in.free = in.free[:n-1]
	} else if in.used == in.limit {
		return 0, errors.New("no room for another thread")
	} else {
		in.used++
	}
	in.mem.tcbs[i] = tcb{used: true}
	return i, nil
}

// spawn makes a thread of kind k, and returns the index of its control block.
func (in *inner) spawn(k int) (int, error) {
	i, err := in.take()
	if err != nil {
		return 0, err
	}
	t := &in.mem.tcbs[i]
	t.kind = uint32(k)
	t.mask = in.blocked(k)
	fail := func(err error) (int, error) {
		in.disarm(t)
		in.release(i)
		return 0, err
	}
	if err := in.arm(t, k); err != nil {
		return fail(err)
	}
	switch k {
	case churn:
		c, err := in.take()
		if err != nil {
			return fail(err)
		}
		in.mem.tcbs[c].kind = churn
		t.stack = uint64(in.mem.stack(c))
	case recv:
		if err := in.addSlot(t); err != nil {
			return fail(err)
		}
	case hot:
		// It waits for its own tid.
		s, at := in.mem.script(1)
		s[0] = step{nr: unix.SYS_FUTEX, args: [6]uint64{addr(&t.word), futexWaitPrivate}}
		t.script, t.steps = at, 1
	}
	if err := in.start(i); err != nil {
		return fail(err)
	}
	if k == hot {
		t.args = [6]uint64{uint64(in.pid), uint64(t.tid), HotSignal}
		atomic.StoreUint32(&t.word, 1)
		_, _ = quick(unix.SYS_FUTEX, addr(&t.word), futexWakePrivate, 1)
	}
	if (k == spin || k == sys || k == churn || k == hot) && len(in.spec.CPUs) > 0 {
		cpu := in.spec.CPUs[in.pinned%len(in.spec.CPUs)]
		in.pinned++
		var set unix.CPUSet
		set.Set(cpu)
		if err := unix.SchedSetaffinity(int(t.tid), &set); err != nil {
			return i, fmt.Errorf("pin to CPU %d: %w", cpu, err)
		}
	}
	return i, nil
}

// start makes the thread of block i, under the name of its kind.
func (in *inner) start(i int) error {
	if name := kinds[in.mem.tcbs[i].kind]; name != in.comm {
		setComm(name)
		in.comm = name
	}
	_, err := in.mem.clone(i)
	if err != nil {
		return fmt.Errorf("make a thread: %w", err)
	}
	return nil
}

// release gives a block back.
func (in *inner) release(i int) {
	t := &in.mem.tcbs[i]
	in.retired[t.kind].add(t)
	t.used = false
	in.free = append(in.free, i)
}

// blocked is the signal mask of threads of kind k.
func (in *inner) blocked(k int) (mask uint64) {
	for _, sig := range in.spec.Block[kinds[k]] {
		mask |= 1 << (sig - 1)
	}
	return mask
}

// find returns the block of a thread under test.
func (in *inner) find(tid int) (int, *tcb, error) {
	for i := range in.used {
		if t := &in.mem.tcbs[i]; t.used && int(t.tid) == tid && tid != 0 {
			return i, t, nil
		}
	}
	return 0, nil, fmt.Errorf("no thread %d under test", tid)
}

// end makes a thread leave, and waits until it has.
func (in *inner) end(tid int) error {
	i, t, err := in.find(tid)
	if err != nil {
		return err
	}
	if err := in.command(t, ctlEnd); err != nil {
		return err
	}
	if int(t.kind) == leader {
		// Nothing clears the tid of the main thread.
		if err := waitFor("the main thread to end", func() bool { return in.leaderState() == 'Z' }); err != nil {
			return err
		}
		atomic.StoreUint32(&t.tid, 0)
		return nil
	}
	if err := waitFor("the thread to end", func() bool { return atomic.LoadUint32(&t.tid) == 0 }); err != nil {
		return err
	}
	if int(t.kind) == recv {
		in.dropSlot(t)
	}
	in.disarm(t)
	if int(t.kind) == churn {
		c := int((uintptr(t.stack) - in.mem.stacks) >> stackShift)
		in.release(c)
	}
	in.release(i)
	return nil
}

// leaderState is the state of the main thread, 0 if it cannot be read.
func (in *inner) leaderState() byte {
	b := readFile("/proc/self/task/"+strconv.Itoa(in.pid)+"/stat", nil)
	return statState(b)
}

// waitFor polls: the thread that is waited for may be held by a tracer.
func waitFor(what string, done func() bool) error {
	for range 60_000 {
		if done() {
			return nil
		}
		pause(time.Millisecond)
	}
	return fmt.Errorf("waited a minute for %s", what)
}
