//go:build linux && (amd64 || arm64)

package sys

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What the library that loads BPF objects can't do: link an iterator to one
// process (bpf(2), include/uapi/linux/bpf.h).

const traceIter = 28 // BPF_TRACE_ITER of enum bpf_attach_type

// iterTask is the task member of union bpf_iter_link_info, Linux 6.1; padded to
// the size of the union.
type iterTask struct{ tid, pid, pidFD, _ uint32 }

// LinkTaskIterator links the iterator prog to the threads of process pid, a
// number in the caller's PID namespace, and answers the link. EINVAL: Linux
// before 6.1. The process may end; the iterator then has nobody.
func LinkTaskIterator(prog, pid int) (*os.File, error) {
	info := iterTask{pid: uint32(pid)}
	attr := struct {
		prog, target, attach, flags uint32
		info                        unsafe.Pointer
		infoLen                     uint32
	}{prog: uint32(prog), attach: traceIter, info: unsafe.Pointer(&info), infoLen: uint32(unsafe.Sizeof(info))}
	return bpf("bpf link_create", unix.BPF_LINK_CREATE, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
}

// OpenIterator makes a file of a linked iterator, which can be read once.
func OpenIterator(link *os.File) (*os.File, error) {
	attr := struct{ link, flags uint32 }{link: uint32(link.Fd())}
	return bpf("bpf iter_create", unix.BPF_ITER_CREATE, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
}

// bpf makes a call whose answer is a file.
func bpf(name string, cmd uintptr, attr unsafe.Pointer, size uintptr) (*os.File, error) {
	fd, _, errno := unix.Syscall(unix.SYS_BPF, cmd, uintptr(attr), size)
	if errno != 0 {
		return nil, os.NewSyscallError(name, errno)
	}
	return os.NewFile(fd, name), nil
}
