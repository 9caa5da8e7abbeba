package bench

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"massattach/bench/raw"
	"massattach/internal/target"
	"massattach/stopper/notify"
)

// Arm all threads in notify-resume style, until nobody may run in user mode any
// more, beside two bare BPF programs that walk the same threads.
func BenchmarkNotify(b *testing.B) {
	for _, n := range []int{1_000, 10_000} {
		b.Run(fmt.Sprintf("threads=%d", n), func(b *testing.B) { benchmarkNotify(b, n) })
	}
}

func benchmarkNotify(b *testing.B, n int) {
	spec := target.Mix(n)
	spec.Orphan = true
	p := start(b, spec)
	tids, err := raw.List(p.PID())
	if err != nil {
		b.Fatal(err)
	}
	m, err := notify.Open(p.PID(), notify.TaskWork)
	if errors.Is(err, notify.ErrNotSupported) {
		b.Skip(err)
	} else if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	bare, err := raw.Notifying(p.PID(), tids)
	if err != nil {
		b.Skip(err)
	}
	defer bare.Close()
	a, err := raw.Arresting(tids)
	if err != nil {
		b.Fatal(err)
	}
	defer a.Release()
	if err := m.Add(tids); err != nil {
		b.Fatal(err)
	}
	const rest = 20 * time.Millisecond
	var arm pairs
	for b.Loop() {
		floor, err := bare.Arm()
		if err != nil {
			b.Fatal(err)
		}
		reported, err := bare.Disarm()
		if err != nil {
			b.Fatal(err)
		}
		if err := a.Pass(reported); err != nil {
			b.Fatal(err)
		}
		time.Sleep(rest)
		begin := time.Now()
		if err := m.Arm(tids); err != nil {
			b.Fatal(err)
		}
		for {
			look, err := m.Look()
			if err != nil {
				b.Fatal(err)
			}
			if len(look.Mute) > 0 {
				b.Fatalf("mute: %v", look.Mute)
			}
			if len(look.Pending) == 0 {
				break
			}
		}
		arm.add(time.Since(begin), floor)
		if reported, err = m.Disarm(tids); err != nil {
			b.Fatal(err)
		}
		if err := a.Pass(reported); err != nil {
			b.Fatal(err)
		}
		time.Sleep(rest)
	}
	arm.report(b, "ns/arm")
	if s := account(b, p); s.EINTR != 0 || s.Early != 0 {
		b.Errorf("the target saw %d EINTR, %d early returns", s.EINTR, s.Early)
	}
}
