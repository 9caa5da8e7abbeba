package raw_test

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"massattach/bench/raw"
	"massattach/internal/target"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	target.Main()
	os.Exit(m.Run())
}

// start starts a target, and lists its threads.
func start(t *testing.T, spec target.Spec) (p *target.Target, tids []int) {
	t.Helper()
	p, err := target.Start(context.Background(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	if tids, err = raw.List(p.PID()); err != nil {
		t.Fatal(err)
	}
	return p, tids
}

// Threads that sleep are coherent.
func TestExamine(t *testing.T) {
	p, tids := start(t, target.Spec{Epoll: 5})
	if n, err := raw.Examine(p.PID(), tids); err != nil || n < 6 {
		t.Errorf("%d of %d, %v", n, len(tids), err)
	}
}

// A list with a thread that is gone is an error, and nobody of it stays
// attached.
func TestGone(t *testing.T) {
	_, tids := start(t, target.Spec{Futex: 3, Orphan: true})
	const nobody = 1 << 22 // above all numbers of threads
	if _, err := raw.Forward(append(tids, nobody)); err != unix.ESRCH {
		t.Errorf("forward: %v", err)
	}
	s, err := raw.Forward(tids)
	if err != nil {
		t.Fatalf("once more: %v", err)
	}
	s.Release()
}

// A thread that has children is no tracer: it would take their ends from those
// who wait for them.
func TestChildren(t *testing.T) {
	_, tids := start(t, target.Spec{Futex: 3, Orphan: true})
	for range 100 {
		child := exec.Command("sleep", "0.001")
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		s, err := raw.Forward(tids)
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Wait(); err != nil {
			t.Error(err)
		}
		s.Release()
	}
}

// The user's limit of pending signals is used up: a forwarder is ended by a
// signal all the same.
func TestNoRoomForSignals(t *testing.T) {
	_, tids := start(t, target.Spec{Futex: 3})
	var before unix.Rlimit
	if err := unix.Prlimit(0, unix.RLIMIT_SIGPENDING, nil, &before); err != nil {
		t.Fatal(err)
	}
	none := before
	none.Cur = 0
	s, err := raw.Forward(tids)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Prlimit(0, unix.RLIMIT_SIGPENDING, &none, nil); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Prlimit(0, unix.RLIMIT_SIGPENDING, &before, nil) }()
	done := make(chan struct{})
	go func() {
		s.Release()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("the forwarder sleeps on")
	}
}
