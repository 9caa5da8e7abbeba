//go:build linux && (amd64 || arm64)

package target

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// What is needed of linux/io_uring.h.
const (
	ringGetEvents = 1
	ringExtArg    = 8
	ringOpRead    = 22
	ringSQEs      = 0x10000000 // where to mmap them
	ringParams    = 120        // size of struct io_uring_params
	ringSQTail    = 44         // sq_off.tail in it
	ringSQArray   = 64         // sq_off.array
	ringSQE       = 64         // size
)

// ringCalls wait in io_uring_enter.
var ringCalls = []tableCall{
	{"uring_wait_inf", "", func(c *callEnv) ([]step, error) { return c.enter(0, ringGetEvents) }},
	{"uring_wait_mask_inf", "", func(c *callEnv) ([]step, error) { return c.enter(0, ringGetEvents, c.mask(), 8) }},
	{"uring_wait_ext_to", "ETIME", func(c *callEnv) ([]step, error) {
		return c.enter(0, ringGetEvents|ringExtArg, c.words(c.mask(), 8, c.timespec()), 24)
	}},
	{"uring_submit_wait_inf", "", func(c *callEnv) ([]step, error) { return c.enter(1, ringGetEvents) }},
	{"uring_submitted_then_wait_inf", "", func(c *callEnv) ([]step, error) {
		first, err := c.enter(1, 0)
		if err != nil {
			return nil, err
		}
		first[0].args[2] = 0
		fd := first[0].args[0]
		return append(first, step{nr: unix.SYS_IO_URING_ENTER, args: [6]uint64{fd, 0, 1, ringGetEvents}}), nil
	}},
}

// enter waits for one completion of a new ring, having submitted a read that
// will not end, or nothing.
func (c *callEnv) enter(submit, flags uint64, rest ...uint64) ([]step, error) {
	p, at := c.in.mem.alloc(ringParams)
	fd, err := call(unix.SYS_IO_URING_SETUP, 4, at)
	if err != nil {
		return nil, fmt.Errorf("io_uring_setup: %w", err)
	}
	c.closeFD(fd)
	if submit > 0 {
		if err := c.queueRead(fd, p); err != nil {
			return nil, err
		}
	}
	return one(unix.SYS_IO_URING_ENTER, append([]uint64{uint64(fd), submit, 1, flags}, rest...)...)
}

// queueRead puts a read of an empty pipe into a ring's first entry.
func (c *callEnv) queueRead(fd int, params []byte) error {
	u32 := func(at int) int { return int(binary.NativeEndian.Uint32(params[at:])) }
	entries, tail, array := u32(0), u32(ringSQTail), u32(ringSQArray)
	sq, err := c.mmap(fd, 0, array+4*entries)
	if err != nil {
		return err
	}
	sqes, err := c.mmap(fd, ringSQEs, entries*ringSQE)
	if err != nil {
		return err
	}
	r, _, err := c.pipe()
	if err != nil {
		return err
	}
	clear(sqes[:ringSQE])
	sqes[0] = ringOpRead
	binary.NativeEndian.PutUint32(sqes[4:], uint32(r))
	binary.NativeEndian.PutUint64(sqes[8:], ^uint64(0)) // at the file's position
	binary.NativeEndian.PutUint64(sqes[16:], c.bytes(1))
	binary.NativeEndian.PutUint32(sqes[24:], 1)
	binary.NativeEndian.PutUint32(sq[array:], 0)
	binary.NativeEndian.PutUint32(sq[tail:], 1) // the thread that submits is made after this
	return nil
}

func (c *callEnv) mmap(fd int, off int64, size int) ([]byte, error) {
	b, err := unix.Mmap(fd, off, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, fmt.Errorf("mmap a ring: %w", err)
	}
	c.onDone(func() { _ = unix.Munmap(b) })
	return b, nil
}
