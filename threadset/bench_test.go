package threadset_test

import (
	"fmt"
	"runtime"
	"sync"
	"testing"

	. "massattach/threadset"
)

// perThread reports the time of a benchmark's loop by the thread.
func perThread(b *testing.B, n int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/thread")
}

// BenchmarkAttach is what the set adds to an attach, which takes 1.1 µs a
// thread in the kernel: a new set, its shards and indexes growing from nothing.
func BenchmarkAttach(b *testing.B) {
	for _, n := range []int{500, 10_000, 100_000} {
		b.Run(fmt.Sprintf("threads=%d", n), func(b *testing.B) {
			tids := upTo(70_000, n)
			b.ReportAllocs()
			for b.Loop() {
				fill(new(Set), tids)
			}
			perThread(b, n)
		})
	}
}

// BenchmarkAttachBeside is the same by two tracers at a time, which share the
// index of the set.
func BenchmarkAttachBeside(b *testing.B) {
	const n = 10_000
	tids := upTo(70_000, n)
	for b.Loop() {
		var s Set
		var wg sync.WaitGroup
		for half := range 2 {
			wg.Go(func() {
				for i := half * perTracer; i < n; i += 2 * perTracer {
					sh := s.Shard(i)
					sh.Found(tids[i:i+perTracer], false)
					sh.Apply(tids[i:i+perTracer], Seized)
				}
			})
		}
		wg.Wait()
	}
	perThread(b, n)
}

// BenchmarkChurn is the same in shards that have had as many before, and the
// threads' ends.
func BenchmarkChurn(b *testing.B) {
	var s Set
	tids := upTo(70_000, perTracer)
	sh := s.Shard(1)
	b.ReportAllocs()
	for b.Loop() {
		sh.Found(tids, true)
		sh.Apply(tids, Seized)
		sh.Apply(tids, Ended)
	}
	perThread(b, perTracer)
}

func BenchmarkMove(b *testing.B) {
	var s Set
	fill(&s, upTo(70_000, 10_000))
	sh := s.Shard(7)
	tid := 70_000 + 6*perTracer + 123
	b.ReportAllocs()
	for b.Loop() {
		sh.Move(tid, Interrupted)
		sh.Move(tid, Stopped)
		sh.Move(tid, Resumed)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/3, "ns/move")
}

func BenchmarkApply(b *testing.B) {
	var s Set
	tids := upTo(70_000, perTracer)
	fill(&s, tids)
	sh := s.Shard(1)
	b.ReportAllocs()
	for b.Loop() {
		sh.Apply(tids, Interrupted)
		sh.Apply(tids, Resumed)
	}
	perThread(b, 2*perTracer)
}

// scan runs one look at a listing over full sets: all listed are known, as
// in every pass but the first.
func scan(b *testing.B, look func(s *Set, listed, dst []int) []int) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(fmt.Sprintf("threads=%d", n), func(b *testing.B) {
			var s Set
			tids := upTo(70_000, n)
			fill(&s, tids)
			var dst []int
			b.ReportAllocs()
			for b.Loop() {
				dst = look(&s, tids, dst[:0])
			}
			perThread(b, n)
		})
	}
}

func BenchmarkFresh(b *testing.B)   { scan(b, (*Set).Fresh) }
func BenchmarkMissing(b *testing.B) { scan(b, (*Set).Missing) }

func BenchmarkCounts(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		b.Run(fmt.Sprintf("threads=%d", n), func(b *testing.B) {
			var s Set
			fill(&s, upTo(70_000, n))
			for b.Loop() {
				s.Counts()
			}
		})
	}
}

func BenchmarkTotals(b *testing.B) {
	var s Set
	fill(&s, upTo(70_000, 100_000))
	for b.Loop() {
		s.Totals()
	}
}

func BenchmarkAll(b *testing.B) {
	var s Set
	const n = 100_000
	fill(&s, upTo(70_000, n))
	b.ReportAllocs()
	for b.Loop() {
		for range s.All() {
		}
	}
	perThread(b, n)
}

func BenchmarkSnapshot(b *testing.B) {
	var s Set
	const n = 100_000
	fill(&s, upTo(70_000, n))
	var dst []Thread
	b.ReportAllocs()
	for b.Loop() {
		dst = s.Snapshot(dst[:0])
	}
	perThread(b, n)
}

func BenchmarkMemory(b *testing.B) {
	const n = 100_000
	tids := upTo(70_000, n)
	var bytes int64
	for b.Loop() {
		before := heap()
		s := new(Set)
		fill(s, tids)
		bytes = heap() - before
		runtime.KeepAlive(s)
	}
	b.ReportMetric(float64(bytes)/n, "B/thread")
}
