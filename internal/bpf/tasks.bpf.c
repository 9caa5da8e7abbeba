//go:build ignore

// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause

// What the kernel knows of each thread of a process, in one read: an iterator,
// whose link names the process.

#include "kernel.bpf.h"

// pid_ns is as in births.bpf.c.
const volatile __u32 pid_ns = 0;

// task is a record, read by tasks_linux.go.
struct task {
	__u64 blocked, pending; // signals
	__u64 start;		// since the boot, in ns
	__u64 ran, waited, runs; // as in schedstat
	__u64 voluntary, involuntary;
	__u64 pc, sp;
	__u64 args[6];
	__s64 call;
	__u32 tid;
	__u32 state, exit_state;
	__u32 place;		// on_cpu, queued
	char comm[16];
};

enum { on_cpu = 1, queued = 2 };

// What else there is in a task_struct; sched_delayed since Linux 6.12.
struct sched_entity___delayed {
	unsigned char sched_delayed;
} CORE;

struct task_struct___queue {
	int on_rq;
	struct sched_entity___delayed se;
} CORE;

// runnable says whether the thread is in a run queue, to be picked: not one that
// sleeps and whose removal was put off (DELAY_DEQUEUE).
static __always_inline int runnable(struct task_struct *t)
{
	struct task_struct___queue *q = (void *)t;

	if (!q->on_rq)
		return 0;
	return !(bpf_core_field_exists(q->se.sched_delayed) && q->se.sched_delayed);
}

// in_order has what is read before it read before what is read behind it.

#if defined(__TARGET_ARCH_x86)

#define in_order() barrier() // loads stay in order

struct pt_regs {
	unsigned long r10, r9, r8, dx, si, di, orig_ax, ip, sp;
} CORE;

static __always_inline void registers(struct task *r, struct pt_regs *regs)
{
	r->pc = regs->ip;
	r->sp = regs->sp;
	r->call = (long)regs->orig_ax;
	r->args[0] = regs->di;
	r->args[1] = regs->si;
	r->args[2] = regs->dx;
	r->args[3] = regs->r10;
	r->args[4] = regs->r8;
	r->args[5] = regs->r9;
}

#elif defined(__TARGET_ARCH_arm64)

// An atomic operation whose result is used orders loads; on memory of its own.
#define in_order() do { \
	__u64 word = 0; \
	asm volatile("" ::"r"(__sync_fetch_and_add(&word, 1)) : "memory"); \
} while (0)

struct pt_regs {
	__u64 regs[31];
	__u64 sp, pc;
	__u64 orig_x0;
	int syscallno;
} CORE;

static __always_inline void registers(struct task *r, struct pt_regs *regs)
{
	r->pc = regs->pc;
	r->sp = regs->sp;
	r->call = regs->syscallno;
	r->args[0] = regs->orig_x0;
	r->args[1] = regs->regs[1];
	r->args[2] = regs->regs[2];
	r->args[3] = regs->regs[3];
	r->args[4] = regs->regs[4];
	r->args[5] = regs->regs[5];
}

#endif

SEC("iter/task")
int on_task(struct bpf_iter__task *ctx)
{
	struct task_struct *t = ctx->task;
	struct task r = {};

	if (!t)
		return 0;
	r.tid = number_of(t, pid_ns);
	// In this order: of one that is found in no run queue, and then on no CPU,
	// all that follows is what it left behind, as long as runs stays the same.
	// To run again it has to be queued first, and when it is picked from the
	// queue it is counted (kernel/sched/stats.h, sched_info_arrive) before on_cpu
	// is set (prepare_task_switch): without a look at the queue one that is
	// just being switched to would pass. So would one that was preempted on its
	// way to sleep, whose return is not counted.
	r.runs = t->sched_info.pcount;
	in_order();
	r.place = runnable(t) ? queued : 0;
	in_order();
	r.place |= t->on_cpu ? on_cpu : 0;
	in_order();
	r.waited = t->sched_info.run_delay;
	r.ran = t->se.sum_exec_runtime;
	r.state = t->__state;
	r.exit_state = t->exit_state;
	r.blocked = t->blocked.sig[0];
	r.pending = t->pending.signal.sig[0];
	r.start = t->start_boottime;
	r.voluntary = t->nvcsw;
	r.involuntary = t->nivcsw;
	BPF_CORE_READ_INTO(&r.comm, t, comm);
	r.call = -1;
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(t);
	if (regs)
		registers(&r, regs);
	bpf_seq_write(ctx->meta->seq, &r, sizeof(r));
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
