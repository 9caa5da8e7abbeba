//go:build !linux || !(amd64 || arm64)

package attacher

import (
	"errors"
	"time"

	"massattach/internal/sys"
)

// Linux is the kernel that the program runs on; on this system its tracers
// answer errors.ErrUnsupported.
var Linux Kernel = linux{}

type linux struct{}

func (linux) Tracer() (Tracer, error)          { return nil, errors.ErrUnsupported }
func (linux) ReapExit(int) (WaitStatus, error) { return WaitStatus{}, errors.ErrUnsupported }
func (linux) Births(int) (Births, error)       { return nil, errors.ErrUnsupported }
func (linux) Urgent() (done func())            { return func() {} }
func (linux) Nap(d time.Duration)              { sys.Nap(d) }

// Filtered says no: there is nothing to filter.
func Filtered() bool { return false }
