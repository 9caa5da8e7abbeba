//go:build !linux || (!amd64 && !arm64)

package raw

import (
	"errors"
	"time"
)

// Notifier is bare programs for notify style.
type Notifier struct{}

func Notifying(int, []int) (*Notifier, error) { return nil, errors.ErrUnsupported }
func (*Notifier) Close() error                { return nil }
func (*Notifier) Arm() (time.Duration, error) { return 0, errors.ErrUnsupported }
func (*Notifier) Disarm() ([]int, error)      { return nil, errors.ErrUnsupported }
func (*Arrester) Pass([]int) error            { return errors.ErrUnsupported }
