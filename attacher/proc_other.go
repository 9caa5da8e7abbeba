//go:build !linux

package attacher

import (
	"errors"

	"massattach/procfs"
)

// ProcFS is a mounted proc file system; there is none on this system.
type ProcFS struct{ procfs.FS }

// Open answers errors.ErrUnsupported.
func (ProcFS) Open(int) (Process, error) { return nil, errors.ErrUnsupported }

// AskAccess has no answer.
func AskAccess(int) Access { return AccessUnknown }
