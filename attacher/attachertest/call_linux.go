//go:build linux && (amd64 || arm64)

package attachertest

import "golang.org/x/sys/unix"

const (
	nrEpollPwait   = unix.SYS_EPOLL_PWAIT
	nrSemop        = unix.SYS_SEMOP
	nrSigtimedwait = unix.SYS_RT_SIGTIMEDWAIT
	nrFutex        = unix.SYS_FUTEX
	nrPpoll        = unix.SYS_PPOLL
	nrNanosleep    = unix.SYS_NANOSLEEP
	nrRead         = unix.SYS_READ
	nrWrite        = unix.SYS_WRITE
	nrRecvfrom     = unix.SYS_RECVFROM
	nrClone        = unix.SYS_CLONE
	nrExecve       = unix.SYS_EXECVE
)
