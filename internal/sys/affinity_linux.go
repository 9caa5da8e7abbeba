//go:build linux && (amd64 || arm64)

package sys

import (
	"os"
	"strconv"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Confine has all threads of this process, and those to come, run on the CPU that
// the caller is on, until release: then they have the caller's affinity of before.
// Where there is one CPU only, or it can't be done, nothing happens.
//
// Go sets GOMAXPROCS by the affinity once a second, unless the program has set it.
func Confine() (release func()) {
	var all, one unix.CPUSet
	var cpu uint32
	_, _, errno := unix.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&cpu)), 0, 0)
	if errno != 0 || unix.SchedGetaffinity(0, &all) != nil || all.Count() < 2 || !all.IsSet(int(cpu)) {
		return func() {}
	}
	// Kept open: the release must not fail because descriptors have run out.
	self, err := os.Open("/proc/self/task")
	if err != nil {
		return func() {}
	}
	one.Set(int(cpu))
	setAffinity(self, &one)
	return sync.OnceFunc(func() {
		setAffinity(self, &all)
		self.Close()
	})
}

// RunWith gives this process's threads the affinity of the thread tid, if it has
// another than the caller.
func RunWith(tid int) {
	var theirs, ours unix.CPUSet
	if unix.SchedGetaffinity(tid, &theirs) != nil || unix.SchedGetaffinity(0, &ours) != nil || theirs == ours {
		return
	}
	self, err := os.Open("/proc/self/task")
	if err != nil {
		return
	}
	defer self.Close()
	setAffinity(self, &theirs)
}

// setAffinity sets that of every thread in the directory. A thread inherits its
// creator's (sched_setaffinity(2)): so it is done when a pass has found nobody with
// another one.
func setAffinity(dir *os.File, set *unix.CPUSet) {
	const passes = 10 // one that may not have it, a cpuset say, must not keep us for ever
	for range passes {
		if _, err := dir.Seek(0, 0); err != nil {
			return
		}
		names, _ := dir.Readdirnames(-1)
		changed := false
		for _, name := range names {
			tid, err := strconv.Atoi(name)
			if err != nil {
				continue
			}
			var has unix.CPUSet
			if unix.SchedGetaffinity(tid, &has) != nil || has == *set {
				continue // it is gone, say
			}
			changed = unix.SchedSetaffinity(tid, set) == nil || changed
		}
		if !changed {
			return
		}
	}
}
