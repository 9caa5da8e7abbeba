package raw

// As in internal/bpf.

//go:generate go tool bpf2go -tags linux -target bpfel -no-global-types notify notify.bpf.c -- -O2 -Wall -Werror -mcpu=v3 -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu
