/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */

/* What our programs know of the kernel. The structs have only the fields that
 * are used; where these are in the kernel that runs is found out at load time
 * from its BTF (CO-RE). */

#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#define CORE __attribute__((preserve_access_index))

struct ns_common {
	unsigned int inum;
} CORE;

struct pid_namespace {
	struct ns_common ns;
} CORE;

struct upid {
	int nr;
	struct pid_namespace *ns;
} CORE;

struct pid {
	unsigned int level;
	struct upid numbers[1];
} CORE;

typedef struct {
	unsigned long sig[1];
} sigset_t;

struct sigpending {
	sigset_t signal;
} CORE;

struct sched_info {
	unsigned long pcount;
	unsigned long long run_delay;
} CORE;

struct sched_entity {
	__u64 sum_exec_runtime;
} CORE;

struct sigaction {
	void *sa_handler;
} CORE;

struct k_sigaction {
	struct sigaction sa;
} CORE;

struct sighand_struct {
	struct k_sigaction action[64];
} CORE;

struct task_struct {
	unsigned int __state;
	unsigned int flags;
	unsigned int ptrace;
	int on_cpu;
	struct sched_entity se;
	struct sched_info sched_info;
	int exit_state;
	int pid;
	int tgid;
	struct task_struct *parent; /* its tracer, if it has one */
	struct task_struct *group_leader;
	struct pid *thread_pid;
	unsigned long nvcsw;
	unsigned long nivcsw;
	__u64 start_boottime;
	char comm[16];
	struct sighand_struct *sighand;
	sigset_t blocked;
	struct sigpending pending;
} CORE;

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
} CORE;

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
} CORE;

#define MAX_PID_NS_LEVEL 32 /* include/linux/pid_namespace.h */

/* number_of is the thread's number in the PID namespace whose inode is pid_ns,
 * 0 for none; in the initial one for 0. */
static __always_inline __u32 number_of(struct task_struct *t, __u32 pid_ns)
{
	if (!pid_ns)
		return t->pid;
	struct pid *pid = BPF_CORE_READ(t, thread_pid);
	unsigned int level = BPF_CORE_READ(pid, level);
	for (unsigned int i = 0; i <= MAX_PID_NS_LEVEL; i++) {
		struct upid u = {};
		if (i > level)
			break;
		bpf_core_read(&u, sizeof(u), &pid->numbers[i]);
		if (BPF_CORE_READ(u.ns, ns.inum) == pid_ns)
			return u.nr;
	}
	return 0;
}

/* process_of is the same for its process. */
static __always_inline __u32 process_of(struct task_struct *t, __u32 pid_ns)
{
	if (!pid_ns)
		return t->tgid;
	return number_of(BPF_CORE_READ(t, group_leader), pid_ns);
}
