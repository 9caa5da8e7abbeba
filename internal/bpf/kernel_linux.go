//go:build linux && (amd64 || arm64)

package bpf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"massattach/internal/sys"
)

// explain says what op lacks. The errors of the library go on for pages about
// the verifier; that is left to who unwraps it.
func explain(op string, err error) error {
	reason := ""
	switch {
	case errors.Is(err, fs.ErrPermission):
		reason = "it takes CAP_BPF and CAP_PERFMON (or CAP_SYS_ADMIN) in the initial user namespace"
	case !hasBTF():
		reason = "the kernel does not describe itself: no " + sys.BTFPath + " (CONFIG_DEBUG_INFO_BTF)"
	case errors.Is(err, ebpf.ErrNotSupported), errors.Is(err, ebpf.ErrKeyNotExist):
		reason = "this kernel is too old, or built without it"
	default:
		return fmt.Errorf("%s: %w", op, err)
	}
	return &MissingError{Op: op, Reason: reason, Err: err}
}

// kernelTypes is the kernel's BTF, which is parsed once a process.
var kernelTypes = btf.NewCache()

func hasBTF() bool {
	_, err := os.Stat(sys.BTFPath)
	return err == nil
}

// initialPIDNamespace is the inode of the initial PID namespace
// (include/linux/proc_ns.h, PROC_PID_INIT_INO).
const initialPIDNamespace = 0xEFFFFFFC

// pidNamespace is the inode of ours, 0 for the initial one.
func pidNamespace() (uint32, error) {
	const path = "/proc/self/ns/pid"
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	if st.Ino == initialPIDNamespace {
		return 0, nil
	}
	return uint32(st.Ino), nil
}
