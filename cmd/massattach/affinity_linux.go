//go:build linux && (amd64 || arm64)

package main

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"os"
	"sync"

	"massattach/internal/sys"
	"massattach/procfs"

	"golang.org/x/sys/unix"
)

// affinity is on which CPUs the caller's thread may run, for runOn; "" when that
// can't be said.
func affinity() string {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return ""
	}
	var b bytes.Buffer
	_ = binary.Write(&b, binary.NativeEndian, set)
	return hex.EncodeToString(b.Bytes())
}

// runOn gives all threads of this process an affinity.
func runOn(cpus string) {
	var set unix.CPUSet
	b, err := hex.DecodeString(cpus)
	if err != nil || binary.Read(bytes.NewReader(b), binary.NativeEndian, &set) != nil {
		return
	}
	self, err := procfs.FS{}.Open(os.Getpid())
	if err != nil {
		return
	}
	defer self.Close()
	setAffinity(self, &set)
}

// onOneCPU has all threads of this process, and those to come, run on the CPU that
// the caller is on, until release: then they have the caller's affinity of before.
// Where there is one CPU only, or it can't be done, nothing happens.
func onOneCPU() (release func()) {
	var all, one unix.CPUSet
	cpu, err := sys.CPU()
	if err != nil || unix.SchedGetaffinity(0, &all) != nil || all.Count() < 2 || !all.IsSet(cpu) {
		return func() {}
	}
	// Kept open: the release must not fail because descriptors have run out.
	self, err := procfs.FS{}.Open(os.Getpid())
	if err != nil {
		return func() {}
	}
	one.Set(cpu)
	setAffinity(self, &one)
	return sync.OnceFunc(func() {
		setAffinity(self, &all)
		self.Close()
	})
}

// setAffinity sets that of every thread. A thread inherits its creator's
// (sched_setaffinity(2)): so it is done when a pass has found nobody with another
// one.
func setAffinity(self *procfs.Process, set *unix.CPUSet) {
	const passes = 10 // one that may not have it, a cpuset say, must not keep us for ever
	for range passes {
		tids, _ := self.AppendTIDs(nil)
		changed := false
		for _, tid := range tids {
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
