package target

import "golang.org/x/sys/unix"

// epollCall is the call of epoll threads: arm64 has no epoll_wait, which
// epoll_pwait without a mask is.
const epollCall = unix.SYS_EPOLL_PWAIT

// archCalls are those of amd64 alone.
var archCalls []tableCall
