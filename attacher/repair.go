package attacher

import (
	"encoding/binary"
	"syscall"
	"time"

	"massattach/internal/sys"
)

// A traced thread that is woken for a stop leaves some system calls with
// EINTR although no handler runs, where an untraced one would not have been
// woken at all. At the stop the result can still be changed so that the call
// begins anew. This file does that at every stop that the target did not
// cause itself, and sees that a call with a time-out ends all the same.

// CanRepair says whether interrupted calls are repaired on this architecture.
const CanRepair = sys.CanRestart

// restarted is a call with a relative time-out that was made to begin anew.
type restarted struct {
	frame    sys.Frame
	first    time.Time     // of the first time
	timeout  time.Duration // unknownTimeout when it could not be read
	switches uint64        // voluntary context switches at the last stop
}

// spent marks an EINTR that the target would have seen untraced, and that is
// still on its way to it when the next stop comes.
type spent struct {
	set      bool
	switches uint64
}

const (
	unknownTimeout = -1
	// A call whose time-out can't be read is restarted for so long, then its
	// EINTR stays.
	patience = 5 * time.Second
)

// repair mends the call that a stop has interrupted.
//
// It leaves alone what untraced would have returned EINTR, too: the delivery
// of a signal that stops the process, the group-stop, and the stop that ends
// it. A call that is over when its thread stops for a signal of ours has ended by
// itself, or at a stop before: that signal is sent at the end of it.
func (t *tracer) repair(s Stop, n *note) {
	result, err := t.k.Result(s.TID)
	if err != nil || result < 0 && result != -int64(syscall.EINTR) {
		return
	}
	f, err := t.k.Frame(s.TID)
	if err != nil || f.Nr < 0 && !f.Compat {
		return // in user mode, or a second stop behind a handler
	}
	if result >= 0 {
		if s.Kind != StopNotify && sys.EndedEarly(f.Nr, f.Args, result) && !f.Compat && !t.owed(s, n) && !t.delivers(s) {
			t.s.stats.left.Add(1)
		}
		return
	}
	if t.owed(s, n) {
		return
	}
	call, known := sys.Interrupted(f.Nr)
	if f.Compat || !known || !sys.CanRestart || !call.OnlyWaits(f.Args) {
		t.s.stats.left.Add(1)
		return
	}
	timeout := t.timeout(s.TID, call, f)
	if timeout == 0 {
		t.restart(s)
		return
	}
	t.restartTimed(s, call, f, timeout)
}

// restart lets the call begin anew.
func (t *tracer) restart(s Stop) {
	if t.k.Restart(s.TID) != nil {
		t.s.stats.left.Add(1)
		return
	}
	t.s.stats.repaired.Add(1)
}

// restartTimed does so for a call with a time-out, which starts anew with it.
// A call that is interrupted again and again would never end: once its time
// has passed since the first restart it gets the result of its time-out.
func (t *tracer) restartTimed(s Stop, call sys.Call, f sys.Frame, timeout time.Duration) {
	st, err := t.s.process.Status(s.TID)
	if err != nil {
		t.restart(s)
		return
	}
	n := t.note(s.TID)
	now := t.s.now()
	// It is the call of last time if the registers are the same and it has
	// slept once more since, and stopped once.
	if c := n.call; c == nil || c.frame != f || st.VoluntarySwitches != c.switches+2 {
		n.call = &restarted{frame: f, first: now, timeout: timeout}
	}
	c := n.call
	c.switches = st.VoluntarySwitches
	passed := now.Sub(c.first)
	switch {
	case c.timeout == unknownTimeout && passed >= patience:
		t.s.stats.left.Add(1)
	case c.timeout != unknownTimeout && passed >= c.timeout && !handled(s, st.SigCgt):
		if t.k.SetResult(s.TID, -int64(call.Expired)) == nil {
			t.s.stats.repaired.Add(1)
		}
		n.call = nil
	default:
		t.restart(s)
		t.s.stats.extended.Add(1)
	}
}

// delivers says whether the stop delivers a signal that would have ended a call
// early untraced, too.
func (t *tracer) delivers(s Stop) bool {
	if s.Kind != StopSignal {
		return false
	}
	st, err := t.s.process.Status(s.TID)
	return err == nil && handled(s, st.SigCgt)
}

// handled says whether the stop delivers a signal that has a handler: the call
// then returns EINTR as it always does.
func handled(s Stop, caught uint64) bool {
	return s.Kind == StopSignal && has(caught, s.Signal)
}

func has(set uint64, sig syscall.Signal) bool {
	return sig > 0 && sig <= 64 && set&(1<<uint(sig-1)) != 0
}

// owed says whether the EINTR at stop s is the target's own.
func (t *tracer) owed(s Stop, n *note) bool {
	switch {
	case s.Kind == StopGroup:
		return true
	case s.Kind == StopSignal && s.Signal == syscall.SIGSTOP:
		return true
	case s.Kind == StopSignal && isStopSignal(s.Signal):
		st, err := t.s.process.Status(s.TID)
		return err == nil && !has(st.SigIgn|st.SigCgt, s.Signal)
	case n == nil:
		return false
	case s.Kind == StopTrap && n.job:
		// What comes next, SIGCONT's own delivery say, may find the thread
		// still on its way out of the same call.
		if st, err := t.s.process.Status(s.TID); err == nil {
			n.spent = spent{true, st.VoluntarySwitches}
		}
		return true
	case n.spent.set:
		// Still the same way out if it has not slept since, but for the stop
		// itself.
		st, err := t.s.process.Status(s.TID)
		if err == nil && st.VoluntarySwitches == n.spent.switches+1 {
			n.spent.switches++
			return true
		}
		n.spent = spent{}
	}
	return false
}

// timeout answers the relative time-out of an interrupted call: 0 for none,
// unknownTimeout when it could not be read.
func (t *tracer) timeout(tid int, call sys.Call, f sys.Frame) time.Duration {
	arg := f.Args[call.Arg]
	switch call.Timeout {
	case sys.TimeoutMillis:
		return max(0, time.Duration(int32(arg))*time.Millisecond)
	case sys.TimeoutTimespec:
		return t.timespec(tid, arg)
	case sys.TimeoutReceive, sys.TimeoutSend:
		d, err := t.k.SocketTimeout(t.s.pid, tid, int(int32(arg)), call.Timeout == sys.TimeoutSend)
		if err != nil {
			return unknownTimeout
		}
		return d
	case sys.TimeoutUring:
		if !sys.UringTimeout(f.Args) {
			return 0
		}
		// struct io_uring_getevents_arg: the address of the timespec is its
		// third word (include/uapi/linux/io_uring.h).
		var b [8]byte
		if t.k.ReadMemory(tid, arg+16, b[:]) != nil {
			return unknownTimeout
		}
		return t.timespec(tid, binary.NativeEndian.Uint64(b[:]))
	}
	return 0
}

// timespec reads a struct timespec of the target's.
func (t *tracer) timespec(tid int, addr uint64) time.Duration {
	if addr == 0 {
		return 0
	}
	var b [16]byte
	if t.k.ReadMemory(tid, addr, b[:]) != nil {
		return unknownTimeout
	}
	sec := int64(binary.NativeEndian.Uint64(b[:]))
	nsec := int64(binary.NativeEndian.Uint64(b[8:]))
	const longest = int64(1<<63-1) / int64(time.Second)
	if sec < 0 || sec >= longest {
		return 0 // centuries
	}
	return time.Duration(sec)*time.Second + time.Duration(nsec)
}
