//go:build ignore

// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause

// The births and deaths of the threads of some processes, as they happen: a log
// that user space maps and reads, so that a birth costs its creator a few
// stores, and nobody is woken while the reader is at work anyway.

#include "kernel.bpf.h"

#define ENTRIES 65536 // of the log; a power of two
#define TARGETS 65536

// birth is an entry of the log. Its words are read by log_linux.go.
struct birth {
	__u64 seq;  // how many entries there were, with this one; 0 while it is written
	__u64 born; // CLOCK_MONOTONIC, in ns
	__u32 tid;  // 0: no birth, but an exec
	__u32 process;
	__u64 dead; // it has begun to exit
};

// Processes and threads have their numbers in the PID namespace whose inode is
// pid_ns; 0 is the initial one.
const volatile __u32 pid_ns = 0;

// What user space maps; log_linux.go knows the order. It is hidden from the loader,
// which would copy 3 MB of zeros of every variable, and again into the kernel.
struct {
	__u64 targets[TARGETS]; // the processes that are followed, each in its place
	struct birth births[ENTRIES];
	__u64 last[ENTRIES]; // by thread, the seq of its entry: see on_exit
	__u64 head;	     // entries so far
	__u64 awake;	     // the reader looks by itself
} memory __hidden;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 65536); // a multiple of any page size
} bell SEC(".maps");

// wake rouses a reader that sleeps. It has set awake to 0 and looked once more
// at head since: the full barrier is the atomic add to that.
static __always_inline void wake(void)
{
	if (memory.awake)
		return;
	memory.awake = 1;
	__u64 word = 0;
	bpf_ringbuf_output(&bell, &word, sizeof(word), BPF_RB_FORCE_WAKEUP);
}

// followed is the process of a thread if that is followed, else 0.
static __always_inline __u32 followed(struct task_struct *task)
{
	__u32 process = process_of(task, pid_ns);
	return memory.targets[process % TARGETS] == process ? process : 0;
}

static __always_inline void note(__u32 process, __u32 tid)
{
	__u64 i = __sync_fetch_and_add(&memory.head, 1);
	struct birth *b = &memory.births[i % ENTRIES];
	__sync_lock_test_and_set(&b->seq, 0);
	b->born = bpf_ktime_get_ns();
	b->tid = tid;
	b->process = process;
	b->dead = 0;
	__sync_lock_test_and_set(&b->seq, i + 1);
	if (tid)
		memory.last[tid % ENTRIES] = i + 1;
	wake();
}

// A thread is born: it has its number, and has not run yet.
SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	__u32 process = followed(child);
	if (process)
		note(process, number_of(child, pid_ns));
	return 0;
}

// A thread ends. If its birth is still in the log, say so there: two threads
// whose numbers share a place in last, of which this was the earlier, only cost
// a SEIZE that finds nobody.
SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
	if (!followed(task))
		return 0;
	__u32 tid = number_of(task, pid_ns);
	__u64 seq = memory.last[tid % ENTRIES];
	struct birth *b = &memory.births[(seq - 1) % ENTRIES];
	if (seq && b->seq == seq && b->tid == tid)
		b->dead = 1;
	return 0;
}

// A process runs a new program, perhaps by a thread that is nobody's tracee
// yet and has another number now.
SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task)
{
	__u32 process = followed(task);
	if (process)
		note(process, 0);
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
