//go:build ignore

// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause

// For Linux 7.0 and later.

#include "notify.bpf.h"

extern int bpf_task_work_schedule_resume(struct task_struct *task, struct bpf_task_work *tw, void *map__map,
					 int (*callback)(struct bpf_map *, void *, void *)) __ksym;

static __always_inline int schedule(struct task_struct *t, struct thread *v)
{
	return bpf_task_work_schedule_resume(t, &v->work, &threads, on_return);
}
