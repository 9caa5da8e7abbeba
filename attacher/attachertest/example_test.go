package attachertest_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"syscall"

	"massattach/attacher"
	"massattach/attacher/attachertest"
)

// A process of 4,000 threads gets 50 more, each at the worst moment: just
// before another one is seized. Then one is interrupted by a signal that the
// process ignores.
func Example() {
	m := attachertest.New(100, 4000)
	var births atomic.Int64 // tracers call Before side by side
	births.Store(50)
	m.Before = func(op string, tid int) error {
		if op == "seize" && births.Add(-1) >= 0 {
			m.Spawn(tid)
		}
		return nil
	}
	s, err := attacher.Attach(context.Background(), 100, &attacher.Options{Kernel: m, Proc: m})
	if err != nil {
		fmt.Println(err)
		return
	}
	m.Signal(117, syscall.SIGCHLD)
	if err := s.Close(); err != nil {
		fmt.Println(err)
	}
	fmt.Println("attached:", s.Report().Threads.Attached)
	fmt.Println("noticed:", m.Account().EINTR, "EINTR")
	fmt.Println("left behind:", m.Quiet())
	// Output:
	// attached: 4050
	// noticed: 0 EINTR
	// left behind: <nil>
}
