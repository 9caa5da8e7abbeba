//go:build linux && (amd64 || arm64)

package target

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// waitCalls wait for events, semaphores, signals, messages, time.
var waitCalls = []tableCall{
	{"epoll_pwait_inf", "", func(c *callEnv) ([]step, error) {
		return c.onEpoll(unix.SYS_EPOLL_PWAIT, ^uint64(0), c.mask(), 8)
	}},
	{"epoll_pwait_to", "0", func(c *callEnv) ([]step, error) {
		return c.onEpoll(unix.SYS_EPOLL_PWAIT, c.ms(), c.mask(), 8)
	}},
	{"epoll_pwait2_inf", "", func(c *callEnv) ([]step, error) {
		return c.onEpoll(unix.SYS_EPOLL_PWAIT2, 0, c.mask(), 8)
	}},
	{"epoll_pwait2_to", "0", func(c *callEnv) ([]step, error) {
		return c.onEpoll(unix.SYS_EPOLL_PWAIT2, c.timespec(), c.mask(), 8)
	}},
	{"semop_inf", "", func(c *callEnv) ([]step, error) { return c.onSem(unix.SYS_SEMOP) }},
	{"semtimedop_to", "EAGAIN", func(c *callEnv) ([]step, error) { return c.onSem(unix.SYS_SEMTIMEDOP, c.timespec()) }},
	{"sigtimedwait_to", "EAGAIN", func(c *callEnv) ([]step, error) {
		return one(unix.SYS_RT_SIGTIMEDWAIT, c.words(1<<(unix.SIGHUP-1)), 0, c.timespec(), 8)
	}},
	{"sigwaitinfo_inf", "", func(c *callEnv) ([]step, error) {
		return one(unix.SYS_RT_SIGTIMEDWAIT, c.words(1<<(unix.SIGHUP-1)), 0, 0, 8)
	}},
	{"sigsuspend_inf", "", func(c *callEnv) ([]step, error) { return one(unix.SYS_RT_SIGSUSPEND, c.mask(), 8) }},
	{"io_getevents_inf", "", func(c *callEnv) ([]step, error) { return c.onAIO(unix.SYS_IO_GETEVENTS, 0) }},
	{"io_getevents_to", "0", func(c *callEnv) ([]step, error) { return c.onAIO(unix.SYS_IO_GETEVENTS, c.timespec()) }},
	{"io_pgetevents_inf", "", func(c *callEnv) ([]step, error) {
		return c.onAIO(unix.SYS_IO_PGETEVENTS, 0, c.words(c.mask(), 8))
	}},
	{"io_pgetevents_to", "0", func(c *callEnv) ([]step, error) {
		return c.onAIO(unix.SYS_IO_PGETEVENTS, c.timespec(), c.words(c.mask(), 8))
	}},
	{"msgrcv_inf", "", func(c *callEnv) ([]step, error) {
		id, err := quick(unix.SYS_MSGGET, unix.IPC_PRIVATE, 0o600)
		if err != nil {
			return nil, fmt.Errorf("msgget: %w", err)
		}
		res := &c.in.res
		res.msgs = append(res.msgs, id)
		c.onDone(func() {
			removeSysV(SysV{Msg: []int{id}})
			res.msgs = slices.DeleteFunc(res.msgs, func(v int) bool { return v == id })
		})
		return one(unix.SYS_MSGRCV, uint64(id), c.bytes(16), 8, 7, 0)
	}},
	{"mq_timedreceive_to", "ETIMEDOUT", func(c *callEnv) ([]step, error) {
		name := c.in.mem.cstring(fmt.Sprintf("massattach-%d-%d", c.in.pid, c.in.nextID))
		attr := c.words(0, 1, 8, 0, 0, 0, 0, 0) // one message of 8 bytes
		fd, err := quick(unix.SYS_MQ_OPEN, name, unix.O_CREAT|unix.O_RDWR|unix.O_CLOEXEC, 0o600, attr)
		if err != nil {
			return nil, fmt.Errorf("mq_open: %w", err)
		}
		c.closeFD(fd)
		if _, err := quick(unix.SYS_MQ_UNLINK, name); err != nil {
			return nil, fmt.Errorf("mq_unlink: %w", err)
		}
		var ts unix.Timespec
		_ = unix.ClockGettime(unix.CLOCK_REALTIME, &ts)
		end := ts.Nano() + int64(c.timeout)
		at := c.words(uint64(end/int64(time.Second)), uint64(end%int64(time.Second)))
		return one(unix.SYS_MQ_TIMEDRECEIVE, uint64(fd), c.bytes(8), 8, 0, at)
	}},
	{"ppoll_to", "0", func(c *callEnv) ([]step, error) { return c.onPoll(c.timespec()) }},
	{"ppoll_inf", "", func(c *callEnv) ([]step, error) { return c.onPoll(0) }},
	{"pselect6_to", "0", func(c *callEnv) ([]step, error) { return c.onSelect(c.timespec()) }},
	{"pselect6_inf", "", func(c *callEnv) ([]step, error) { return c.onSelect(0) }},
	{"nanosleep_to", "0", func(c *callEnv) ([]step, error) { return one(unix.SYS_NANOSLEEP, c.timespec(), 0) }},
	{"futex_to", "ETIMEDOUT", func(c *callEnv) ([]step, error) {
		return one(unix.SYS_FUTEX, c.words(0), futexWaitPrivate, 0, c.timespec())
	}},
	{"futex_inf", "", func(c *callEnv) ([]step, error) { return one(unix.SYS_FUTEX, c.words(0), futexWaitPrivate, 0, 0) }},
}

// onEpoll waits on an empty epoll: descriptor, events, how many, and rest.
func (c *callEnv) onEpoll(nr uint64, rest ...uint64) ([]step, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	c.closeFD(fd)
	return one(nr, append([]uint64{uint64(fd), c.bytes(16), 1}, rest...)...)
}

func (c *callEnv) onSem(nr uint64, rest ...uint64) ([]step, error) {
	var t tcb
	if err := c.in.semFor(&t); err != nil {
		return nil, err
	}
	c.onDone(func() { c.in.res.freeSems = append(c.in.res.freeSems, [2]int{int(t.aux[0]), int(t.aux[1])}) })
	b, at := c.in.mem.alloc(8)
	binary.NativeEndian.PutUint16(b, uint16(t.aux[1]))
	binary.NativeEndian.PutUint16(b[2:], 0xffff)
	return one(nr, append([]uint64{uint64(t.aux[0]), at, 1}, rest...)...)
}

func (c *callEnv) onAIO(nr uint64, rest ...uint64) ([]step, error) {
	b, at := c.in.mem.alloc(8)
	if _, err := quick(unix.SYS_IO_SETUP, 8, at); err != nil {
		return nil, fmt.Errorf("io_setup: %w", err)
	}
	ctx := binary.NativeEndian.Uint64(b)
	c.onDone(func() { _, _ = call(unix.SYS_IO_DESTROY, ctx) })
	return one(nr, append([]uint64{ctx, 1, 1, c.bytes(32)}, rest...)...)
}

func (c *callEnv) onPoll(timeout uint64) ([]step, error) {
	at, err := c.pollfd()
	if err != nil {
		return nil, err
	}
	return one(unix.SYS_PPOLL, at, 1, timeout, c.mask(), 8)
}

// pollfd is the address of a struct pollfd on an empty pipe.
func (c *callEnv) pollfd() (uint64, error) {
	r, _, err := c.pipe()
	return c.words(uint64(r) | unix.POLLIN<<32), err
}

func (c *callEnv) onSelect(timeout uint64) ([]step, error) {
	r, _, err := c.pipe()
	if err != nil {
		return nil, err
	}
	b, at := c.in.mem.alloc(r/8 + 9) // fd_set: whole words
	words := b[r/64*8:]
	binary.NativeEndian.PutUint64(words, 1<<(r%64))
	return one(unix.SYS_PSELECT6, uint64(r+1), at, 0, 0, timeout, c.words(c.mask(), 8))
}
