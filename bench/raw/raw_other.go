//go:build !linux

package raw

import (
	"errors"
	"time"
)

// Session is a set of bare tracer threads.
type Session struct {
	Threads int
	Elapsed time.Duration
}

func Attach(int) (*Session, error)          { return nil, errors.ErrUnsupported }
func Split([]int, int) (*Session, error)    { return nil, errors.ErrUnsupported }
func Forward([]int) (*Session, error)       { return nil, errors.ErrUnsupported }
func ForwardLiving([]int) (*Session, error) { return nil, errors.ErrUnsupported }
func Follow([]int) (*Session, error)        { return nil, errors.ErrUnsupported }
func List(int) ([]int, error)               { return nil, errors.ErrUnsupported }
func Examine(int, []int) (int, error)       { return 0, errors.ErrUnsupported }
func (*Session) Release() time.Duration     { return 0 }

// Arrester is a bare tracer thread.
type Arrester struct{ *Session }

func Arresting([]int) (*Arrester, error)         { return nil, errors.ErrUnsupported }
func (*Arrester) Arrest() (time.Duration, error) { return 0, errors.ErrUnsupported }
func (*Arrester) Regs() (time.Duration, error)   { return 0, errors.ErrUnsupported }
func (*Arrester) Resume() (time.Duration, error) { return 0, errors.ErrUnsupported }
