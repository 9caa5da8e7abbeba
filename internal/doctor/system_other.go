//go:build !linux

package doctor

import "errors"

// Machine knows nothing here.
func (l *Linux) Machine() Machine {
	return Machine{OwnProc: true, Yama: -1}
}

// Target answers errors.ErrUnsupported.
func (l *Linux) Target(int) (Target, error) { return Target{}, errors.ErrUnsupported }

// Stopped finds nobody.
func (l *Linux) Stopped() []Stopped { return nil }

// Probe does nothing.
func Probe() {}
