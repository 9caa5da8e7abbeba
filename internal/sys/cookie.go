package sys

import "encoding/binary"

// Cookie is the value of the signals that a BPF program of ours sends to a tracee,
// as si_value beside SI_KERNEL: no process can send such a signal.
const Cookie uint64 = 0x6d617373_61747461

// offsets in a siginfo_t of 64 bits, and a code (include/uapi/asm-generic/siginfo.h)
const (
	siCode   = 8
	siValue  = 24
	siKernel = 0x80
)

// Ours says whether the signal is one that a program of ours has sent.
func (si *Siginfo) Ours() bool {
	return binary.NativeEndian.Uint32(si[siCode:]) == siKernel && binary.NativeEndian.Uint64(si[siValue:]) == Cookie
}
