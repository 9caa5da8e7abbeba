package attachertest

import "syscall"

// Call is a system call that a simulated thread is blocked in. Whenever it
// returns the thread notes the result and makes it again.
type Call struct {
	Nr   int // of this build's architecture
	Args [6]uint64
	// Interrupted is what the result register holds when a signal, or a
	// tracer, wakes the thread: -EINTR, one of the restarts below, or what the
	// call has done so far, if that is something.
	Interrupted int64
	// Disk says that only the end of the call wakes the thread (state D);
	// Killable that a fatal signal does, too, as in vfork.
	Disk, Killable bool
}

// What a call that the kernel restarts by itself leaves with
// (include/linux/errno.h): unless a handler runs that has no SA_RESTART, never
// mind which, unless a handler runs, and by restart_syscall(2).
const (
	RestartSys    = -512
	RestartNoIntr = -513
	RestartNoHand = -514
	RestartBlock  = -516
)

const (
	eintr  = -int64(syscall.EINTR)
	enoent = -int64(syscall.ENOENT)
)

func restarts(v int64) bool {
	return v == RestartSys || v == RestartNoIntr || v == RestartNoHand || v == RestartBlock
}

// Calls to be blocked in. EpollWait, Semop and Sigtimedwait fail with EINTR
// when their thread is woken; the others restart, or can't be woken.
var (
	EpollWait    = Call{Nr: nrEpollPwait, Args: [6]uint64{4, 0x7f00_0000_1000, 1, forever}, Interrupted: eintr}
	Semop        = Call{Nr: nrSemop, Args: [6]uint64{9, 0x7f00_0000_2000, 1}, Interrupted: eintr}
	Sigtimedwait = Call{Nr: nrSigtimedwait, Args: [6]uint64{0x7f00_0000_3000}, Interrupted: eintr}
	Futex        = Call{Nr: nrFutex, Args: [6]uint64{0x7f00_0000_4000, 128}, Interrupted: RestartSys}
	Pause        = Call{Nr: nrPpoll, Interrupted: RestartNoHand}
	Nanosleep    = Call{Nr: nrNanosleep, Args: [6]uint64{0x7f00_0000_5000}, Interrupted: RestartBlock}
	Read         = Call{Nr: nrRead, Args: [6]uint64{3, 0x7f00_0000_6000, 512}, Interrupted: RestartSys}
	Write        = Call{Nr: nrWrite, Args: [6]uint64{3, 0x7f00_0000_6000, 1 << 20}, Interrupted: 4096}
	Receive      = Call{Nr: nrRecvfrom, Args: [6]uint64{5, 0x7f00_0000_6000, 512}, Interrupted: eintr}
	Disk         = Call{Nr: nrRead, Args: [6]uint64{3, 0x7f00_0000_6000, 512}, Disk: true}
	Vfork        = Call{Nr: nrClone, Disk: true, Killable: true}
)

// forever is a time-out of -1 ms.
const forever = 1<<32 - 1
