//go:build linux && (amd64 || arm64)

package target

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// This file and the assembly beside it are all that is unsafe here.

// What a thread does once its script has run.
const (
	modeBlock = iota // the call, again and again; a result is counted as early
	modeSys          // the same without pause, a result is expected
	modeSpin         // reads the clock
	modeChurn        // makes threads that end at once
	modePair         // writes its pair, makes the call, again and again
	modeExit         // ends
)

// What tcb.ctl asks of a thread. Each looks at it when its call comes back
// other than by EINTR; a thread in user mode, on every turn.
const (
	ctlRun    = iota
	ctlEnd    // leave
	ctlScript // set the mask and run the script anew, then go on as tcb.mode says
)

// A tcb is the control block of one thread. The counters are written by their
// thread alone, by plain stores; the rest by whoever starts the thread, before,
// or under ctl. The assembly uses these names.
type tcb struct {
	nr   uint64    // the call
	args [6]uint64 // its arguments

	ctl   uint32 // see ctlRun
	state uint32 // 1: the script has run
	tid   uint32 // cleared by the kernel when the thread has ended
	word  uint32 // futex of its own; 1 when it is woken

	mode   uint32
	kind   uint32
	script uint64 // address of steps
	steps  uint64 // how many
	mask   uint64 // its signal mask

	// The counters, in the order of ThreadAccount.Counters.
	eintr   uint64
	early   uint64
	calls   uint64
	handled uint64 // handler runs on its stack

	last  int64  // the last result that was early
	gap   uint64 // the longest hole, in ticks
	stack uint64 // churn: stack of the child
	child uint32 // churn: tid of the child, cleared by the kernel
	_     uint32

	buf  [16]byte // an epoll_event, a byte read
	sem  [6]byte  // a sembuf
	used bool
	slot uint8    // recv: slot number
	ts   [2]int64 // a timespec
	aux  [2]int32 // descriptors, or semaphore set and number
	born int64    // CLOCK_MONOTONIC
	end  [2]int64 // a timespec

	// pair: which round it is. In user mode the one is ahead of the other.
	first, second uint64
}

// A step is one system call of a script.
type step struct {
	nr   uint64
	args [6]uint64
	ret  int64
}

// A record is what the handler writes to. The assembly uses these names.
type record struct {
	stackBase uint64
	stackLen  uint64
	tcbBase   uint64
	sender    uint32 // si_pid of queued signals; 0: any
	nslots    uint32
	strays    uint64
	runs      [65]uint64
	slots     [MaxSlots]slot
}

// A slot is a receiver of queued signals: si_value is slot<<32 | sequence.
type slot struct {
	last     uint64 // sequence number of the last one
	received uint64
	order    uint64
	payload  uint64
	tcb      uint64 // address of the receiver's
	sent     uint64 // by the sender, which is the only one to write it
	_        [2]uint64
}

const (
	stackShift = 14 // 16 KiB, only touched when a handler runs
	tcbShift   = 8
)

// The assembly shifts by tcbShift.
var _ = [1]struct{}{}[unsafe.Sizeof(tcb{})-1<<tcbShift]

// handlers is where the handler finds its record.
var handlers *record

// handlerPC and restorerPC are the addresses of the handler and of what it
// returns to.
func handlerPC() uintptr
func restorerPC() uintptr

// clone starts thread on t. It returns a tid, or a negative errno.
//
//go:noescape
func clone(flags, stack uintptr, t *tcb) int

// become turns the calling thread into thread and never returns.
//
//go:noescape
func become(stack uintptr, t *tcb)

// ticks reads the counter that spin threads read.
func ticks() int64

//go:linkname entersyscall runtime.entersyscall
func entersyscall()

// becomeThread turns the calling, locked thread into a thread under test. The
// runtime takes it for one that is in a system call for ever.
//
//go:nosplit
//go:norace
func becomeThread(stack uintptr, t *tcb) {
	entersyscall()
	become(stack, t)
}

const (
	futexWaitPrivate = 0 | 128
	futexWakePrivate = 1 | 128
)

const threadFlags = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND |
	unix.CLONE_THREAD | unix.CLONE_SYSVSEM | unix.CLONE_PARENT_SETTID | unix.CLONE_CHILD_CLEARTID

// memory holds the control blocks, the stacks, and what calls point to. It is
// outside the Go heap: thread addresses never move.
type memory struct {
	tcbs   []tcb
	stacks uintptr
	arena  []byte
	off    int
}

func newMemory(n int) (*memory, error) {
	pages := func(size int) ([]byte, error) {
		b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
		if err == nil {
			_ = unix.Madvise(b, unix.MADV_NOHUGEPAGE) // EINVAL: a kernel without
		}
		return b, err
	}
	blocks, err := pages(n << tcbShift)
	if err != nil {
		return nil, fmt.Errorf("memory of %d threads: %w", n, err)
	}
	stacks, err := pages(n << stackShift)
	if err != nil {
		return nil, fmt.Errorf("stacks of %d threads: %w", n, err)
	}
	arena, err := pages(64 << 20)
	if err != nil {
		return nil, err
	}
	rec, err := pages(int(unsafe.Sizeof(record{})))
	if err != nil {
		return nil, err
	}
	m := &memory{
		tcbs:   unsafe.Slice((*tcb)(unsafe.Pointer(&blocks[0])), n),
		stacks: uintptr(unsafe.Pointer(&stacks[0])),
		arena:  arena,
	}
	handlers = (*record)(unsafe.Pointer(&rec[0]))
	handlers.stackBase, handlers.stackLen = uint64(m.stacks), uint64(len(stacks))
	handlers.tcbBase = addr(&m.tcbs[0])
	return m, nil
}

// alloc returns memory that calls may point to, and its address. There is no free.
func (m *memory) alloc(n int) ([]byte, uint64) {
	n = max(n, 1)
	if m.off+n > len(m.arena) {
		fatal(fmt.Errorf("out of memory for calls"))
	}
	b := m.arena[m.off : m.off+n : m.off+n]
	m.off += (n + 63) &^ 63
	return b, addr(&b[0])
}

// script returns n steps, and their address.
func (m *memory) script(n int) ([]step, uint64) {
	b, at := m.alloc(n * int(unsafe.Sizeof(step{})))
	return unsafe.Slice((*step)(unsafe.Pointer(&b[0])), n), at
}

// cstring copies s, with a final NUL, and returns its address.
func (m *memory) cstring(s string) uint64 {
	b, at := m.alloc(len(s) + 1)
	copy(b, s)
	return at
}

// stack is the top of the stack of thread i.
func (m *memory) stack(i int) uintptr { return m.stacks + uintptr(i+1)<<stackShift - 16 }

func (m *memory) clone(i int) (int, error) {
	r := clone(threadFlags, m.stack(i), &m.tcbs[i])
	if r < 0 {
		return 0, syscall.Errno(-r)
	}
	return r, nil
}

// addr is the address of something in a memory.
func addr[T any](p *T) uint64 { return uint64(uintptr(unsafe.Pointer(p))) }

// call makes a system call that may sleep. What args point to is in a memory.
func call(nr uintptr, args ...uint64) (int, error) {
	var a [6]uintptr
	for i, v := range args {
		a[i] = uintptr(v)
	}
	r, _, e := unix.Syscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5])
	if e != 0 {
		return -1, e
	}
	return int(r), nil
}

// quick makes a system call that does not sleep, and tells the runtime nothing.
func quick(nr uintptr, args ...uint64) (int, error) {
	var a [6]uintptr
	for i, v := range args {
		a[i] = uintptr(v)
	}
	r, _, e := unix.RawSyscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5])
	if e != 0 {
		return -1, e
	}
	return int(r), nil
}

// futexWait sleeps while *p is v. p may be in the Go heap: it does not move.
func futexWait(p *atomic.Uint32, v uint32) {
	_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(p)), futexWaitPrivate, uintptr(v), 0, 0, 0)
	runtime.KeepAlive(p)
}

func futexWake(p *atomic.Uint32) {
	_, _, _ = unix.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(p)), futexWakePrivate, 1, 0, 0, 0)
	runtime.KeepAlive(p)
}

// setMask sets the signal mask of the calling thread.
func setMask(mask uint64) {
	_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&mask)), 0, 8, 0, 0)
}

// sigaction is the kernel's struct, on amd64 and arm64 alike.
type sigaction struct {
	handler, flags, restorer, mask uint64
}

// setAction sets a disposition, behind the back of the Go runtime.
func setAction(sig int, a sigaction) error {
	if _, _, e := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&a)), 0, 8, 0, 0); e != 0 {
		return e
	}
	return nil
}

// getAction says what a disposition is: default, ignore or handle.
func getAction(sig int) Disposition {
	var a sigaction
	_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), 0, uintptr(unsafe.Pointer(&a)), 8, 0, 0)
	switch a.handler {
	case 0:
		return SigDefault
	case 1:
		return SigIgnore
	}
	return SigHandle
}

// setComm names the calling thread.
func setComm(name string) {
	var b [16]byte
	copy(b[:15], name)
	_, _, _ = unix.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_NAME, uintptr(unsafe.Pointer(&b)), 0, 0, 0, 0)
}
