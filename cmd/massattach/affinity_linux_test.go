//go:build linux && (amd64 || arm64)

package main

import (
	"os"
	"runtime"
	"testing"

	"massattach/internal/target"
	"massattach/procfs"

	"golang.org/x/sys/unix"
)

// affinities are how many CPUs the threads of a process may run on, and how many
// threads may.
func affinities(t *testing.T, pid int) map[int]int {
	t.Helper()
	p, err := procfs.FS{}.Open(pid)
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
	release := onOneCPU()
	within := onOneCPU()
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
	if n := affinities(t, os.Getpid()); len(n) != 1 || n[1] < 10 {
		t.Errorf("threads by the number of their CPUs: %v", n)
	}
	within()
	if n := affinities(t, os.Getpid()); len(n) != 1 || n[1] < 10 {
		t.Errorf("after a release that is not the last: %v", n)
	}
	release()
	if n := affinities(t, os.Getpid()); len(n) != 1 || n[all] < 10 {
		t.Errorf("after the release: %v, want all on %d", n, all)
	}
	var after unix.CPUSet
	if err := unix.SchedGetaffinity(0, &after); err != nil || after != before {
		t.Errorf("%v, %v; want %v", after, err, before)
	}
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
		dog, pid := child(t, p.Process.Pid, watchdogName)
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

// The watchdog gets its CPUs from its command as text.
func TestRunOn(t *testing.T) {
	cpus := affinity()
	release := onOneCPU()
	defer release()
	one := affinity()
	runOn(cpus)
	if got := affinity(); got != cpus {
		t.Errorf("%q, want %q", got, cpus)
	}
	for _, bad := range []string{"", "xyz", "00ff"} {
		runOn(bad)
	}
	if got := affinity(); got != cpus {
		t.Errorf("after nonsense %q, want %q (one is %q)", got, cpus, one)
	}
}
