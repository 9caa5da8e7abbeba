package target

import "time"

// An Account is what a target saw happen to it since it was ready, or since
// the last Reset. Undisturbed, EINTR, Early and the errors are 0.
type Account struct {
	PID     int   `json:"pid"`
	TimeNS  int64 `json:"time_ns"` // CLOCK_MONOTONIC at the time of the account
	Threads int   `json:"threads"` // in all, the runtime's own among them
	// EINTR and Early sum up the kinds that nobody interrupts on purpose:
	// all but recv, hot and call.
	EINTR int64           `json:"eintr"`
	Early int64           `json:"early"`
	Kinds map[string]Kind `json:"kinds"`

	Spins    int64 `json:"spins"`
	MaxGapNS int64 `json:"max_gap_ns"` // longest hole that one spin thread saw
	Calls    int64 `json:"calls"`      // of sys threads
	Hot      int64 `json:"hot"`        // signals that hot threads sent themselves
	Born     int64 `json:"born"`       // by churn
	Ended    int64 `json:"ended"`

	Births *BirthAccount `json:"births,omitempty"`

	// Runs counts handler runs by signal number.
	Runs map[int]int64 `json:"runs"`
	// Slots are the receivers of floods.
	Slots []Slot `json:"slots"`
	// Strays are queued signals whose payload named no slot.
	Strays int64 `json:"strays"`

	// Parent is what the target's parent saw, with Spec.Parent.
	Parent *ParentAccount `json:"parent_events,omitempty"`

	SysV SysV `json:"sysv"`
}

// A Kind is the account of all threads of one kind.
type Kind struct {
	Threads int   `json:"threads"`
	EINTR   int64 `json:"eintr"`
	Early   int64 `json:"early"` // came back for another reason
	// Result is the last result that counted as early: a value, or the
	// name of an errno. Empty: there was none.
	Result string `json:"result,omitempty"`
}

// A Slot is a thread that receives queued signals with a sequence number.
type Slot struct {
	TID           int   `json:"tid"`
	Sent          int64 `json:"sent"` // by senders inside the target
	Received      int64 `json:"received"`
	OrderErrors   int64 `json:"order_errors"`
	PayloadErrors int64 `json:"payload_errors"` // wrong thread, sender or signal
}

// A BirthAccount is about the threads of Spec.Births.
type BirthAccount struct {
	Born    int64 `json:"born"`
	Ended   int64 `json:"ended"`
	Skipped int64 `json:"skipped"` // clone failed, or no place was free
	EINTR   int64 `json:"eintr"`
	Early   int64 `json:"early"`
	Checked int64 `json:"checked"` // TracerPid was read at the age of Births.Check
	// Untraced of those checked had none. Late were read more than 20 ms
	// after that age, or not at all, and are in neither.
	Untraced int64 `json:"untraced"`
	Late     int64 `json:"late"`
}

// SysV names what the target holds that outlives a process.
type SysV struct {
	Sem []int `json:"sem,omitempty"`
	Msg []int `json:"msg,omitempty"`
}

// Received sums up the slots.
func (a Account) Received() (n int64) {
	for _, s := range a.Slots {
		n += s.Received
	}
	return n
}

// Sent sums up the slots.
func (a Account) Sent() (n int64) {
	for _, s := range a.Slots {
		n += s.Sent
	}
	return n
}

// SignalErrors sums up order and payload errors and strays.
func (a Account) SignalErrors() int64 {
	n := a.Strays
	for _, s := range a.Slots {
		n += s.OrderErrors + s.PayloadErrors
	}
	return n
}

// A Window is what happened between two accounts.
type Window struct {
	Elapsed                                      time.Duration
	EINTR, Early, Spins, Calls, Hot, Born, Ended int64
	Received, Sent                               int64
	Runs                                         map[int]int64
}

// Since returns what happened between an earlier account and a.
func (a Account) Since(b Account) Window {
	w := Window{
		Elapsed: time.Duration(a.TimeNS - b.TimeNS),
		EINTR:   a.EINTR - b.EINTR, Early: a.Early - b.Early,
		Spins: a.Spins - b.Spins, Calls: a.Calls - b.Calls, Hot: a.Hot - b.Hot,
		Born: a.Born - b.Born, Ended: a.Ended - b.Ended,
		Received: a.Received() - b.Received(), Sent: a.Sent() - b.Sent(),
		Runs: make(map[int]int64, len(a.Runs)),
	}
	for sig, n := range a.Runs {
		if d := n - b.Runs[sig]; d != 0 {
			w.Runs[sig] = d
		}
	}
	return w
}

// Rate is n a second over the window.
func (w Window) Rate(n int64) float64 { return float64(n) / w.Elapsed.Seconds() }

// A ParentAccount is what the target's parent saw of it.
type ParentAccount struct {
	Stopped   int           `json:"stopped"`
	Continued int           `json:"continued"`
	Exited    int           `json:"exited"`
	Events    []ParentEvent `json:"events"`
	Error     string        `json:"error,omitempty"` // why a watching parent's wait ended
}

// A ParentEvent is one status that waitid gave to the target's parent.
type ParentEvent struct {
	TimeNS int64  `json:"time_ns"`
	Event  string `json:"event"`  // stopped, continued, exited, killed, or trapped
	Status int    `json:"status"` // signal number, or exit code
}
