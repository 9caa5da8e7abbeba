package sys

import (
	"slices"
	"syscall"
)

// Timeout says where an interrupted call's relative time-out is to be found.
type Timeout uint8

const (
	TimeoutNone     Timeout = iota // the call has none
	TimeoutMillis                  // argument Arg: milliseconds as an int, negative for none
	TimeoutTimespec                // argument Arg: address of a struct timespec, 0 for none
	TimeoutReceive                 // SO_RCVTIMEO of the socket in argument Arg
	TimeoutSend                    // SO_SNDTIMEO of the socket in argument Arg
	TimeoutUring                   // struct io_uring_getevents_arg in argument 4, if the flags say so
)

// Call describes a system call that returns EINTR, and is not restarted by
// the kernel, when a traced thread is woken for a stop. Measured on Linux
// 6.18; the same on 5.10 to 7.2 where tried.
type Call struct {
	Name    string
	Timeout Timeout
	Arg     int
	// Expired is the errno that the call returns when its time is over; 0
	// when it returns 0.
	Expired syscall.Errno
}

// The bits of io_uring_enter(2)'s flags and the argument that matter here.
const (
	uringExtArg = 1 << 3 // IORING_ENTER_EXT_ARG, Linux 5.11
)

// UringTimeout reports whether an io_uring_enter with these arguments carries
// a struct io_uring_getevents_arg.
func UringTimeout(args [6]uint64) bool { return args[3]&uringExtArg != 0 && args[4] != 0 }

// OnlyWaits reports whether a call with these arguments did nothing but wait
// before it was interrupted, so that it may begin anew: an io_uring_enter that
// has something to submit may have done so.
func (c Call) OnlyWaits(args [6]uint64) bool {
	return c.Timeout != TimeoutUring || args[1] == 0
}

// early says of calls that a stop may have end early, and with a result instead
// of EINTR, when that is so: of these arguments and this result it can't be ruled
// out.
type early func(args [6]uint64, result int64) bool

// lessThan is for calls that do as much as argument arg says, or less.
func lessThan(arg int) early {
	return func(args [6]uint64, result int64) bool { return uint64(result) < args[arg] }
}

// withFlag is for calls that do so only with a flag in argument arg.
func withFlag(arg int, flag uint64) early {
	return func(args [6]uint64, _ int64) bool { return args[arg]&flag != 0 }
}

// always is for calls whose result does not tell.
func always([6]uint64, int64) bool { return true }

// large is for reads: small ones, and those of pipes and sockets, are never cut
// short.
func large(args [6]uint64, result int64) bool {
	const small = 64 << 10
	return args[2] > small && uint64(result) < args[2]
}

// waits is for an io_uring_enter that has something to wait for beside what it
// has submitted: its result is only how much that was.
func waits(args [6]uint64, _ int64) bool { return args[2] > 0 }

// EndedEarly reports whether a thread that is found on its way out of call number
// nr, with this result, may have left it before it was done, because it was
// woken. That can't be mended: what it has done is done.
func EndedEarly(nr int, args [6]uint64, result int64) bool {
	e := endsEarly[nr]
	return e != nil && result >= 0 && e(args, result)
}

// CutShort are the numbers of the calls that may end early when they are woken, and
// of connect, which can't be restarted. Those are left out for which that takes a
// flag, or a size, that most have not: recv with MSG_WAITALL, a large read.
func CutShort() []int { return cutShort }

// Interrupted describes the call with the number nr, false when the kernel
// restarts it by itself or nothing can be done for it. connect is none of
// them: a restarted one ends with EALREADY.
func Interrupted(nr int) (Call, bool) {
	c, ok := interrupted[nr]
	return c, ok
}

// Shows reports whether a call that is interrupted may tell: it returns EINTR, or
// early, or can't be made again. Those of which that takes a flag, a size or a
// socket's time-out are among them. All others are restarted by the kernel.
func Shows(nr int) bool {
	_, eintr := interrupted[nr]
	return eintr || endsEarly[nr] != nil || slices.Contains(cutShort, nr)
}
