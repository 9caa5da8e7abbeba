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
// the caller is on, until release; others that change their affinity meanwhile
// lose. Where there is one CPU only, or it can't be done, nothing happens.
func Confine() (release func()) {
	var all, one unix.CPUSet
	var cpu uint32
	_, _, errno := unix.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&cpu)), 0, 0)
	if errno != 0 || unix.SchedGetaffinity(0, &all) != nil || all.Count() < 2 || !all.IsSet(int(cpu)) {
		return func() {}
	}
	one.Set(int(cpu))
	setAffinity(&one)
	return sync.OnceFunc(func() { setAffinity(&all) })
}

// RunAnywhere lets the threads of this process run on every CPU that its cpuset
// has.
func RunAnywhere() {
	var all unix.CPUSet
	all.Fill()
	setAffinity(&all)
}

// setAffinity sets that of every thread; a thread inherits its creator's
// (sched_setaffinity(2)), so that a second pass finds those that were born beside
// the first.
func setAffinity(set *unix.CPUSet) {
	for range 2 {
		dir, err := os.Open("/proc/self/task")
		if err != nil {
			return
		}
		names, _ := dir.Readdirnames(-1)
		dir.Close()
		for _, name := range names {
			if tid, err := strconv.Atoi(name); err == nil {
				_ = unix.SchedSetaffinity(tid, set) // it may be gone
			}
		}
	}
}
