package procfs

import (
	"bytes"
	"math"
	"time"
)

// Schedstat is task/TID/schedstat: Documentation/scheduler/sched-stats.rst,
// fs/proc/base.c proc_pid_schedstat.
//
// All three are 0 where the kernel keeps no such account.
type Schedstat struct {
	Run  time.Duration // spent on a CPU
	Wait time.Duration // spent waiting for one
	Runs uint64        // how many times it was put on a CPU
}

func parseSchedstat(b []byte) (Schedstat, error) {
	var n [3]uint64
	for i := range n {
		field, rest, ok := cutField(b)
		if ok {
			n[i], ok = parseUint(field)
		}
		if !ok {
			return Schedstat{}, ErrFormat
		}
		b = rest
	}
	if n[0] > math.MaxInt64 || n[1] > math.MaxInt64 {
		return Schedstat{}, ErrFormat
	}
	return Schedstat{Run: time.Duration(n[0]), Wait: time.Duration(n[1]), Runs: n[2]}, nil
}

// parseComm reads comm: the name and one newline. The name may have newlines of
// its own. A file without the last one was cut off, but a name it is.
func parseComm(b []byte) string {
	return string(bytes.TrimSuffix(b, []byte("\n")))
}

// parseWchan reads wchan: a symbol of the kernel, or "0" for a thread that does
// not wait, made "" here.
func parseWchan(b []byte) string {
	b = bytes.TrimSpace(b)
	if string(b) == "0" {
		return ""
	}
	return string(b)
}
