//go:build linux && (amd64 || arm64)

package affinity_test

import (
	"os"
	"runtime"
	"testing"

	"massattach/internal/affinity"
	"massattach/procfs"

	"golang.org/x/sys/unix"
)

// affinities are how many CPUs the threads of this process may run on, and how many
// threads may.
func affinities(t *testing.T) map[int]int {
	t.Helper()
	p, err := procfs.FS{}.Open(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	tids, err := p.AppendTIDs(nil)
	if err != nil {
		t.Fatal(err)
	}
	n := make(map[int]int)
	for _, tid := range tids {
		var set unix.CPUSet
		if unix.SchedGetaffinity(tid, &set) == nil { // or it is gone
			n[set.Count()]++
		}
	}
	return n
}

// All threads run on one CPU, those that are born meanwhile too, and all are free
// again afterwards, whoever is confined within.
func TestOnOneCPU(t *testing.T) {
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		t.Fatal(err)
	}
	all := before.Count()
	if all < 2 {
		t.Skip("there is one CPU")
	}
	release := affinity.OneCPU()
	within := affinity.OneCPU()
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

// What Get has answered, Set sets; nonsense it doesn't.
func TestSet(t *testing.T) {
	cpus := affinity.Get()
	release := affinity.OneCPU()
	defer release()
	one := affinity.Get()
	affinity.Set(cpus)
	if got := affinity.Get(); got != cpus {
		t.Errorf("%q, want %q", got, cpus)
	}
	for _, bad := range []string{"", "xyz", "00ff"} {
		affinity.Set(bad)
	}
	if got := affinity.Get(); got != cpus {
		t.Errorf("after nonsense %q, want %q (one is %q)", got, cpus, one)
	}
}
