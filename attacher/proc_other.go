//go:build !linux

package attacher

import (
	"errors"
	"time"

	"massattach/procfs"
)

// ProcFS is a mounted proc file system; there is none on this system.
type ProcFS struct{ procfs.FS }

// Open answers errors.ErrUnsupported.
func (ProcFS) Open(int) (Process, error) { return nil, errors.ErrUnsupported }

// Numbers answers errors.ErrUnsupported.
func (ProcFS) Numbers() (int, time.Duration, error) { return 0, 0, errors.ErrUnsupported }

// AskAccess has no answer.
func AskAccess(int) Access { return AccessUnknown }
