package stopper

import "massattach/stopper/notify"

// Style is how threads are arrested.
type Style uint8

const (
	// Interrupt has each thread stop, wherever it is: one that is blocked in the
	// kernel is woken for it.
	Interrupt Style = iota
	// Notify has no thread run another instruction in user mode, and leaves what
	// goes on in the kernel alone: who is blocked there sleeps on, and stops when it
	// would return. It freezes instructions, not memory: the kernel may still
	// complete reads into it.
	Notify
)

func (s Style) String() string {
	if s == Notify {
		return "notify"
	}
	return "interrupt"
}

// Guarantee is what the mechanism of an arrest promises.
type Guarantee = notify.Guarantee
