// Massattach attaches to every thread of a process, without stopping one of
// them. See massattach --help.
package main

import (
	"context"
	"os"
	"runtime"
)

func main() {
	// A tracer that waits for its tracees sleeps in a system call, and Go takes
	// its P away only when the runtime's monitor comes by. With two Ps, on two
	// CPUs, the others stand in line meanwhile, and an attach takes a third
	// longer.
	runtime.GOMAXPROCS(max(16, runtime.GOMAXPROCS(0)))
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
