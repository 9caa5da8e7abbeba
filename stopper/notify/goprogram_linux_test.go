//go:build linux && (amd64 || arm64)

package notify_test

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"massattach/internal/sys"
	"massattach/stopper/notify"
)

// A Go program collects its garbage, for which it has to preempt goroutines that make
// no calls, by SIGURG; one that is taken away ends that for ever. It goes on through
// many arrests, and after them.
func TestGoProgram(t *testing.T) {
	needTaskWork(t)
	cmd := command(t, "collect")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var collected atomic.Int64
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			n, _ := strconv.ParseInt(s.Text(), 10, 64)
			collected.Store(n)
		}
	}()
	pid := cmd.Process.Pid
	more := func(n int64) func() bool {
		before := collected.Load()
		return func() bool { return collected.Load() >= before+n }
	}
	eventually(t, "it collects garbage", more(3))

	m := open(t, pid, notify.TaskWork)
	r := trace(t, m, nil, 0)
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		r.end() // it would wait for its tracer
		_ = cmd.Wait()
	})
	var tids []int
	r.event = func(ws sys.WaitStatus) {
		if ws.Status>>8 == sys.EventStop && !slices.Contains(tids, ws.TID) {
			tids = append(tids, ws.TID) // a newborn
			if err := m.Arm([]int{ws.TID}); r.holding && err != nil {
				t.Error(err)
			}
		}
	}
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		t.Fatal(err)
	}
	r.do(func() {
		for _, e := range entries {
			tid, _ := strconv.Atoi(e.Name())
			if err := sys.Seize(tid, sys.OptionTraceClone); err != nil {
				t.Errorf("seize %d: %v", tid, err)
			}
			tids = append(tids, tid)
		}
	})
	for range 1000 {
		r.arm(tids)
		r.release(tids)
		for end := time.Now().Add(500 * time.Microsecond); time.Now().Before(end); {
			r.collect()
		}
	}
	urgent := r.own
	// Under the race detector it collects slowly, with some 100 signals each: each is to
	// wait for us as shortly as can be, and each collection may take its time.
	for range 20 {
		next := more(1)
		for end := time.Now().Add(time.Minute); !next(); time.Sleep(20 * time.Microsecond) {
			if r.collect(); time.Now().After(end) {
				t.Fatal("it collects no garbage any more")
			}
		}
	}
	if urgent == 0 {
		t.Error("it sent itself no signal")
	}
	t.Logf("%d signals of its own meanwhile, ours %v", urgent, r.ours)
}

// collect collects garbage without end, and prints how often it has, while a goroutine
// makes no calls: each collection has to preempt it, by SIGURG.
func collect() error {
	runtime.GOMAXPROCS(2)
	go func() {
		for i := 0; ; i++ {
			spun[i&1]++
		}
	}()
	for n := 1; ; n++ {
		garbage = make([]byte, 1<<16)
		runtime.GC()
		fmt.Println(n)
	}
}

var (
	spun    [2]int
	garbage []byte
)
