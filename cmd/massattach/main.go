// Massattach attaches to every thread of a process, without stopping one of
// them. See massattach --help.
package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"

	"massattach/internal/doctor"
	"massattach/internal/target"
)

func main() {
	target.Main() // does not return in the process that demo starts

	if os.Args[0] == doctor.ProbeName {
		doctor.Probe()
		return
	}
	// A tracer that waits sleeps in a system call, and Go takes its P away only
	// when the runtime's monitor comes by. With two Ps, on two CPUs, those who
	// still have threads to seize stand in line meanwhile: an attach to 10,000
	// takes a tenth longer than with four.
	runtime.GOMAXPROCS(max(4, runtime.GOMAXPROCS(0)))
	// Go collects garbage first when 4 MB are used: in the midst of an attach to
	// 10,000 threads, where it takes a twentieth of the time. Now it is at 16 MB, which
	// 20,000 don't come to.
	collect(400)
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// collect has Go collect garbage when the heap has grown by so many percent, unless the
// user has said when.
func collect(percent int) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}
