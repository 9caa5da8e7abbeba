package bpf

// The objects are made with clang 14 and the headers of libbpf-dev 1.1, both
// Debian 12's. Who has these can make them again; nobody else has to.
//
// Instructions of version 3 (Linux 5.12) have the atomics that answer the old
// value. asm/types.h is where Debian has it, on either architecture.

//go:generate go tool bpf2go -tags linux -target bpfel -no-global-types births births.bpf.c -- -O2 -Wall -Werror -mcpu=v3 -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu
//go:generate go tool bpf2go -tags linux -target amd64,arm64 -no-global-types tasks tasks.bpf.c -- -O2 -Wall -Werror -mcpu=v3 -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu
//go:generate go tool bpf2go -tags linux -target bpfel -no-global-types notify notify.bpf.c -- -O2 -Wall -Werror -mcpu=v3 -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu
//go:generate go tool bpf2go -tags linux -target bpfel -no-global-types notify70 notify70.bpf.c -- -O2 -Wall -Werror -mcpu=v3 -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu
