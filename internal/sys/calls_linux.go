//go:build linux && (amd64 || arm64)

package sys

import "golang.org/x/sys/unix"

// endsEarly are the calls of which an early success is known (measured on Linux
// 6.18, with a program each).
var endsEarly = map[int]early{
	unix.SYS_WRITE:           lessThan(2),
	unix.SYS_PWRITE64:        lessThan(2),
	unix.SYS_WRITEV:          always,
	unix.SYS_PWRITEV:         always,
	unix.SYS_PWRITEV2:        always,
	unix.SYS_SENDTO:          lessThan(2),
	unix.SYS_SENDMSG:         always,
	unix.SYS_SENDMMSG:        lessThan(2),
	unix.SYS_RECVFROM:        withFlag(3, unix.MSG_WAITALL),
	unix.SYS_RECVMSG:         withFlag(2, unix.MSG_WAITALL),
	unix.SYS_RECVMMSG:        lessThan(2),
	unix.SYS_SENDFILE:        lessThan(3),
	unix.SYS_SPLICE:          lessThan(4),
	unix.SYS_TEE:             lessThan(2),
	unix.SYS_COPY_FILE_RANGE: lessThan(4),
	unix.SYS_READ:            large,
	unix.SYS_PREAD64:         large,
	unix.SYS_GETRANDOM:       lessThan(1),
	unix.SYS_IO_URING_ENTER:  waits,
	unix.SYS_IO_GETEVENTS:    lessThan(1),
	unix.SYS_CLOSE:           always, // a linger is cut short
}

var cutShort = []int{
	unix.SYS_WRITE, unix.SYS_PWRITE64, unix.SYS_WRITEV, unix.SYS_PWRITEV, unix.SYS_PWRITEV2,
	unix.SYS_SENDTO, unix.SYS_SENDMSG, unix.SYS_SENDMMSG, unix.SYS_RECVMMSG, unix.SYS_SENDFILE,
	unix.SYS_SPLICE, unix.SYS_TEE, unix.SYS_COPY_FILE_RANGE, unix.SYS_GETRANDOM,
	unix.SYS_IO_URING_ENTER, unix.SYS_IO_GETEVENTS, unix.SYS_CONNECT, unix.SYS_CLOSE,
}

var interrupted = map[int]Call{
	unix.SYS_EPOLL_PWAIT:     {"epoll_pwait", TimeoutMillis, 3, 0},
	unix.SYS_EPOLL_PWAIT2:    {"epoll_pwait2", TimeoutTimespec, 3, 0},
	unix.SYS_SEMOP:           {"semop", TimeoutNone, 0, 0},
	unix.SYS_SEMTIMEDOP:      {"semtimedop", TimeoutTimespec, 3, unix.EAGAIN},
	unix.SYS_RT_SIGTIMEDWAIT: {"rt_sigtimedwait", TimeoutTimespec, 2, unix.EAGAIN},
	unix.SYS_IO_GETEVENTS:    {"io_getevents", TimeoutTimespec, 4, 0},
	unix.SYS_IO_URING_ENTER:  {"io_uring_enter", TimeoutUring, 4, unix.ETIME},
	unix.SYS_RECVFROM:        {"recvfrom", TimeoutReceive, 0, unix.EAGAIN},
	unix.SYS_RECVMSG:         {"recvmsg", TimeoutReceive, 0, unix.EAGAIN},
	unix.SYS_RECVMMSG:        {"recvmmsg", TimeoutReceive, 0, unix.EAGAIN},
	unix.SYS_ACCEPT:          {"accept", TimeoutReceive, 0, unix.EAGAIN},
	unix.SYS_ACCEPT4:         {"accept4", TimeoutReceive, 0, unix.EAGAIN},
	unix.SYS_READ:            {"read", TimeoutReceive, 0, unix.EAGAIN},
	unix.SYS_READV:           {"readv", TimeoutReceive, 0, unix.EAGAIN},
	unix.SYS_SPLICE:          {"splice", TimeoutReceive, 0, unix.EAGAIN},
	unix.SYS_SENDTO:          {"sendto", TimeoutSend, 0, unix.EAGAIN},
	unix.SYS_SENDMSG:         {"sendmsg", TimeoutSend, 0, unix.EAGAIN},
	unix.SYS_SENDMMSG:        {"sendmmsg", TimeoutSend, 0, unix.EAGAIN},
	unix.SYS_WRITE:           {"write", TimeoutSend, 0, unix.EAGAIN},
	unix.SYS_WRITEV:          {"writev", TimeoutSend, 0, unix.EAGAIN},
	unix.SYS_SENDFILE:        {"sendfile", TimeoutSend, 0, unix.EAGAIN},
}
