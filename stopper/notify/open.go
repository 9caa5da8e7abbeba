package notify

import (
	"errors"
	"fmt"
	"os"
)

// The names of the mechanisms.
const (
	TaskWork = "task_work"
	Ptrace   = "ptrace"
)

// mechanisms are all there are, the best first. For kernels before 6.18 there is room
// for one in the middle, on the tracepoint sys_exit.
var mechanisms = []struct {
	name      string
	guarantee Guarantee
	open      func(pid int) (Mechanism, error)
}{
	{TaskWork, Strict, openTaskWork},
	{Ptrace, BestEffort, openSleepers},
}

// Names are those of all mechanisms, the best first.
func Names() (names []string) {
	for _, m := range mechanisms {
		names = append(names, m.name)
	}
	return names
}

// Open opens a mechanism for process pid: the one that is wanted, by its name, or
// the best that works here for "". Whether one works is found out by trying. It may
// be called before or beside the attach; what is loaded into the kernel is shared by
// all that are open. The error answers errors.Is(err, [ErrNotSupported]), says why,
// and leaves nothing open.
func Open(pid int, want string) (Mechanism, error) {
	var errs []error
	for _, m := range mechanisms {
		if want != "" && m.name != want {
			continue
		}
		opened, err := m.open(pid)
		if err == nil {
			return opened, nil
		}
		errs = append(errs, &notSupportedError{m.name, err})
	}
	if len(errs) == 0 {
		return nil, fmt.Errorf("no mechanism %q: %w", want, ErrNotSupported)
	}
	return nil, errors.Join(errs...)
}

// Support says of a mechanism whether it works here.
type Support struct {
	Name      string
	Guarantee Guarantee
	// Err is nil if it does; it may be one of those of package bpf's.
	Err error
}

// Supported says of each mechanism whether it works here, the best first, by
// opening it for this process itself.
func Supported() (all []Support) {
	for _, m := range mechanisms {
		opened, err := m.open(os.Getpid())
		if err == nil {
			err = opened.Close()
		}
		all = append(all, Support{m.name, m.guarantee, err})
	}
	return all
}

// notSupportedError says why a mechanism does not work.
type notSupportedError struct {
	name string
	err  error
}

func (e *notSupportedError) Error() string { return "mechanism " + e.name + ": " + e.err.Error() }

func (e *notSupportedError) Unwrap() []error { return []error{ErrNotSupported, e.err} }
