package bench

import (
	"testing"
	"time"

	"massattach/bench/raw"
	"massattach/internal/bpf"
	"massattach/internal/target"
	"massattach/procfs"
	"massattach/stopper"
)

// Examine all of 10,000 threads: by the iterator, beside two bare passes of it; and
// by /proc, beside a bare loop. A third reads 4 KiB of each one's stack as well.
func BenchmarkExamine(b *testing.B) {
	p := start(b, target.Mix(10_000))
	tids, err := raw.List(p.PID())
	if err != nil {
		b.Fatal(err)
	}
	b.Run("iterator", func(b *testing.B) {
		t, err := bpf.OpenTasks(p.PID())
		if err != nil {
			b.Skip(err)
		}
		defer t.Close()
		benchmarkExamine(b, p.PID(), stopper.MeansIterator, nil, func() (n int) {
			for range 2 {
				n = 0
				for _, err := range t.All() {
					if err != nil {
						b.Fatal(err)
					}
					n++
				}
			}
			return n
		})
	})
	bare := func() int {
		n, err := raw.Examine(p.PID(), tids)
		if err != nil {
			b.Fatal(err)
		}
		return n
	}
	b.Run("proc", func(b *testing.B) { benchmarkExamine(b, p.PID(), stopper.MeansProc, nil, bare) })
	stack := make([]byte, 4<<10)
	read := func(e *stopper.Exam) error {
		n := 0x1000 - e.Call.SP&0xfff // to the end of the page: there may be no more
		return e.ReadAt(stack[:n], e.Call.SP)
	}
	b.Run("iterator+stack", func(b *testing.B) {
		if err := bpf.TasksSupported(); err != nil {
			b.Skip(err)
		}
		benchmarkExamine(b, p.PID(), stopper.MeansIterator, read, bare)
	})
	b.Run("proc+stack", func(b *testing.B) { benchmarkExamine(b, p.PID(), stopper.MeansProc, read, bare) })
	if a := account(b, p); a.EINTR != 0 || a.Early != 0 {
		b.Errorf("the target saw %d EINTR, %d early returns", a.EINTR, a.Early)
	}
}

func benchmarkExamine(b *testing.B, pid int, m stopper.Means, look func(*stopper.Exam) error, bare func() int) {
	x, err := stopper.NewExaminer(pid, &stopper.ExamineOptions{Means: m})
	if err != nil {
		b.Fatal(err)
	}
	defer x.Close()
	examine := func() (coherent int, took time.Duration) {
		begin := time.Now()
		err := x.ExamineAll(b.Context(), procfs.Selection{}, func(e *stopper.Exam) error {
			if e.Verdict != stopper.Coherent {
				return nil
			}
			coherent++
			if look != nil {
				return look(e)
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		return coherent, time.Since(begin)
	}
	_, first := examine() // what is to be loaded is loaded now
	var all pairs
	for b.Loop() {
		begin := time.Now()
		n := bare()
		took := time.Since(begin)
		coherent, ours := examine()
		if coherent < n*9/10 {
			b.Fatalf("%d of %d threads", coherent, n)
		}
		all.add(ours, took)
	}
	all.report(b, "ns/examine")
	b.ReportMetric(float64(first), "ns/first")
}
