//go:build !race

package attachertest_test

import (
	"runtime"
	"slices"
	"testing"
)

// usualSeeds is how many are run when nobody asks for a number.
const usualSeeds = 10_000

// The same seed gives the same trace: nothing but the scheduler decides. Two
// timers of one moment alone may fire in either order, so that one run may part
// from another; but of a few two are the same. (Not under the race detector,
// which has goroutines run in any order.)
func TestSimulationRepeats(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for seed := range uint64(40) {
		var traces [][]step
		same := func() bool {
			trace := simulate(t, seed).trace
			traces = append(traces, trace)
			return slices.ContainsFunc(traces[:len(traces)-1], func(o []step) bool { return slices.Equal(o, trace) })
		}
		for !same() {
			if len(traces) < 5 {
				continue
			}
			a, b := traces[0], traces[1]
			i := 0
			for i < min(len(a), len(b)) && a[i] == b[i] {
				i++
			}
			t.Errorf("seed %d: traces of %d and %d steps part at %d: %v and %v", seed, len(a), len(b), i, a[i:min(i+3, len(a))], b[i:min(i+3, len(b))])
			break
		}
	}
}
