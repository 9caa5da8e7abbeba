//go:build linux && (amd64 || arm64)

// Package affinity is about the CPUs that the threads of this process may run on
// (sched_setaffinity(2)).
package affinity

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

// Get is on which CPUs the caller's thread may run, as a text for Set; "" when that
// can't be said.
func Get() string {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return ""
	}
	var b bytes.Buffer
	_ = binary.Write(&b, binary.NativeEndian, set)
	return hex.EncodeToString(b.Bytes())
}

// Set gives all threads of this process, and so those to come, the affinity that Get
// has answered. Where it can't be done, nothing happens.
func Set(cpus string) {
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
	setAll(self, &set)
}

// OneCPU has all threads of this process, and those to come, run on the CPU that
// the caller is on, until release: then they have the caller's affinity of before.
// Where there is one CPU only, or it can't be done, nothing happens.
func OneCPU() (release func()) {
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
	setAll(self, &one)
	return sync.OnceFunc(func() {
		setAll(self, &all)
		self.Close()
	})
}

// setAll sets that of every thread. A thread inherits its creator's
// (sched_setaffinity(2)): so it is done when a pass has found nobody with another
// one.
func setAll(self *procfs.Process, set *unix.CPUSet) {
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
