// Package bench measures massattach beside the bare system calls, in the same
// process and run, by turns, and gives the ratio: go test -bench . ./bench
//
// Figures are in benchstat's format. Where a benchmark gives x-raw, that is the
// median of ours by the median of the bare loop's; 1.00 is as fast as the
// kernel lets anybody be on one thread.
package bench
