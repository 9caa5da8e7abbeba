// Package watchdog keeps a command that attaches to others from harming them: it is a
// small process that is started before anybody is attached to, and that kills the
// command when it has been stopped for a second, or holds threads a second longer than
// it was to. A stopped tracer keeps every thread stopped that gets a signal, and
// SIGSTOP can't be refused; to be killed harms nobody: no signal is lost, and all run
// on.
//
// The process is the command's own program. It is the watchdog from the init of this
// package on, and never gets to main: Go initializes packages in the order of their
// paths, as far as their imports allow ("Package initialization" of its
// specification), and this one imports so little that most of the command's others,
// with their tables and patterns, come after it. That is most of what the start of a
// process costs, and it is paid while somebody waits for the attach. So nothing but
// the standard library and what is close to the kernel is imported here.
package watchdog

import (
	"encoding/binary"
	"io"
	"sync"
	"time"
)

const (
	// Name is the name under which the program is the watchdog.
	Name = "massattach-watchdog"
	// Comm is its name for ps and pkill: not ours, or a "pkill -STOP massattach"
	// would stop both.
	Comm = "attach-watchdog"
)

// How often it looks whether the command is stopped: twice a second, more often
// once it is. So it is dead, and its target free, within 1.6 s.
const (
	Every    = 500 * time.Millisecond
	closely  = 100 * time.Millisecond
	Patience = time.Second
)

// Guard is the watchdog of one run, as the command sees it: it is told how long the
// holds may last, and kills the command when one outlives that by Patience. Dead, it
// holds nobody. The zero Guard is one that could not be started; it hears nothing.
type Guard struct {
	end func()

	mu    sync.Mutex
	pipe  io.Writer
	holds map[int]time.Time // until when, by process
}

// End ends the watchdog. It may be called again.
func (g *Guard) End() {
	if g.end != nil {
		g.end()
	}
}

// Bound says that the hold of a process lasts no longer than d from now; over says
// that it is over.
func (g *Guard) Bound(pid int, d time.Duration) (over func()) {
	g.tell(func() { g.holds[pid] = time.Now().Add(d) })
	return func() { g.tell(func() { delete(g.holds, pid) }) }
}

// unbounded is what the watchdog hears when nobody is held.
const unbounded = -1

// tell has it hear of a change: of how long the first hold to end may last, in ns.
func (g *Guard) tell(change func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.holds == nil {
		g.holds = make(map[int]time.Time)
	}
	change()
	left := time.Duration(unbounded)
	for _, until := range g.holds {
		if d := max(0, time.Until(until)); left == unbounded || d < left {
			left = d
		}
	}
	if g.pipe != nil {
		// It has ended: nobody is there to hear.
		_, _ = g.pipe.Write(binary.NativeEndian.AppendUint64(nil, uint64(left)))
	}
}
