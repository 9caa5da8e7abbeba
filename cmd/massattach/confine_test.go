//go:build linux && (amd64 || arm64)

package main

import (
	"runtime"
	"testing"

	"massattach/internal/target"
	"massattach/internal/watchdog"
	"massattach/procfs"

	"golang.org/x/sys/unix"
)

// affinities are how many CPUs the threads of a process may run on, and how many
// threads may.
func affinities(t *testing.T, pid int) map[int]int {
	t.Helper()
	n := make(map[int]int)
	eachThread(t, pid, func(_ *procfs.Process, tid int) {
		var set unix.CPUSet
		if unix.SchedGetaffinity(tid, &set) == nil { // or it is gone
			n[set.Count()]++
		}
	})
	return n
}

// The command may use every CPU while it holds threads, and so may its watchdog:
// it is for its start, the attach and the detach that the command keeps to one. CPUs
// that its user has kept from it are no business of either.
func TestHoldsOnItsCPUs(t *testing.T) {
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		t.Fatal(err)
	}
	cpu := 0
	for !all.IsSet(cpu) {
		cpu++
	}
	var one unix.CPUSet
	one.Set(cpu)
	for _, cpus := range []unix.CPUSet{all, one} {
		tg := startTarget(t, target.Spec{Epoll: 1_000})
		// It inherits that of the thread which starts it.
		runtime.LockOSThread()
		if err := unix.SchedSetaffinity(0, &cpus); err != nil {
			t.Fatal(err)
		}
		p := attach(t, tg)
		err := unix.SchedSetaffinity(0, &all)
		runtime.UnlockOSThread()
		if err != nil {
			t.Fatal(err)
		}
		dog, pid := child(t, p.Process.Pid, watchdog.Name)
		unix.Close(dog)
		for name, pid := range map[string]int{"the command": p.Process.Pid, "its watchdog": pid} {
			eventually(t, name+" may use its CPUs", func() bool {
				n := affinities(t, pid)
				return len(n) == 1 && n[cpus.Count()] > 0
			})
		}
		p.signal(unix.SIGTERM)
		p.ends(exitComplete)
	}
}
