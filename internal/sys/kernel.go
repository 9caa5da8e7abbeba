package sys

// CapSysPtrace is a bit of capability sets, include/uapi/linux/capability.h.
const CapSysPtrace = 19

// BTFPath is where a kernel describes its types, if it was built to.
const BTFPath = "/sys/kernel/btf/vmlinux"
