//go:build linux && (amd64 || arm64)

package target

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// earlyCalls return what they have done so far when they are woken, or can't be
// begun anew.
var earlyCalls = []tableCall{
	{"write_pipe_inf", "", func(c *callEnv) ([]step, error) {
		_, w, err := c.pipe()
		return c.on(err, unix.SYS_WRITE, w, c.bytes(2*pipeSize), 2*pipeSize)
	}},
	{"sendfile_sock_inf", "", func(c *callEnv) ([]step, error) {
		w, _, err := c.pair(0)
		file, err2 := unix.MemfdCreate("8 MiB", unix.MFD_CLOEXEC)
		if err2 == nil {
			c.closeFD(file)
			err2 = unix.Ftruncate(file, 8<<20)
		}
		return c.on(errors.Join(err, err2), unix.SYS_SENDFILE, w, uint64(file), 0, 8<<20)
	}},
	{"connect_to", "EINPROGRESS", func(c *callEnv) ([]step, error) {
		// Nobody accepts, and the queue of those who wait for that is full.
		l, name, err := c.listen()
		for range 4 {
			if err == nil {
				err = c.knock(name)
			}
		}
		fd, err2 := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err = errors.Join(err, err2); err != nil {
			return nil, fmt.Errorf("connect to %d: %w", l, err)
		}
		c.closeFD(fd)
		in4, ok := name.(*unix.SockaddrInet4)
		if !ok {
			return nil, errors.New("no IPv4 address")
		}
		addr := c.words(unix.AF_INET|uint64(in4.Port>>8&0xff|in4.Port&0xff<<8)<<16|0x0100007f<<32, 0)
		return c.on(c.setTimeout(fd, unix.SO_SNDTIMEO), unix.SYS_CONNECT, fd, addr, 16)
	}},
	{"close_linger_to", "0", func(c *callEnv) ([]step, error) {
		fd, err := c.lingering()
		return c.on(err, unix.SYS_CLOSE, fd)
	}},
}

// pipeSize is how much a pipe holds.
const pipeSize = 64 << 10

// knock begins to connect to a listening socket.
func (c *callEnv) knock(name unix.Sockaddr) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	c.closeFD(fd)
	if err := unix.Connect(fd, name); err != unix.EINPROGRESS {
		return err
	}
	return nil
}

// lingering is a connected socket whose close waits for the time-out, in seconds, because the
// other side does not read what it has sent. Its close is the call's.
func (c *callEnv) lingering() (int, error) {
	l, name, err := c.listen()
	if err != nil {
		return 0, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	if err := unix.Connect(fd, name); err != nil {
		return 0, fmt.Errorf("connect: %w", err)
	}
	peer, _, err := unix.Accept4(l, unix.SOCK_CLOEXEC)
	if err != nil {
		return 0, fmt.Errorf("accept4: %w", err)
	}
	c.closeFD(peer)
	b := make([]byte, 1<<16)
	for unix.Sendto(fd, b, unix.MSG_DONTWAIT, nil) == nil {
	}
	return fd, unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: int32(max(1, c.timeout/time.Second))})
}
