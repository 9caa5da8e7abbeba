package serve

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"massattach/internal/target"
)

// Who matches no more when the turn comes is not probed: waiting for it takes as long as
// the probes of others.
func TestTurnComesLate(t *testing.T) {
	p := start(t, target.Spec{Futex: 5})
	d := New(Options{Say: t.Logf})
	t.Cleanup(d.Close)
	d.turn <- struct{}{} // somebody else probes
	one := quick(Target{Name: "x", Rule: Rule{Comm: rename(t, p)}})
	if err := d.Watch([]Target{one}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is found", func() bool { return status(t, d, "x").State == Watched })
	time.Sleep(50 * time.Millisecond) // it waits for its turn
	if err := p.SetComm(t.Context(), p.PID(), "another"); err != nil {
		t.Fatal(err)
	}
	d.giveTurn()
	eventually(t, "it is lost", func() bool { return status(t, d, "x").State == Missing })
	if s := status(t, d, "x"); len(s.Probes) != 0 {
		t.Errorf("it was probed: %+v", s)
	}
}

// That this process has no file descriptor left says nothing of the target.
func TestFindWithoutDescriptors(t *testing.T) {
	p := start(t, target.Spec{Futex: 5})
	find := func() (bool, error) {
		found, _, err := Target{PID: p.PID()}.find()
		found.Close()
		return found != nil, err
	}
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	none := before
	none.Cur = 0
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	found, err := find()
	if rerr := unix.Setrlimit(unix.RLIMIT_NOFILE, &before); rerr != nil {
		t.Fatal(rerr)
	}
	if found || err == nil {
		t.Errorf("without a descriptor: found is %v, error %v", found, err)
	}
	if found, err := find(); !found || err != nil {
		t.Errorf("with some: found is %v, error %v", found, err)
	}
}

// A kept target that nobody is to arrest is looked at each time all the same, and says
// when.
func TestProbeKeepAlone(t *testing.T) {
	p := start(t, target.Spec{Futex: 5})
	d := watch(t, quick(Target{Name: "x", PID: p.PID(), Keep: true}))
	last := func() float64 {
		return metric(t, d, "massattach_last_probe_timestamp_seconds", map[string]string{"target": "x"})
	}
	eventually(t, "it is attached to", func() bool { return status(t, d, "x").Probes[Complete] > 0 })
	first := last()
	eventually(t, "another probe shows", func() bool { return last() > first })
}
