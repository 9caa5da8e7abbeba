package report

import (
	"cmp"
	"slices"
	"strings"

	"massattach/procfs"
)

// Threads is a list of threads of one process.
type Threads struct {
	PID     int      `json:"pid"`
	NSPID   int      `json:"ns_pid,omitempty"` // as in Session
	Threads []Thread `json:"threads"`

	Comm  string `json:"-"` // of the process
	Total int    `json:"-"` // threads that it has, if these are not all
}

// Thread is what /proc says of one thread.
type Thread struct {
	TID     int    `json:"tid"`
	NSTID   int    `json:"ns_tid,omitempty"` // in its own PID namespace; absent when it is the same
	Comm    string `json:"comm"`
	State   string `json:"state"`
	Syscall string `json:"syscall"` // "" in user mode
	Wchan   string `json:"wchan"`
	// Unreadable names the keys that are empty because they were denied to
	// us. Absent when there are none.
	Unreadable []string `json:"unreadable,omitempty"`
}

// FromProc is t as it is reported.
func FromProc(t procfs.Thread) Thread {
	r := Thread{TID: t.TID, Comm: t.Comm, Syscall: t.Syscall, Wchan: t.Wchan}
	if t.State != 0 {
		r.State = string(rune(t.State))
	}
	for _, d := range []struct {
		bit  procfs.Detail
		name string
	}{
		{procfs.DetailComm, "comm"},
		{procfs.DetailState, "state"},
		{procfs.DetailSyscall, "syscall"},
		{procfs.DetailWchan, "wchan"},
	} {
		if t.Unreadable&d.bit != 0 {
			r.Unreadable = append(r.Unreadable, d.name)
		}
	}
	return r
}

func (t Thread) denied(key string) bool { return slices.Contains(t.Unreadable, key) }

// Counts is how many threads of a process agree in something.
type Counts struct {
	PID    int     `json:"pid"`
	By     string  `json:"by"`
	Counts []Count `json:"counts"` // largest first

	Comm string `json:"-"` // of the process
}

// Count is one line of Counts.
type Count struct {
	Value   string `json:"value"`
	Threads int    `json:"threads"`
}

// Tally counts the values of something among threads.
type Tally map[string]int

// Counts are the values, largest first.
func (t Tally) Counts() []Count {
	cs := make([]Count, 0, len(t))
	for v, n := range t {
		cs = append(cs, Count{v, n})
	}
	slices.SortFunc(cs, func(a, b Count) int {
		return cmp.Or(cmp.Compare(b.Threads, a.Threads), strings.Compare(a.Value, b.Value))
	})
	return cs
}

// Process is one line of a list of processes.
type Process struct {
	PID         int    `json:"pid"`
	Comm        string `json:"comm"`
	State       string `json:"state"` // of its leader
	UID         int    `json:"uid"`
	User        string `json:"user"`
	ThreadCount int    `json:"thread_count"`
}

// stateNames say what the letters of a state mean, in proc_pid_stat(5)'s words
// where they are words.
var stateNames = map[string]string{
	"R": "running",
	"S": "sleeping",
	"D": "uninterruptible",
	"T": "stopped",
	"t": "traced", // stopped by its tracer
	"Z": "zombie",
	"X": "dead",
	"P": "parked",
	"I": "idle",
}

func stateName(letter string) string {
	if name := stateNames[letter]; name != "" {
		return letter + " " + name
	}
	return letter
}
