package threadset_test

import (
	"math/rand/v2"
	"runtime"
	"testing"

	. "massattach/threadset"
)

const perTracer = 500

// heap is how many bytes of the heap are in use.
func heap() int64 {
	var m runtime.MemStats
	// Twice: the first collection only moves what pools hold aside.
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// fill seizes tids, so many a tracer, as an attach does.
func fill(s *Set, tids []int) {
	for owner := 1; len(tids) > 0; owner++ {
		batch := tids[:min(perTracer, len(tids))]
		tids = tids[len(batch):]
		sh := s.Shard(owner)
		sh.Found(batch, false)
		sh.Apply(batch, Seized)
	}
}

func TestBytesPerThread(t *testing.T) {
	// Over 3/4 of a power of two is where the indexes have just doubled.
	for _, n := range []int{1_000, 10_000, 100_000, 3<<15 + 1} {
		dense := upTo(70_000, n)
		sparse := rand.New(rand.NewPCG(1, 1)).Perm(1 << 22)[:n]
		for _, tids := range [][]int{dense, sparse} {
			before := heap()
			s := new(Set)
			fill(s, tids)
			per := float64(heap()-before) / float64(n)
			s.Missing(tids, nil)
			t.Logf("%d threads: %.1f bytes each", n, per)
			if per > 100 {
				t.Errorf("%d threads: %.1f bytes each", n, per)
			}
			runtime.KeepAlive(s)
		}
	}
}

// A target that makes and ends threads for days leaves its totals behind,
// and nothing else.
func TestChurnLeavesNothing(t *testing.T) {
	var s Set
	const n = 1000
	churn := func(rounds int) {
		for i := range rounds {
			tids := upTo(1+i*n%(1<<22-n), n)
			for k := range 2 {
				sh, half := s.Shard(k+1), tids[k*n/2:(k+1)*n/2]
				sh.Found(half, true)
				sh.Apply(half[:20], Missing)
				sh.Apply(half[20:25], Refused)
				sh.Apply(half, Seized)
				sh.Apply(half, Ended)
			}
			s.Missing(nil, nil)
		}
	}
	churn(10)
	before := heap()
	churn(1000)
	if grown := heap() - before; grown > 16<<10 {
		t.Errorf("%d bytes more after a million threads", grown)
	}
	equal(t, "records", len(s.Snapshot(nil)), 0)
	equal(t, "sum", s.Counts().Sum(), 1010*n)
	equal(t, "totals", s.Totals(), Totals{
		Found: 1010 * 960, Attached: 1010 * 950, Exited: 1010 * 950,
		Failed: 1010 * 10, Born: 1010 * 960, Fleeting: 1010 * 40,
	})
	runtime.KeepAlive(&s)
}
