//go:build linux && (amd64 || arm64)

package bpf_test

import (
	"os"
	"testing"

	"massattach/internal/bpf"
	"massattach/internal/target"
	"massattach/procfs"
)

func openTasks(t testing.TB, pid int) *bpf.Tasks {
	t.Helper()
	need(t, "tasks", bpf.TasksSupported)
	r, err := bpf.OpenTasks(pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func all(t testing.TB, r *bpf.Tasks) map[int]bpf.Task {
	t.Helper()
	m := make(map[int]bpf.Task)
	for task, err := range r.All() {
		if err != nil {
			t.Fatal(err)
		}
		if _, twice := m[task.TID]; twice {
			t.Errorf("thread %d comes twice", task.TID)
		}
		m[task.TID] = task
	}
	return m
}

// The iterator and /proc say the same of threads that sleep, and of all there
// are.
func TestTasks(t *testing.T) {
	p := start(t, target.Spec{Epoll: 700, Futex: 50, Sem: 50, Sleep: 10, Read: 10, Spin: 1, Block: map[string][]int{target.KindSem: {10, 12}}})
	kinds, err := p.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.SetComm(t.Context(), kinds[target.KindEpoll][3], "fifteen letters"); err != nil {
		t.Fatal(err)
	}
	r := openTasks(t, p.PID())
	if spins := all(t, r)[kinds[target.KindSpin][0]]; spins.Off() || !spins.Queued || spins.State != 'R' {
		t.Errorf("one that spins: %+v", spins)
	}
	process, err := procfs.FS{}.Open(p.PID())
	if err != nil {
		t.Fatal(err)
	}
	defer process.Close()
	tasks := all(t, r)
	tids, err := process.AppendTIDs(nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(tids) != len(tasks) {
		t.Errorf("%d threads, of which the iterator has %d", len(tids), len(tasks))
	}
	for kind, tids := range kinds {
		if kind == "runtime" || kind == target.KindSpin {
			continue // these don't sleep all the time
		}
		for _, tid := range tids {
			compare(t, process, tasks[tid], tid)
		}
	}
}

func compare(t *testing.T, process *procfs.Process, got bpf.Task, tid int) {
	t.Helper()
	st, err := process.Status(tid)
	if err != nil {
		t.Fatal(err)
	}
	call, err := process.Syscall(tid)
	if err != nil {
		t.Fatal(err)
	}
	stat, err := process.Stat(tid)
	if err != nil {
		t.Fatal(err)
	}
	sched, err := process.Schedstat(tid)
	if err != nil {
		t.Fatal(err)
	}
	ticks := uint64(got.Start.Nanoseconds()) / 10_000_000 // USER_HZ
	if got.TID != tid || got.Comm != st.Name || got.State != st.State || !got.Off() ||
		got.Blocked != st.SigBlk || got.Pending != st.SigPnd ||
		got.Voluntary != st.VoluntarySwitches || got.Involuntary != st.NonvoluntarySwitches ||
		got.Call != call.Nr || got.Args != call.Args || got.PC != call.PC || got.SP != call.SP ||
		ticks != stat.StartTime || got.Ran != sched.Run || got.Waited != sched.Wait || got.Runs != sched.Runs {
		t.Errorf("%+v\nstatus %+v\nsyscall %+v\nstart %d\nschedstat %+v", got, st, call, stat.StartTime, sched)
	}
}

// A process that ends has no threads; the numbers are those of the reader's PID
// namespace.
func TestTasksEnd(t *testing.T) {
	p := start(t, target.Spec{Epoll: 5})
	r := openTasks(t, p.PID())
	if n := len(all(t, r)); n < 6 {
		t.Errorf("%d threads", n)
	}
	if _, err := p.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nobody is left", func() bool { return len(all(t, r)) == 0 })
}

func TestTasksInPIDNamespace(t *testing.T) {
	needRoot(t)
	need(t, "tasks", bpf.TasksSupported)
	if out := run(t, "tasks", nil, "unshare", "--pid", "--fork", "--mount-proc"); out != "" {
		t.Error(out)
	}
}

// All threads of a process, beside what of that /proc says.
func BenchmarkTasks(b *testing.B) {
	p := start(b, target.Mix(10_000))
	b.Run("iterator", func(b *testing.B) {
		r := openTasks(b, p.PID())
		n := 0
		for b.Loop() {
			for _, err := range r.All() {
				if err != nil {
					b.Fatal(err)
				}
				n++
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/thread")
	})
	b.Run("proc", func(b *testing.B) {
		process, err := procfs.FS{}.Open(p.PID())
		if err != nil {
			b.Fatal(err)
		}
		defer process.Close()
		n := 0
		for b.Loop() {
			tids, err := process.AppendTIDs(nil)
			if err != nil {
				b.Fatal(err)
			}
			for _, tid := range tids {
				_, serr := process.Status(tid)
				_, cerr := process.Syscall(tid)
				_, derr := process.Schedstat(tid)
				for _, err := range []error{serr, cerr, derr} {
					if err != nil && !os.IsNotExist(err) {
						b.Fatal(err)
					}
				}
			}
			n += len(tids)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/thread")
	})
}
