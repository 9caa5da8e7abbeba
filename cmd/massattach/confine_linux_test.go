package main

import (
	"os"
	"strconv"
	"testing"

	"massattach/internal/target"

	"golang.org/x/sys/unix"
)

// The command may use every CPU while it holds threads, and so may its watchdog:
// it is for its start, the attach and the detach that it keeps to one.
func TestHoldsOnEveryCPU(t *testing.T) {
	t.Parallel()
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		t.Fatal(err)
	}
	p := attach(t, startTarget(t, target.Spec{Epoll: 1_000}))
	dog, pid := child(t, p.Process.Pid, watchdogName)
	defer unix.Close(dog)
	for name, pid := range map[string]int{"the command": p.Process.Pid, "its watchdog": pid} {
		eventually(t, name+" may use every CPU", func() bool {
			tasks, err := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/task")
			if err != nil {
				return false
			}
			for _, task := range tasks {
				tid, _ := strconv.Atoi(task.Name())
				var set unix.CPUSet
				if unix.SchedGetaffinity(tid, &set) == nil && set.Count() < all.Count() {
					return false
				}
			}
			return len(tasks) > 0
		})
	}
	p.signal(unix.SIGTERM)
	p.ends(exitComplete)
}
