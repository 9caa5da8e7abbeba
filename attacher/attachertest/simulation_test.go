package attachertest_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// The whole of attacher on the fake kernel, with all that can happen to it at
// once. Every call goes through the gate, one at a time, and the next is drawn
// from a seed.
//
//	go test ./attacher/attachertest -run Simulation -seeds 100000
//	go test ./attacher/attachertest -run Simulation -seed 4711
var (
	firstSeed = flag.Uint64("seed", 0, "the (first) seed of the simulation")
	manySeeds = flag.Int("seeds", 0, "how many seeds the simulation runs")
	lastSteps = flag.Int("last", 60, "how many steps of one that failed are printed")
)

// keptSeeds have found something once.
var keptSeeds = []uint64{
	3012080, 3014601, 5004269, 5014669, 5028387, 7010379, 8031534, 8046528, 8055089, 8016402, 9033437,
	9049818, 9056309, 9071800, 10050647, 11098295, 16442004, 17043573,
}

// inShard marks a process that runs a part of the seeds.
const inShard = "MASSATTACH_SIMULATION_SHARD"

func TestSimulation(t *testing.T) {
	first, n := *firstSeed, *manySeeds
	switch {
	case n == 0 && first > 0:
		n = 1
	case n == 0:
		n = usualSeeds
		runSeeds(t, keptSeeds)
	}
	first = max(first, 1)
	if os.Getenv(inShard) != "" || n == 1 {
		seeds := make([]uint64, n)
		for i := range seeds {
			seeds[i] = first + uint64(i)
		}
		runSeeds(t, seeds)
		return
	}
	// Only a process that runs one goroutine at a time comes to the same order
	// again.
	shards := runtime.NumCPU()
	for i := range shards {
		from, to := first+uint64(n*i/shards), first+uint64(n*(i+1)/shards)
		t.Run(fmt.Sprintf("%d-%d", from, to-1), func(t *testing.T) {
			t.Parallel()
			runShard(t, from, int(to-from))
		})
	}
}

// runShard has another process run seeds.
func runShard(t *testing.T, first uint64, n int) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestSimulation$", "-test.v", "-test.timeout=0",
		"-seed="+strconv.FormatUint(first, 10), "-seeds="+strconv.Itoa(n))
	cmd.Env = append(os.Environ(), inShard+"=1", "GOMAXPROCS=1")
	cmd.WaitDelay = time.Minute
	begin := time.Now()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, tail(out))
		return
	}
	t.Logf("%.0f seeds a second", float64(n)/time.Since(begin).Seconds())
}

// tail is the end of an output, which may be long.
func tail(out []byte) []byte {
	const enough = 20_000
	out = bytes.TrimSpace(out)
	return out[max(0, len(out)-enough):]
}

// runSeeds runs them in this process, one after the other.
func runSeeds(t *testing.T, seeds []uint64) {
	if len(seeds) == 0 {
		return
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	over := make(chan struct{})
	defer close(over)
	go watch(over)
	failures := 0
	for _, seed := range seeds {
		s := simulate(t, seed)
		if s.failure == "" {
			continue
		}
		t.Errorf("seed %d: %s\nrepeat with: go test ./attacher/attachertest -run Simulation -seed %d", seed, s.failure, seed)
		if failures++; failures >= 5 {
			t.Fatal("enough")
		}
	}
}

// running is the run that is on.
var running atomic.Pointer[simulation]

// watch ends a process whose run never gives the turn back to its scheduler.
func watch(over <-chan struct{}) {
	for last := (*simulation)(nil); ; {
		select {
		case <-over:
			return
		case <-time.After(time.Minute):
		}
		s := running.Load()
		if s != nil && s == last {
			s.fail("it does not return")
			panic(fmt.Sprintf("seed %d: %s", s.seed, s.failure))
		}
		last = s
	}
}

// simulate is one run.
func simulate(t *testing.T, seed uint64) (s *simulation) {
	defer func() {
		if p := recover(); p != nil { // of synctest: somebody never ends
			t.Fatalf("seed %d: %v: %s", seed, p, s.failure)
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		s = newSimulation(seed)
		running.Store(s)
		s.run()
		s.openGate()
	})
	return s
}
