package procfs

import "encoding/binary"

// The kernel numbers system calls for each ABI anew, and task/TID/syscall does
// not say which one it is talking of. The auxiliary vector does (getauxval(3)):
// its words have the size of the program's.

// abi is the kind of program that a process runs.
type abi byte

const (
	abiUnknown abi = iota
	abiNative      // 64-bit: the names of this build are right
	abiCompat      // 32-bit (i386, x32, arm): they are not
)

const (
	atNull    = 0       // the end, include/uapi/linux/auxvec.h
	atLargest = 1 << 16 // no key is that large
)

// parseAuxv tells the ABI from task/TID/auxv. Read as pairs of 64-bit words, a
// 32-bit vector has the value of every other entry in the upper half of a key,
// where a 64-bit one has zeros. One of the first few is never 0.
func parseAuxv(b []byte) abi {
	kind := abiUnknown
	for ; len(b) >= 16; b = b[16:] {
		key := binary.NativeEndian.Uint64(b)
		if key == atNull {
			break
		}
		if key >= atLargest {
			return abiCompat
		}
		kind = abiNative
	}
	return kind
}

// abi looks what thread tid runs. Unknown for a kernel thread or a zombie, which
// run nothing, and where it may not look.
func (p *Process) abi(tid int) abi {
	buf := files.Get().(*file)
	defer buf.free()
	b, err := p.readFile(tid, "auxv", buf)
	if err != nil {
		return abiUnknown
	}
	return parseAuxv(b)
}
