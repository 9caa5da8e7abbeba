// Massattach attaches to every thread of a process, without stopping one of
// them. See massattach --help.
package main

import (
	"context"
	"os"
	"runtime"

	"massattach/attacher"
	"massattach/internal/sys"
	"massattach/procfs"
)

func main() {
	// A tracer that waits sleeps in a system call, and Go takes its P away only
	// when the runtime's monitor comes by. With two Ps, on two CPUs, those who
	// still have threads to seize stand in line meanwhile: an attach to 10,000
	// takes a tenth longer than with four.
	runtime.GOMAXPROCS(max(4, runtime.GOMAXPROCS(0)))
	hurry()
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// hurry gives all threads of the command a better nice value on a machine where
// hundreds compete for a CPU; those to come inherit it. The tracers see to that
// themselves, but it is the others who list the threads and hand them out.
func hurry() {
	if !attacher.Crowded(attacher.ProcFS{}) {
		return
	}
	self, err := procfs.FS{}.Open(os.Getpid())
	if err != nil {
		return
	}
	defer self.Close()
	tids, _ := self.AppendTIDs(nil)
	for _, tid := range tids {
		_ = sys.RaisePriority(tid) // who may not goes on as he is
	}
}
