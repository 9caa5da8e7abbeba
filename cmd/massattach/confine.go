// Where few CPUs are free an attach, and a detach, would take more of them than
// there are: somebody lists, several seize, and Go's runtime works as well. A
// thread of the target that they displace waits for a tick of the clock, 4 ms or
// so, although on two CPUs all of that is hardly quicker than on one: the kernel
// lets one thread seize at a time (kernel/ptrace.c, tasklist_lock). So attach and
// watch keep to one CPU at their start, while they attach and while they detach:
// not in between, when signals are passed on beside others.

package main

import (
	"os"
	"runtime"
	"time"

	"massattach/attacher"
	"massattach/internal/affinity"
	"massattach/procfs"
)

// confined marks the commands that are to be so until they have attached.
const confined = "confined"

const (
	// spareCPUs are as many free CPUs as all of that needs.
	spareCPUs = 3
	// confinedFor is how long it lasts at the most: who wants that CPU for himself
	// alone must not keep signals waiting for longer.
	confinedFor = time.Second
)

// confine has this process run on the CPU that the caller is on, where few are
// free, until release is called. Where it is crowded it would get no turn there.
func confine() (release func()) {
	running, err := attacher.ProcFS{}.Running()
	if err != nil || attacher.Crowd(running) || runtime.NumCPU()-running+ownRunning() >= spareCPUs {
		return func() {}
	}
	end := affinity.OneCPU()
	timer := time.AfterFunc(confinedFor, end)
	return func() {
		timer.Stop()
		end()
	}
}

// ownRunning is how many of the threads that run are this process's.
func ownRunning() int {
	self, err := procfs.FS{}.Open(os.Getpid())
	if err != nil {
		return 1
	}
	defer self.Close()
	tids, _ := self.Select(procfs.Selection{State: "R"}, nil)
	return len(tids)
}

// spread has this process run on every CPU again that it may.
func (t *tool) spread() {
	if t.release != nil {
		t.release()
	}
}
