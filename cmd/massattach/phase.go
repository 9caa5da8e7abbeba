// The phases of a verb, for tests and for scripts that need to know: a line
// "PHASE PID NS" on the descriptor that --phase-fd names, when it begins to
// attach to a process, to arrest its threads, to hold it, to resume them, and to
// detach, and when that is done; NS is
// the time, as "date +%s%N" has it.

package main

import (
	"fmt"
	"math"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// phase is something that a verb does to a process.
type phase string

const (
	phaseAttach phase = "attach"
	phaseArrest phase = "arrest" // stop only
	phaseHold   phase = "hold"
	phaseResume phase = "resume" // stop only
	phaseDetach phase = "detach"
	phaseDone   phase = "done"
)

// phases is where they are told.
type phases struct{ fd int }

func addPhases(cmd *cobra.Command) *phases {
	p := new(phases)
	cmd.Flags().IntVar(&p.fd, "phase-fd", -1, "write each change of phase to descriptor `N`")
	// It fails only for a flag that doesn't exist.
	_ = cmd.Flags().MarkHidden("phase-fd")
	return p
}

// enter tells of a phase, before it begins. A reader who doesn't keep up misses
// some: nobody is held up for it.
func (p *phases) enter(now phase, pid int) {
	if p.fd < 0 || p.fd > math.MaxInt32 {
		return
	}
	ready := []unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLOUT}}
	if n, err := unix.Poll(ready, 0); n == 1 && err == nil && ready[0].Revents == unix.POLLOUT {
		_, _ = unix.Write(p.fd, fmt.Appendf(nil, "%s %d %d\n", now, pid, time.Now().UnixNano()))
	}
}
