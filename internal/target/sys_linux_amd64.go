package target

import "golang.org/x/sys/unix"

// epollCall is the call of epoll threads; the fifth argument, a mask, is nil.
const epollCall = unix.SYS_EPOLL_WAIT

// archCalls are those that arm64 does not have.
var archCalls = []tableCall{
	{"epoll_wait_inf", "", func(c *callEnv) ([]step, error) { return c.onEpoll(unix.SYS_EPOLL_WAIT, ^uint64(0)) }},
	{"epoll_wait_to", "0", func(c *callEnv) ([]step, error) { return c.onEpoll(unix.SYS_EPOLL_WAIT, c.ms()) }},
	{"pause_inf", "", func(*callEnv) ([]step, error) { return one(unix.SYS_PAUSE) }},
	{"poll_to", "0", func(c *callEnv) ([]step, error) {
		at, err := c.pollfd()
		if err != nil {
			return nil, err
		}
		return one(unix.SYS_POLL, at, 1, c.ms())
	}},
}
