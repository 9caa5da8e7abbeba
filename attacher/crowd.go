package attacher

import (
	"runtime"
	"time"
)

// On a machine where hundreds of threads compete for each CPU a tracer gets its
// turn once a second, and whoever has got a signal stands still for so long. So
// where it is crowded tracers take a better nice value, if they may. Elsewhere
// they don't: it would be at the expense of the target's own threads.

const (
	// It is crowded when so many threads for each CPU want to run.
	crowd = 8
	// crowdEvery is how long a session waits before it looks again.
	crowdEvery = time.Second
)

// Crowded says whether it is: whether a program that traces had better raise the
// nice value of its other threads as well, if it is its own master.
func Crowded(p Proc) bool {
	n, err := p.Running()
	return err == nil && n >= crowd*runtime.NumCPU()
}

// lookAround finds out whether it is crowded here.
func (s *Session) lookAround() {
	if s.crowded.Load() || s.now().Sub(s.looked) < crowdEvery {
		return
	}
	s.looked = s.now()
	if !Crowded(s.options.Proc) {
		return
	}
	s.crowded.Store(true)
	for _, t := range s.crew() {
		select {
		case <-t.bound:
			if t.k != nil {
				t.k.Hurry()
			}
		default: // it sees to that itself
		}
	}
}
