package attachertest_test

import (
	"fmt"
	"slices"
	"syscall"
	"testing"

	"massattach/attacher/attachertest"
)

// Manual leaves it to the test who runs when. INTERRUPT and a signal are both
// on their way; what the tracer sees depends on nothing else.
func TestManual(t *testing.T) {
	m := attachertest.New(100, 3)
	m.Manual = true
	k := bind(t, m)
	must(t, k.Seize(101, 0))
	must(t, k.Interrupt(101))
	must(t, k.Interrupt(101))
	if got := m.Runnable(); !slices.Equal(got, []int{101}) {
		t.Fatal(got)
	}
	if ws, _ := k.Look(0, false); ws.TID != 0 {
		t.Error("it has stopped before it ran")
	}
	if err := k.Cont(101, 0); err != syscall.ESRCH {
		t.Error(err)
	}
	m.Run(101)
	must(t, k.Restart(101))
	must(t, k.Cont(101, 0))
	m.Run(101)
	if ws, _ := k.Look(0, false); ws.TID != 0 || m.State(101) != 'S' {
		t.Error("two interrupts before the stop are one")
	}
	// A tracer's end before the stop: the thread was woken for nothing.
	must(t, k.Interrupt(101))
	k.Exit()
	m.Run(k.ID())
	m.Run(101)
	complains(t, m.Quiet(), "EINTR")
}

// With a gate one scheduler owns every call: here it lets two tracers through
// in turn, and knows who would sleep on.
func TestGate(t *testing.T) {
	m := attachertest.New(100, 3)
	type caller struct {
		tracer int
		op     string
		pass   chan struct{}
	}
	arrived := make(chan caller)
	m.Gate = func(tracer int, op string, tid int) {
		c := caller{tracer, op, make(chan struct{})}
		arrived <- c
		<-c.pass
	}
	var log []string
	result := make(chan string)
	go func() {
		k, _ := m.Tracer()
		_ = k.Seize(101, 0)
		_, err := k.Look(0, true)
		k.Exit()
		result <- fmt.Sprint(err)
	}()

	for {
		select {
		case r := <-result:
			log = append(log, r)
			want := []string{"tracer", "seize", "look", "sleep", "exit", "<nil>"}
			if !slices.Equal(log, want) {
				t.Errorf("log %v, want %v", log, want)
			}
			return
		case c := <-arrived:
			if c.op == "sleep" {
				if m.Awake(c.tracer) {
					t.Error("awake for nothing")
				}
				m.Signal(101, syscall.SIGCHLD)
				if !m.Awake(c.tracer) {
					t.Error("asleep beside a stop")
				}

			}
			log = append(log, c.op)
			close(c.pass)

		}
	}
}
