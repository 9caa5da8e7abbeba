//go:build linux && (amd64 || arm64)

package sys

import (
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ReadMemory reads len(buf) bytes at addr of the thread tid
// (process_vm_readv(2)); a short read is an error, EFAULT.
func ReadMemory(tid int, addr uint64, buf []byte) error {
	if len(buf) == 0 {
		return nil
	}
	local := []unix.Iovec{{Base: unsafe.SliceData(buf), Len: uint64(len(buf))}}
	remote := []unix.RemoteIovec{{Base: uintptr(addr), Len: len(buf)}}
	n, err := unix.ProcessVMReadv(tid, local, remote, 0)
	if err != nil {
		return err
	}
	if n != len(buf) {
		return unix.EFAULT
	}
	return nil
}

// WriteMemory writes buf at addr of the thread tid, through /proc/TID/mem: unlike
// process_vm_writev(2) it writes where the target may only read, too (mm/gup.c,
// FOLL_FORCE; from Linux 6.12 on proc_mem.force_override may leave that to the
// tracer's own thread). A short write is an error, EFAULT.
func WriteMemory(tid int, addr uint64, buf []byte) error {
	fd, err := unix.Open("/proc/"+strconv.Itoa(tid)+"/mem", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for len(buf) > 0 {
		n, err := unix.Pwrite(fd, buf, int64(addr))
		if err == unix.EIO || err == nil && n == 0 {
			err = unix.EFAULT // what mem_rw says of an address that there is not
		}
		if err != nil {
			return err
		}
		buf, addr = buf[n:], addr+uint64(n)
	}
	return nil
}

// pidfdThread asks pidfd_open for a thread (Linux 6.9).
const pidfdThread = unix.O_EXCL

// SocketTimeout reads the SO_RCVTIMEO, or with send the SO_SNDTIMEO, of the
// socket fd of the thread tid of process pid, through a duplicate that lives
// for this call (pidfd_getfd(2), Linux 5.6). 0 is no time-out. ENOTSOCK: fd
// is something else.
func SocketTimeout(pid, tid, fd int, send bool) (time.Duration, error) {
	pfd, err := unix.PidfdOpen(tid, pidfdThread)
	if err != nil {
		pfd, err = unix.PidfdOpen(pid, 0)
	}
	if err != nil {
		return 0, err
	}
	defer unix.Close(pfd)
	dup, err := unix.PidfdGetfd(pfd, fd, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(dup)
	opt := unix.SO_RCVTIMEO
	if send {
		opt = unix.SO_SNDTIMEO
	}
	tv, err := unix.GetsockoptTimeval(dup, unix.SOL_SOCKET, opt)
	if err != nil {
		return 0, err
	}
	return time.Duration(tv.Nano()), nil
}
