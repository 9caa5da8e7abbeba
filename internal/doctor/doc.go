// Package doctor says, without attaching to anybody, whether attaching can work:
// to a process, or at all on this machine; which follow modes and fast paths
// would; what is in the way, and what to type about it; and whom another tool has
// left stopped.
//
//	d, err := doctor.Examine(new(doctor.Linux), pid)
//
// What is read of the system is a [Machine] and a [Target], through the interface
// [System]. What follows from it is decided by functions that read nothing, so
// that a machine with Yama is a test and not an installation.
//
// Why a SEIZE is refused is known in one place, package attacher: the doctor asks
// for [attacher.Facts.Obstacles], an attach that was refused for the first of
// them. Beyond the facts the kernel itself is asked, where it has an answer that
// costs nothing: a SEIZE of nobody shows whether a seccomp filter refuses ptrace
// ([attacher.Filtered]), and process_vm_readv(2) takes the very right that SEIZE
// takes ([attacher.AskAccess]), security modules included.
//
// A foresight is one of a moment: users, tracers and limits may change before
// the attach comes.
package doctor
