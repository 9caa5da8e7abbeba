//go:build linux && (amd64 || arm64)

package target

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// socketCalls wait on sockets that have a time-out, which EINTR reaches.
var socketCalls = []tableCall{
	{"recv_unix_to", "EAGAIN", func(c *callEnv) ([]step, error) {
		fd, _, err := c.pair(unix.SO_RCVTIMEO)
		return c.on(err, unix.SYS_RECVFROM, fd, c.bytes(1), 1)
	}},
	{"read_sock_to", "EAGAIN", func(c *callEnv) ([]step, error) {
		fd, _, err := c.pair(unix.SO_RCVTIMEO)
		return c.on(err, unix.SYS_READ, fd, c.bytes(1), 1)
	}},
	{"readv_sock_to", "EAGAIN", func(c *callEnv) ([]step, error) {
		fd, _, err := c.pair(unix.SO_RCVTIMEO)
		return c.on(err, unix.SYS_READV, fd, c.words(c.bytes(1), 1), 1)
	}},
	{"recvmsg_tcp_to", "EAGAIN", func(c *callEnv) ([]step, error) {
		fd, err := c.tcp()
		return c.on(errors.Join(err, c.setTimeout(fd, unix.SO_RCVTIMEO)), unix.SYS_RECVMSG, fd, c.msghdr())
	}},
	{"recv_waitall_to", "3", func(c *callEnv) ([]step, error) {
		fd, other, err := c.pair(unix.SO_RCVTIMEO)
		if err == nil {
			_, err = unix.Write(other, []byte("abc"))
		}
		return c.on(err, unix.SYS_RECVFROM, fd, c.bytes(10), 10, unix.MSG_WAITALL)
	}},
	{"accept_to", "EAGAIN", func(c *callEnv) ([]step, error) {
		fd, _, err := c.listen()
		return c.on(errors.Join(err, c.setTimeout(fd, unix.SO_RCVTIMEO)), unix.SYS_ACCEPT, fd)
	}},
	{"accept4_to", "EAGAIN", func(c *callEnv) ([]step, error) {
		fd, _, err := c.listen()
		return c.on(errors.Join(err, c.setTimeout(fd, unix.SO_RCVTIMEO)), unix.SYS_ACCEPT4, fd)
	}},
	{"send_unix_to", "EAGAIN", func(c *callEnv) ([]step, error) {
		fd, err := c.full()
		return c.on(err, unix.SYS_SENDTO, fd, c.bytes(4096), 4096)
	}},
	{"write_sock_to", "EAGAIN", func(c *callEnv) ([]step, error) {
		fd, err := c.full()
		return c.on(err, unix.SYS_WRITE, fd, c.bytes(4096), 4096)
	}},
	{"recvmmsg_timeout_norcvto", "", func(c *callEnv) ([]step, error) {
		// Its own time-out is looked at between messages only.
		fd, _, err := c.pair(0)
		return c.on(err, unix.SYS_RECVMMSG, fd, c.msghdr(), 1, 0, c.timespec())
	}},
	{"recvmmsg_rcvto", "EAGAIN", func(c *callEnv) ([]step, error) {
		fd, _, err := c.pair(unix.SO_RCVTIMEO)
		return c.on(err, unix.SYS_RECVMMSG, fd, c.msghdr(), 1, 0, 0)
	}},
	{"sendfile_sock_to", "EAGAIN", func(c *callEnv) ([]step, error) {
		fd, err := c.full()
		file, err2 := unix.Open("/proc/thread-self/exe", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err2 == nil {
			c.closeFD(file)
		}
		return c.on(errors.Join(err, err2), unix.SYS_SENDFILE, fd, uint64(file), 0, 4096)
	}},
	{"splice_sock_to", "EAGAIN", func(c *callEnv) ([]step, error) {
		fd, _, err := c.pair(unix.SO_RCVTIMEO)
		_, w, err2 := c.pipe()
		return c.on(errors.Join(err, err2), unix.SYS_SPLICE, fd, 0, uint64(w), 0, 10, 0)
	}},
}

func (c *callEnv) on(err error, nr uint64, fd int, rest ...uint64) ([]step, error) {
	if err != nil {
		return nil, err
	}
	return one(nr, append([]uint64{uint64(fd)}, rest...)...)
}

// setTimeout sets SO_RCVTIMEO or SO_SNDTIMEO.
func (c *callEnv) setTimeout(fd, option int) error {
	tv := unix.NsecToTimeval(int64(c.timeout))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, option, &tv); err != nil {
		return fmt.Errorf("set the time-out of a socket: %w", err)
	}
	return nil
}

// pair is two connected sockets, the first with a time-out, if option is not 0.
func (c *callEnv) pair(option int) (int, int, error) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, 0, fmt.Errorf("socketpair: %w", err)
	}
	c.closeFD(p[0])
	c.closeFD(p[1])
	if option != 0 {
		err = c.setTimeout(p[0], option)
	}
	return p[0], p[1], err
}

// full is a socket that takes no more.
func (c *callEnv) full() (int, error) {
	fd, _, err := c.pair(unix.SO_SNDTIMEO)
	if err != nil {
		return 0, err
	}
	b := make([]byte, 4096)
	for unix.Sendto(fd, b, unix.MSG_DONTWAIT, nil) == nil {
	}
	return fd, nil
}

// listen is a listening socket of the loopback, and its address.
func (c *callEnv) listen() (int, unix.Sockaddr, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, nil, fmt.Errorf("socket: %w", err)
	}
	c.closeFD(fd)
	err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	if err == nil {
		err = unix.Listen(fd, 1)
	}
	if err != nil {
		return fd, nil, fmt.Errorf("listen: %w", err)
	}
	name, err := unix.Getsockname(fd)
	return fd, name, err
}

// tcp is the connected end of a TCP connection.
func (c *callEnv) tcp() (int, error) {
	l, name, err := c.listen()
	if err != nil {
		return 0, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("socket: %w", err)
	}
	c.closeFD(fd)
	if err := unix.Connect(fd, name); err != nil {
		return 0, fmt.Errorf("connect: %w", err)
	}
	peer, _, err := unix.Accept4(l, unix.SOCK_CLOEXEC)
	if err != nil {
		return 0, fmt.Errorf("accept4: %w", err)
	}
	c.closeFD(peer)
	return fd, nil
}

// msghdr is the address of a struct mmsghdr, which begins with a msghdr, of
// one byte.
func (c *callEnv) msghdr() uint64 {
	iov := c.words(c.bytes(1), 1)
	return c.words(0, 0, iov, 1, 0, 0, 0, 0)
}
