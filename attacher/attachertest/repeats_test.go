//go:build !race

package attachertest_test

import (
	"runtime"
	"slices"
	"testing"
)

// usualSeeds is how many are run when nobody asks for a number.
const usualSeeds = 10_000

// The same seed gives the same trace: nothing but the scheduler decides. (Not
// under the race detector, which has goroutines run in any order.)
func TestSimulationRepeats(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for seed := range uint64(40) {
		a, b := simulate(t, seed).trace, simulate(t, seed).trace
		if slices.Equal(a, b) {
			continue
		}
		i := 0
		for i < min(len(a), len(b)) && a[i] == b[i] {
			i++
		}
		t.Errorf("seed %d: traces of %d and %d steps part at %d: %v and %v", seed, len(a), len(b), i, a[i:min(i+3, len(a))], b[i:min(i+3, len(b))])
	}
}
