package sys

import "golang.org/x/sys/unix"

// arm64 has no epoll_wait; libraries use epoll_pwait there.
func init() {
	interrupted[unix.SYS_EPOLL_WAIT] = Call{"epoll_wait", TimeoutMillis, 3, 0}
}
