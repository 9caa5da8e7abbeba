//go:build linux && (amd64 || arm64)

package sys

import (
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Shared is memory that others write as well, a BPF program for example: each
// word is read and written in one go, and in the order of the program.
type Shared struct {
	Words []atomic.Uint64
	bytes []byte
}

// MapShared maps the first size bytes of a file (mmap(2)); the whole page at
// its end is mapped as well. The words must not be used after Close.
func MapShared(fd, size int) (*Shared, error) {
	page := os.Getpagesize()
	size = (size + page - 1) / page * page
	b, err := unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	// A page is aligned to more than a word.
	words := unsafe.Slice((*atomic.Uint64)(unsafe.Pointer(unsafe.SliceData(b))), size/8)
	return &Shared{words, b}, nil
}

// Close unmaps the memory.
func (s *Shared) Close() error {
	s.Words = nil
	return os.NewSyscallError("munmap", unix.Munmap(s.bytes))
}
