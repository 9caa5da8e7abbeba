//go:build linux && (amd64 || arm64)

package target

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A tableCall is a blocking system call of the table.
type tableCall struct {
	name string
	// want is its result when its time-out has passed, "" if it has none.
	want string
	// build makes what the call needs, and returns it; calls that go
	// before it on the same thread may come first.
	build func(c *callEnv) ([]step, error)
}

// callMask is blocked by the thread of a call, callInner within calls that
// take a mask.
const (
	callMask  = 1<<(unix.SIGUSR2-1) | 1<<(unix.SIGHUP-1)
	callInner = 1 << (unix.SIGTERM - 1)
)

// callTable is every call that a stop may interrupt, and some that restart by
// themselves.
func callTable() []tableCall {
	return slices.Concat(archCalls, waitCalls, ringCalls, socketCalls, earlyCalls)
}

func callNames() []string {
	names := []string{}
	for _, c := range callTable() {
		names = append(names, c.name)
	}
	return names
}

// A callEnv makes what calls need, and gives it back.
type callEnv struct {
	in      *inner
	timeout time.Duration
	undo    []func()
}

func (c *callEnv) onDone(f func()) { c.undo = append(c.undo, f) }

func (c *callEnv) closeFD(fd int) { c.onDone(func() { _ = unix.Close(fd) }) }

// one is a script of one call.
func one(nr uint64, args ...uint64) ([]step, error) {
	s := step{nr: nr}
	copy(s.args[:], args)
	return []step{s}, nil
}

// bytes is the address of n bytes.
func (c *callEnv) bytes(n int) uint64 {
	_, at := c.in.mem.alloc(n)
	return at
}

// words is the address of some words.
func (c *callEnv) words(w ...uint64) uint64 {
	b, at := c.in.mem.alloc(8 * len(w))
	for i, v := range w {
		binary.NativeEndian.PutUint64(b[8*i:], v)
	}
	return at
}

// timespec is the address of the time-out.
func (c *callEnv) timespec() uint64 {
	return c.words(uint64(c.timeout/time.Second), uint64(c.timeout%time.Second))
}

func (c *callEnv) ms() uint64 { return uint64(c.timeout / time.Millisecond) }

// mask is the address of the mask within the call.
func (c *callEnv) mask() uint64 { return c.words(callInner) }

// pipe returns the ends of an empty pipe.
func (c *callEnv) pipe() (r, w int, err error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return 0, 0, fmt.Errorf("pipe2: %w", err)
	}
	c.closeFD(p[0])
	c.closeFD(p[1])
	return p[0], p[1], nil
}

// A timedCall is a call under way.
type timedCall struct {
	tableCall
	env    *callEnv
	index  int // of the control block
	script []step
	before []byte // mask and time before, as the thread read them
	after  []byte
}

// startCall makes a call of the table on a new thread, and waits until it is
// blocked in it.
func (in *inner) startCall(name string, timeout time.Duration) (TimedCall, error) {
	table := callTable()
	n := slices.IndexFunc(table, func(c tableCall) bool { return c.name == name })
	if n < 0 {
		return TimedCall{}, fmt.Errorf("no call %q", name)
	}
	if timeout = timeout.Truncate(time.Millisecond); timeout <= 0 {
		timeout = 700 * time.Millisecond
	}
	env := &callEnv{in: in, timeout: timeout}
	steps, err := table[n].build(env)
	if err != nil {
		env.done()
		return TimedCall{}, fmt.Errorf("%s: %w", name, err)
	}
	i, err := in.take()
	if err != nil {
		env.done()
		return TimedCall{}, err
	}
	t := &in.mem.tcbs[i]
	t.kind, t.mask = timed, callMask
	if err := in.arm(t, timed); err != nil {
		return TimedCall{}, err
	}
	tc := &timedCall{tableCall: table[n], env: env, index: i}
	var a, b uint64
	tc.before, a = in.mem.alloc(24)
	tc.after, b = in.mem.alloc(24)
	look := func(at uint64) []step {
		return []step{
			{nr: unix.SYS_RT_SIGPROCMASK, args: [6]uint64{unix.SIG_BLOCK, 0, at, 8}},
			{nr: unix.SYS_CLOCK_GETTIME, args: [6]uint64{unix.CLOCK_MONOTONIC, at + 8}},
		}
	}
	first, last := look(a), look(b)
	slices.Reverse(last) // the times next to the call
	script := slices.Concat(steps[:len(steps)-1], first, steps[len(steps)-1:], last)
	tc.script, t.script = in.mem.script(len(script))
	copy(tc.script, script)
	t.steps = uint64(len(script))
	if err := in.start(i); err != nil {
		in.release(i)
		env.done()
		return TimedCall{}, err
	}
	in.nextID++
	in.calls[in.nextID] = tc
	want := steps[len(steps)-1].nr
	blocked := func() bool {
		return atomic.LoadUint32(&t.state) == 1 || in.blockedIn(t, want)
	}
	if err := waitFor(name+" to block", blocked); err != nil {
		return TimedCall{}, err
	}
	return TimedCall{ID: in.nextID, TID: int(t.tid)}, nil
}

// the call's place in a script, from its end.
const afterCall = 2

func (in *inner) callResult(id int) (CallResult, error) {
	tc := in.calls[id]
	if tc == nil {
		return CallResult{}, fmt.Errorf("no call %d", id)
	}
	t := &in.mem.tcbs[tc.index]
	r := CallResult{Name: tc.name, Want: tc.want, Handled: int64(atomic.LoadUint64(&t.handled))}
	if atomic.LoadUint32(&t.state) == 0 {
		return r, nil
	}
	r.Done = true
	r.Ret = tc.script[len(tc.script)-1-afterCall].ret
	if r.Ret < 0 && r.Ret > -4096 {
		r.Errno = unix.ErrnoName(syscall.Errno(-r.Ret))
		r.Ret = -1
	}
	word := func(b []byte, i int) int64 { return int64(binary.NativeEndian.Uint64(b[8*i:])) }
	r.ElapsedNS = (word(tc.after, 1)-word(tc.before, 1))*1e9 + word(tc.after, 2) - word(tc.before, 2)
	r.MaskSame = word(tc.before, 0) == callMask && word(tc.after, 0) == callMask
	delete(in.calls, id)
	if err := in.end(int(t.tid)); err != nil {
		return r, err
	}
	tc.env.done()
	return r, nil
}

// done gives back what the call needed, the last first.
func (c *callEnv) done() {
	for _, f := range slices.Backward(c.undo) {
		f()
	}
	c.undo = nil
}
