package attacher

import (
	"os"
	"runtime"
	"time"

	"massattach/internal/sys"
	"massattach/procfs"
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

// Hurry raises the nice value of every thread of this process, where it is
// crowded and that is allowed (CAP_SYS_NICE, RLIMIT_NICE); threads to come
// inherit it. A session does so for its tracers alone, but it is others who list
// the threads and hand them out: a program that does nothing but trace calls
// this at its start, and is quicker by an order of magnitude beside 300 busy
// threads a CPU. Programs that it starts inherit the nice value, too.
func Hurry() {
	if !crowded(ProcFS{}) {
		return
	}
	self, err := procfs.FS{}.Open(os.Getpid())
	if err != nil {
		return
	}
	defer self.Close()
	tids, _ := self.AppendTIDs(nil)
	for _, tid := range tids {
		sys.RaisePriority(tid)
	}
}

// crowded says whether it is.
func crowded(p Proc) bool {
	n, err := p.Running()
	return err == nil && Crowd(n)
}

// Crowd says whether it is crowded, as for [Hurry], where so many threads want to
// run.
func Crowd(running int) bool { return running >= crowd*runtime.NumCPU() }

// lookAround finds out whether it is crowded here.
func (s *Session) lookAround() {
	if s.crowded.Load() || s.now().Sub(s.looked) < crowdEvery {
		return
	}
	s.looked = s.now()
	if !crowded(s.options.Proc) {
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
