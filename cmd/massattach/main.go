// Massattach attaches to every thread of a process, without stopping one of
// them. See massattach --help.
package main

import (
	"context"
	"os"
	"runtime"

	"massattach/internal/doctor"
	"massattach/internal/target"
)

func main() {
	target.Main() // does not return in the process that demo starts

	switch os.Args[0] {
	case watchdogName:
		watchdog()
		return
	case doctor.ProbeName:
		doctor.Probe()
		return
	}
	// A tracer that waits sleeps in a system call, and Go takes its P away only
	// when the runtime's monitor comes by. With two Ps, on two CPUs, those who
	// still have threads to seize stand in line meanwhile: an attach to 10,000
	// takes a tenth longer than with four.
	runtime.GOMAXPROCS(max(4, runtime.GOMAXPROCS(0)))
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
