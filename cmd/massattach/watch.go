// The watchdog, as the command sees it: it is told how long the holds may last,
// and kills the command when one outlives that by a second. Dead, it holds nobody.

package main

import (
	"encoding/binary"
	"io"
	"sync"
	"time"
)

// watch is the watchdog of one run. One that could not be started hears nothing.
type watch struct {
	end func() // ends it; may be called again

	mu    sync.Mutex
	pipe  io.Writer
	holds map[int]time.Time // until when, by process
}

// bound says that the hold of a process lasts no longer than d from now; over says
// that it is over.
func (w *watch) bound(pid int, d time.Duration) (over func()) {
	w.tell(func() { w.holds[pid] = time.Now().Add(d) })
	return func() { w.tell(func() { delete(w.holds, pid) }) }
}

// unbounded is what the watchdog hears when nobody is held.
const unbounded = -1

// tell has it hear of a change: of how long the first hold to end may last, in ns.
func (w *watch) tell(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.holds == nil {
		w.holds = make(map[int]time.Time)
	}
	change()
	left := time.Duration(unbounded)
	for _, until := range w.holds {
		if d := max(0, time.Until(until)); left == unbounded || d < left {
			left = d
		}
	}
	if w.pipe != nil {
		// It has ended: nobody is there to hear.
		_, _ = w.pipe.Write(binary.NativeEndian.AppendUint64(nil, uint64(left)))
	}
}
