//go:build ignore

// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause

// Arms the threads of a process in notify-resume style, and asks who may still run
// in user mode, by two walks: no more than that. For Linux 6.18 and 6.19.

#include "../../internal/bpf/kernel.bpf.h"

struct bpf_task_work {
	__u64 opaque;
} __attribute__((aligned(8)));

struct thread {
	__u32 armed, ran;
	struct bpf_task_work work;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 262144);
	__type(key, __u32);
	__type(value, struct thread);
} threads SEC(".maps");

__u64 process; // whose threads
__u64 pending; // may run in user mode

enum pid_type { PIDTYPE_PID };

struct bpf_map {
	__u32 id;
} CORE;

struct bpf_iter_task {
	__u64 opaque[3];
} __attribute__((aligned(8)));

#define PROC_THREADS 1 // BPF_TASK_ITER_PROC_THREADS

extern int bpf_task_work_schedule_resume_impl(struct task_struct *task, struct bpf_task_work *tw, void *map__map,
					      int (*callback)(struct bpf_map *, void *, void *), void *aux__prog) __ksym;
extern int bpf_send_signal_task(struct task_struct *t, int sig, enum pid_type type, __u64 value) __ksym;
extern struct task_struct *bpf_task_from_vpid(int vpid) __ksym;
extern struct task_struct *bpf_task_acquire(struct task_struct *t) __ksym;
extern void bpf_task_release(struct task_struct *t) __ksym;
extern void bpf_local_irq_save(unsigned long *flags) __ksym;
extern void bpf_local_irq_restore(unsigned long *flags) __ksym;
extern void bpf_rcu_read_lock(void) __ksym;
extern void bpf_rcu_read_unlock(void) __ksym;
extern int bpf_iter_task_new(struct bpf_iter_task *it, struct task_struct *t, unsigned int flags) __ksym;
extern struct task_struct *bpf_iter_task_next(struct bpf_iter_task *it) __ksym;
extern void bpf_iter_task_destroy(struct bpf_iter_task *it) __ksym;

static int on_return(struct bpf_map *map, void *key, void *value)
{
	struct thread *v = value;
	if (!v->armed)
		return 0;
	v->ran = 1;
	bpf_send_signal_task(bpf_get_current_task_btf(), 23 /* SIGURG */, PIDTYPE_PID, 0);
	return 0;
}

SEC("syscall")
int arm(void *ctx)
{
	struct task_struct *p = bpf_task_from_vpid(process), *t;
	if (!p)
		return 0;
	struct bpf_iter_task it;
	bpf_rcu_read_lock();
	bpf_iter_task_new(&it, p, PROC_THREADS);
	for (;;) {
		unsigned long flags;
		bpf_local_irq_save(&flags);
		for (int i = 0; i < 32; i++) {
			t = bpf_iter_task_next(&it);
			if (!t)
				break;
			__u32 tid = t->pid;
			struct thread *v = bpf_map_lookup_elem(&threads, &tid);
			if (!v)
				continue;
			v->ran = 0;
			v->armed = 1;
			struct task_struct *q = bpf_task_acquire(t);
			if (!q)
				continue;
			bpf_task_work_schedule_resume_impl(q, &v->work, &threads, on_return, 0);
			bpf_task_release(q);
		}
		bpf_local_irq_restore(&flags);
		if (!t)
			break;
	}
	bpf_iter_task_destroy(&it);
	bpf_rcu_read_unlock();
	bpf_task_release(p);
	return 0;
}

SEC("syscall")
int query(void *ctx)
{
	struct task_struct *p = bpf_task_from_vpid(process), *t;
	pending = 0;
	if (!p)
		return 0;
	struct bpf_iter_task it;
	bpf_rcu_read_lock();
	bpf_iter_task_new(&it, p, PROC_THREADS);
	while ((t = bpf_iter_task_next(&it))) {
		__u32 tid = t->pid;
		struct thread *v = bpf_map_lookup_elem(&threads, &tid);
		if (v && !v->ran && t->on_cpu)
			pending++;
	}
	bpf_iter_task_destroy(&it);
	bpf_rcu_read_unlock();
	bpf_task_release(p);
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
