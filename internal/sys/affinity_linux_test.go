//go:build linux && (amd64 || arm64)

package sys

import (
	"os"
	"runtime"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// affinities are how many CPUs the threads of this process may run on, and how
// many threads may.
func affinities(t *testing.T) map[int]int {
	t.Helper()
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	n := make(map[int]int)
	for _, task := range tasks {
		tid, err := strconv.Atoi(task.Name())
		if err != nil {
			t.Fatal(err)
		}
		var set unix.CPUSet
		if unix.SchedGetaffinity(tid, &set) == nil { // or it is gone
			n[set.Count()]++
		}
	}
	return n
}

// All threads run on one CPU, those that are born meanwhile too, and all are free
// again afterwards, whoever is confined within.
func TestConfine(t *testing.T) {
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		t.Fatal(err)
	}
	all := before.Count()
	if all < 2 {
		t.Skip("there is one CPU")
	}
	release := Confine()
	within := Confine()
	born, end := make(chan struct{}), make(chan struct{})
	defer close(end)
	for range 10 {
		go func() {
			runtime.LockOSThread()
			born <- struct{}{}
			<-end
		}()
		<-born
	}
	if n := affinities(t); len(n) != 1 || n[1] < 10 {
		t.Errorf("threads by the number of their CPUs: %v", n)
	}
	within()
	if n := affinities(t); len(n) != 1 || n[1] < 10 {
		t.Errorf("after a release that is not the last: %v", n)
	}
	release()
	if n := affinities(t); len(n) != 1 || n[all] < 10 {
		t.Errorf("after the release: %v, want all on %d", n, all)
	}
	var after unix.CPUSet
	if err := unix.SchedGetaffinity(0, &after); err != nil || after != before {
		t.Errorf("%v, %v; want %v", after, err, before)
	}
}
