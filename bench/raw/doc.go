// Package raw has the bare loops that massattach is measured against: the same
// system calls on locked OS threads, with no pool, no records, no follower and
// no care for the target. It says what the kernel costs; nobody should attach
// to a process with it.
//
// Its C twin, testdata/raw.c, was compared with it once, on Linux 6.18 with 2
// CPUs and 10,000 threads, one of them spinning: medians of 11 attaches, four
// times by turns, 18.8 to 19.2 ms in C and 20.7 to 22.0 ms in Go.
package raw
