// Package raw has the bare loops that massattach is measured against: the same
// system calls on locked OS threads, with no pool, no records, no follower and
// no care for the target. It says what the kernel costs; nobody should attach
// to a process with it.
//
// Its C twin, testdata/raw.c, was compared with it once: see the comment at
// [Attach].
package raw
