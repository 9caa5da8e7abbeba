// Package bpf has every BPF object of massattach, once: the C source, the
// compiled object beside it, and the handle that loads it.
//
// [Births] tells of the births of a process's threads as they happen. [Tasks]
// reads the states, registers and counters of all of them at once. [Notify] has
// threads stop before they run another instruction in user mode.
//
// The objects are compiled by clang 14, as Debian 12 has it, and committed, so
// that nobody who builds massattach needs a compiler for them; `go generate`
// makes them again, and a test compares where clang 14 is installed. They fit
// themselves to the kernel that runs by its BTF (/sys/kernel/btf/vmlinux).
//
// Loading takes CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN, in the initial user
// namespace. Nothing is pinned: programs, maps and links go with the process.
package bpf
