/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */

/* Arrest in notify-resume style: each of some threads gets a work of the
 * kernel's to do on its way back to user mode (task_work, TWA_RESUME), in which
 * it sends itself a signal, which its tracer sees as a signal-delivery-stop.
 * What it does in the kernel meanwhile is left alone.
 *
 * All programs but the last are run by user space, on a list of threads.
 * Included by notify.bpf.c and notify70.bpf.c, which say how such a work is
 * scheduled. */

#include "kernel.bpf.h"

#define LIST 65536 /* a power of two */
#define MOST 262144
#define BATCH 32

/* COOKIE is sys.Cookie. */
#define COOKIE 0x6d61737361747461ULL

/* phase is how far a thread is. */
enum phase {
	IDLE,  /* not armed */
	ARMED, /* it will send itself a signal, see on_return */
	SENT,  /* it has */
	OWN,   /* it had a signal of its own to stop by */
	MUTE,  /* there was no signal that it could be sent */
	TOLD,  /* and user space knows */
};

struct bpf_task_work {
	__u64 opaque;
} __attribute__((aligned(8)));

struct thread {
	__u32 phase;
	__u32 tracer; /* process of its tracer, in the initial PID namespace */
	__u64 ours;   /* signals that are ours if they are pending: see on_signal */
	struct bpf_task_work work;
};

/* answer is what a program makes of an entry of the list. */
enum answer {
	NOTHING,
	PENDING,  /* it may run in user mode */
	IS_MUTE,
	REPORTED, /* it has sent itself a signal */
	ABSENT,	  /* it has no entry, for now */
	FULL,	  /* there is no room for it */
};

/* Threads have their numbers in the PID namespace whose inode is pid_ns; 0 is
 * the initial one. */
const volatile __u32 pid_ns = 0;

__u64 list[LIST]; /* numbers; answers afterwards */
__u64 count;	  /* of these */
__u64 mutes;	  /* so many have become mute */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MOST);
	__type(key, __u32);
	__type(value, struct thread);
} threads SEC(".maps");

/* which is a signal of a thread. */
struct which {
	__u32 tid;
	__u32 sig;
};

/* siginfo is the first part of a siginfo_t, which is all that the kernel has. */
struct siginfo {
	int signo, errno, code, pad;
	__u64 fields[4];
};

/* merges has the first signal of the target's own that was merged into one of
 * ours. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct which);
	__type(value, struct siginfo);
} merges SEC(".maps");

enum pid_type { PIDTYPE_PID };

struct bpf_map {
	__u32 id;
} CORE;

struct bpf_iter_num {
	__u64 opaque;
} __attribute__((aligned(8)));

extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym;
extern struct task_struct *bpf_task_from_vpid(int vpid) __ksym;
extern void bpf_task_release(struct task_struct *t) __ksym;
extern int bpf_send_signal_task(struct task_struct *t, int sig, enum pid_type type, __u64 value) __ksym;
extern void bpf_local_irq_save(unsigned long *flags) __ksym;
extern void bpf_local_irq_restore(unsigned long *flags) __ksym;

/* schedule has on_return run in the thread. */
static int schedule(struct task_struct *t, struct thread *v);

/* What the kernel has behind a struct bpf_task_work (kernel/bpf/helpers.c). */
enum bpf_task_work_state {
	BPF_TW_STANDBY,
	BPF_TW_SCHEDULED = 3,
};

struct bpf_task_work_ctx {
	enum bpf_task_work_state state;
} CORE;

/* work_state is how far that work is: on standby there is none. */
static __always_inline int work_state(struct thread *v)
{
	struct bpf_task_work_ctx *ctx = 0;
	bpf_probe_read_kernel(&ctx, sizeof(ctx), &v->work);
	return ctx ? BPF_CORE_READ(ctx, state) : bpf_core_enum_value(enum bpf_task_work_state, BPF_TW_STANDBY);
}

#define PF_EXITING 4 /* include/linux/sched.h */

/* concerns says whether a thread may run in user mode again, and its tracer is
 * of that process: else its number is a stranger's by now. */
static __always_inline int concerns(struct task_struct *t, __u32 tracer)
{
	return !(t->flags & PF_EXITING) && t->ptrace && t->parent->tgid == tracer;
}

#define SIGCHLD 17
#define SIGCONT 18
#define SIGSTOP 19
#define SIGTSTP 20
#define SIGTTIN 21
#define SIGTTOU 22
#define SIGURG 23
#define SIGWINCH 28

#define BIT(sig) (1ULL << ((sig) - 1))
#define JOB_CONTROL (BIT(SIGCONT) | BIT(SIGSTOP) | BIT(SIGTSTP) | BIT(SIGTTIN) | BIT(SIGTTOU))

/* handled says whether the signal has a handler: neither SIG_DFL nor SIG_IGN. */
#define handled(t, sig) ((__u64)BPF_CORE_READ(t, sighand, action[(sig) - 1].sa.sa_handler) > 1)

/* choose is the signal for a thread, 0 for none: one that is ignored by default,
 * so that it does nothing should the tracer die, and that comes through. Those
 * without a handler first. SIGURG with a handler never: a Go program whose
 * SIGURG is taken away once collects no garbage any more. */
static __always_inline int choose(struct task_struct *t, __u64 no)
{
	int chld = !(no & BIT(SIGCHLD)), urg = !(no & BIT(SIGURG)), winch = !(no & BIT(SIGWINCH));
	if (urg && !handled(t, SIGURG))
		return SIGURG;
	if (winch && !handled(t, SIGWINCH))
		return SIGWINCH;
	if (chld && !handled(t, SIGCHLD))
		return SIGCHLD;
	return winch ? SIGWINCH : chld ? SIGCHLD : 0;
}

static __always_inline int move(struct thread *v, __u32 from, __u32 to)
{
	return __sync_val_compare_and_swap(&v->phase, from, to) == from;
}

static __always_inline void count_mute(void)
{
	__sync_fetch_and_add(&mutes, 1);
}

/* on_return runs in a thread that is about to return to user mode. */
static int on_return(struct bpf_map *map, void *key, void *value)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct which which = {.tid = number_of(t, pid_ns)};
	struct thread *v = value;
	if (which.tid != *(__u32 *)key)
		/* It has become the leader by an exec. */
		v = bpf_map_lookup_elem(&threads, &which.tid);
	if (!v || !concerns(t, v->tracer))
		return 0;
	__u64 blocked = t->blocked.sig[0], pending = t->pending.signal.sig[0];
	__u64 stops = pending & ~blocked & ~JOB_CONTROL;
	if (stops) {
		/* It stops by that. Ours, behind it, would swallow the target's
		 * own of that number as long as the thread is held. */
		move(v, ARMED, stops & v->ours ? SENT : OWN);
		return 0;
	}
	which.sig = choose(t, blocked | pending);
	if (!which.sig) {
		if (move(v, ARMED, MUTE))
			count_mute();
		return 0;
	}
	if (!move(v, ARMED, SENT))
		return 0;
	bpf_map_delete_elem(&merges, &which);
	if (bpf_send_signal_task(t, which.sig, PIDTYPE_PID, COOKIE)) {
		if (move(v, SENT, MUTE))
			count_mute();
	} else if (!(v->ours & BIT(which.sig))) {
		/* The target's own of that number was there first. */
		move(v, SENT, OWN);
	}
	return 0;
}

#define E2BIG 7
#define EEXIST 17

/* insert makes an entry. Its memory may take a moment to come. */
static __always_inline __u64 insert(__u32 tid)
{
	struct thread none = {};
	long err = bpf_map_update_elem(&threads, &tid, &none, BPF_NOEXIST);
	if (!err || err == -EEXIST)
		return NOTHING;
	return err == -E2BIG ? FULL : ABSENT;
}

static __always_inline __u64 *place(int i)
{
	return &list[i & (LIST - 1)];
}

#define FOR_EACH(at)                                               \
	struct bpf_iter_num it;                                    \
	int *next;                                                 \
	bpf_iter_num_new(&it, 0, count < LIST ? count : LIST);     \
	while ((next = bpf_iter_num_next(&it)) && (at = place(*next)))

SEC("syscall")
int add(void *ctx)
{
	__u64 *at;
	FOR_EACH(at) {
		*at = insert(*at);
	}
	bpf_iter_num_destroy(&it);
	return 0;
}

/* remove takes them out, and their works back. */
SEC("syscall")
int remove(void *ctx)
{
	__u64 *at;
	FOR_EACH(at) {
		__u32 tid = *at;
		bpf_map_delete_elem(&threads, &tid);
	}
	bpf_iter_num_destroy(&it);
	return 0;
}

/* arm_one is a global function: the verifier goes through it once, and not in
 * each round of the loops around it. */
__attribute__((noinline)) int arm_one(__u32 tid, __u32 tracer)
{
	int answer = NOTHING;
	struct task_struct *t = bpf_task_from_vpid(tid);
	if (!t)
		return NOTHING;
	if (concerns(t, tracer)) {
		struct thread *v = bpf_map_lookup_elem(&threads, &tid);
		if (v) {
			v->tracer = tracer;
			__sync_lock_test_and_set(&v->phase, ARMED);
			/* It is queued still, or again, or look does it. */
			schedule(t, v);
		} else {
			answer = ABSENT;
		}
	}
	bpf_task_release(t);
	return answer;
}

/* arm has them report, or report again. */
SEC("syscall")
int arm(void *ctx)
{
	__u32 tracer = bpf_get_current_pid_tgid() >> 32;
	struct bpf_iter_num it;
	int *next;
	bpf_iter_num_new(&it, 0, count < LIST ? count : LIST);
	for (;;) {
		/* A work is queued by an interrupt of this CPU: one for a batch. */
		unsigned long flags;
		bpf_local_irq_save(&flags);
		for (int i = 0; i < BATCH; i++) {
			next = bpf_iter_num_next(&it);
			if (!next)
				break;
			__u64 *at = place(*next);
			*at = arm_one(*at, tracer);
		}
		bpf_local_irq_restore(&flags);
		if (!next)
			break;
	}
	bpf_iter_num_destroy(&it);
	return 0;
}

/* runs says whether an armed thread may run in user mode before it reports. Who
 * is off the CPU, with its work queued before, does that work first. */
static __always_inline int runs(__u32 tid, struct thread *v)
{
	int may = 0;
	struct task_struct *t = bpf_task_from_vpid(tid);
	if (!t)
		return 0;
	if (concerns(t, v->tracer)) {
		int state = work_state(v);
		if (state == bpf_core_enum_value(enum bpf_task_work_state, BPF_TW_STANDBY))
			schedule(t, v); /* when it was armed its work was being done */
		if (state != bpf_core_enum_value(enum bpf_task_work_state, BPF_TW_SCHEDULED)) {
			may = 1;
		} else {
			/* An atomic operation whose result is used orders loads. */
			__u64 word = 0;
			asm volatile("" ::"r"(__sync_fetch_and_add(&word, 1)) : "memory");
			may = t->on_cpu;
		}
	}
	bpf_task_release(t);
	return may && v->phase == ARMED;
}

/* look answers who may still run in user mode, and, once each, who is mute. */
SEC("syscall")
int look(void *ctx)
{
	__u64 *at;
	FOR_EACH(at) {
		__u32 tid = *at;
		struct thread *v = bpf_map_lookup_elem(&threads, &tid);
		__u64 answer = NOTHING;
		if (v && v->phase == ARMED && runs(tid, v))
			answer = PENDING;
		else if (v && move(v, MUTE, TOLD))
			answer = IS_MUTE;
		*at = answer;
	}
	bpf_iter_num_destroy(&it);
	return 0;
}

/* disarm answers whose signals have come, or are still to come. */
SEC("syscall")
int disarm(void *ctx)
{
	__u64 *at;
	FOR_EACH(at) {
		__u32 tid = *at;
		struct thread *v = bpf_map_lookup_elem(&threads, &tid);
		*at = v && __sync_lock_test_and_set(&v->phase, IDLE) == SENT ? REPORTED : NOTHING;
	}
	bpf_iter_num_destroy(&it);
	return 0;
}

struct kernel_siginfo;

/* enum of include/trace/events/signal.h */
#define TRACE_SIGNAL_DELIVERED 0
#define TRACE_SIGNAL_ALREADY_PENDING 2
#define TRACE_SIGNAL_LOSE_INFO 4

#define SI_KERNEL 0x80

/* A signal is sent. A standard signal does not queue: of those with the number
 * of one that is pending nothing is left. Remember who was the first, if the one
 * that is pending is ours. */
SEC("tp_btf/signal_generate")
int BPF_PROG(on_signal, int sig, struct kernel_siginfo *info, struct task_struct *t, int group, int result)
{
	if (group || (sig != SIGURG && sig != SIGWINCH && sig != SIGCHLD))
		return 0;
	struct which which = {number_of(t, pid_ns), sig};
	struct thread *v = bpf_map_lookup_elem(&threads, &which.tid);
	if (!v)
		return 0;
	struct siginfo si = {.signo = sig, .code = SI_KERNEL};
	if ((__u64)info > 1) /* SEND_SIG_NOINFO, SEND_SIG_PRIV */
		bpf_probe_read_kernel(&si, sizeof(si), info);
	/* All of this is under the receiver's siglock. */
	if (si.code == SI_KERNEL && si.fields[1] == COOKIE) {
		if (result == TRACE_SIGNAL_DELIVERED)
			v->ours |= BIT(sig);
	} else if (result == TRACE_SIGNAL_DELIVERED || result == TRACE_SIGNAL_LOSE_INFO) {
		v->ours &= ~BIT(sig);
	} else if (result == TRACE_SIGNAL_ALREADY_PENDING && v->ours & BIT(sig)) {
		bpf_map_update_elem(&merges, &which, &si, BPF_NOEXIST);
	}
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
