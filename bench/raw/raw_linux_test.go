package raw_test

import (
	"context"
	"os"
	"testing"

	"massattach/bench/raw"
	"massattach/internal/target"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	target.Main()
	os.Exit(m.Run())
}

// A list with a thread that is gone is an error, and nobody of it stays
// attached.
func TestGone(t *testing.T) {
	p, err := target.Start(context.Background(), target.Spec{Futex: 3, Orphan: true})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	tids, err := raw.List(p.PID())
	if err != nil {
		t.Fatal(err)
	}
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
