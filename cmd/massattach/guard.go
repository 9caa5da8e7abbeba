// The watchdog, as the command sees it: it is told how long the holds may last,
// and kills the command when one outlives that by a second. Dead, it holds nobody.

package main

import (
	"encoding/binary"
	"io"
	"sync"
	"time"
)

// guard is the watchdog of one run. One that could not be started hears nothing.
type guard struct {
	end func() // ends it; may be called again

	mu    sync.Mutex
	pipe  io.Writer
	holds map[int]time.Time // until when, by process
}

// bound says that the hold of a process lasts no longer than d from now; over says
// that it is over.
func (g *guard) bound(pid int, d time.Duration) (over func()) {
	g.tell(func() { g.holds[pid] = time.Now().Add(d) })
	return func() { g.tell(func() { delete(g.holds, pid) }) }
}

// unbounded is what the watchdog hears when nobody is held.
const unbounded = -1

// tell has it hear of a change: of how long the first hold to end may last, in ns.
func (g *guard) tell(change func()) {
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
