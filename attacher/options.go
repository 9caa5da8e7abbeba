package attacher

import (
	"fmt"
	"time"
)

// Follow says how a session hears of the threads that are born while it is
// attached.
type Follow uint8

const (
	// FollowEvent hears of births from the kernel (by BPF programs on
	// sched_process_fork and sched_process_exit), and seizes a newborn when it
	// has lived for Settle. Nothing is stopped, and one that ends before costs
	// next to nothing. It takes Linux 5.12 with BTF, and CAP_BPF with
	// CAP_PERFMON, or CAP_SYS_ADMIN; where something is missing it is
	// FollowScan instead, and [Report.FollowMissing] says what.
	FollowEvent Follow = iota
	// FollowScan lists the threads again from time to time. Nothing is
	// stopped; a newborn is free until the next listing, and for Settle.
	FollowScan
	// FollowClone has the kernel attach each newborn to its creator's tracer
	// (PTRACE_O_TRACECLONE). No newborn is ever free, but each birth stops
	// both: of a target that makes threads all the time half to a tenth of
	// its rate is left.
	FollowClone
	// FollowNone attaches to the threads that there are, and to no other.
	FollowNone
)

func (f Follow) String() string {
	switch f {
	case FollowEvent:
		return "event"
	case FollowScan:
		return "scan"
	case FollowClone:
		return "clone"
	case FollowNone:
		return "none"
	}
	return fmt.Sprintf("follow(%d)", uint8(f))
}

// ParseFollow is the inverse of String.
func ParseFollow(s string) (Follow, error) {
	for _, f := range []Follow{FollowEvent, FollowScan, FollowClone, FollowNone} {
		if s == f.String() {
			return f, nil
		}
	}
	return 0, fmt.Errorf("unknown follow mode %q", s)
}

// DefaultSettle is how long a newborn thread lives before it is worth a SEIZE
// and a reap.
const DefaultSettle = 10 * time.Millisecond

// DefaultShare is how many tracees a tracer thread is given.
const DefaultShare = 500

// Options of [Attach]; nil is the zero value, and that the default.
type Options struct {
	// Follow says how newborn threads are heard of.
	Follow Follow
	// Settle is how long a newborn lives before it is seized, DefaultSettle
	// when 0; negative: at once.
	Settle time.Duration
	// Share is how many tracees a tracer thread is given, DefaultShare when 0.
	// Each report costs it 25 ns a tracee, beside 9 µs of its own. With
	// FollowClone births may bring it to twice as many.
	Share int
	// Trace observes the session.
	Trace *Trace
	// KeepChildStops leaves this process's SIGCHLD as it is. Otherwise it
	// gets SA_NOCLDSTOP: each ptrace stop sends a SIGCHLD, and Go's handler
	// costs half as much as the stop. Who has os/signal notify it of
	// *stopped* children wants it kept.
	KeepChildStops bool

	// Kernel and Proc are the system, [Linux] and [ProcFS] of the zero FS
	// when nil.
	Kernel Kernel
	Proc   Proc
}

func (o *Options) withDefaults() Options {
	var v Options
	if o != nil {
		v = *o
	}
	switch {
	case v.Settle == 0:
		v.Settle = DefaultSettle
	case v.Settle < 0:
		v.Settle = 0
	}
	if v.Share <= 0 {
		v.Share = DefaultShare
	}
	if v.Kernel == nil {
		v.Kernel = Linux
	}
	if v.Proc == nil {
		v.Proc = ProcFS{}
	}
	if v.Trace == nil {
		v.Trace = new(Trace)
	}
	return v
}

// Trace is a set of functions that observe a session. Each may be nil. They
// are called for whole batches, from several goroutines at once, and must not
// block: tracer threads call them. Slices are the callee's only during the
// call.
type Trace struct {
	// Scanned is called after each read of the whole list of threads, with how many
	// it had. Not every pass of the report is one: the newest threads, or a count,
	// may be enough.
	Scanned func(threads int, took time.Duration)
	// Seized is called with how long each SEIZE of a batch took.
	Seized func(took []time.Duration)
	// Attached is called once, when [Attach] succeeds, with the session that it
	// is about to answer: its Report may be asked for from now on, also from the
	// other functions and when it has ended.
	Attached func(s *Session, took time.Duration)
	// Broken is called once, when Attach fails.
	Broken func(error)
	// Forwarded is called with how long signals stood still with us, from
	// the report of a signal-delivery-stop to its delivery.
	Forwarded func(took []time.Duration)
	// Detached is called once, when the last tracer of a session that was
	// attached has ended.
	Detached func(s *Session, took time.Duration)
	// Mistaken is called when a thread moved as no thread can: a mistake of
	// this package's. The thread runs on all the same.
	Mistaken func(error)
}
