// Package bench measures massattach: beside the bare system calls, in the same process
// and run, by turns; and as a whole process beside other tools. It is massattach bench.
//
// A [report.BenchCase] is a thing to be measured; cases_*_linux.go have them, as data:
// what the target is, at which sizes, and the subjects who take turns. [Run] runs them
// and makes a [report.Bench] of their figures, in which stats.go has put the ratios with
// their intervals, and the growth. peers_linux.go knows the other tools; gate.go, which
// ratios a change must keep. What a target noticed is its own account (internal/target).
//
// Beside that there are benchmarks of go test, which look closer at one thing each: go
// test -bench . ./bench. Where one gives x-raw, that is the median of ours by the median
// of the bare loop's; 1.00 is as fast as the kernel lets anybody be on one thread.
package bench
