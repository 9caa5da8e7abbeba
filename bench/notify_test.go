package bench

import (
	"fmt"
	"testing"
	"time"

	"massattach/bench/raw"
	"massattach/internal/target"
	"massattach/stopper"
	"massattach/stopper/notify"
)

// Arrest all threads in notify style by a stopper, from the arming to the last that
// has stopped or is in the kernel for sure, beside the bare programs; the whole call;
// and let them go.
func BenchmarkArrestNotify(b *testing.B) {
	for _, n := range []int{1_000, 10_000} {
		b.Run(fmt.Sprintf("threads=%d", n), func(b *testing.B) { benchmarkArrestNotify(b, n) })
	}
}

// bareNotify starts a target of n threads, and loads the bare programs for them.
func bareNotify(b *testing.B, n int) (*target.Target, []int, *raw.Notifier) {
	b.Helper()
	spec := target.Mix(n)
	spec.Orphan = true
	p := start(b, spec)
	tids, err := raw.List(p.PID())
	if err != nil {
		b.Fatal(err)
	}
	bare, err := raw.Notifying(p.PID(), tids)
	if err != nil {
		b.Skip(err)
	}
	b.Cleanup(func() { bare.Close() })
	return p, tids, bare
}

func benchmarkArrestNotify(b *testing.B, n int) {
	p, tids, bare := bareNotify(b, n)
	programs := stopper.Preload(notify.TaskWork)
	defer programs.Close()
	const rest = 20 * time.Millisecond
	var arrest, whole, resume pairs
	for b.Loop() {
		a, err := raw.Arresting(tids)
		if err != nil {
			b.Fatal(err)
		}
		floor, err := bare.Arm()
		if err != nil {
			b.Fatal(err)
		}
		begin := time.Now()
		reported, err := bare.Disarm()
		if err != nil {
			b.Fatal(err)
		}
		if err := a.Pass(reported); err != nil {
			b.Fatal(err)
		}
		let := time.Since(begin)
		a.Release()
		time.Sleep(rest)

		s := attach(b, p.PID(), nil)
		st := newStopper(b, s)
		// The first makes the threads known to the mechanism.
		if err := hold(b, st, stopper.Request{Style: stopper.Notify}).Resume(); err != nil {
			b.Fatal(err)
		}
		time.Sleep(rest)
		begin = time.Now()
		h := hold(b, st, stopper.Request{Style: stopper.Notify})
		whole.add(time.Since(begin), floor)
		r := h.Report()
		if r.Stopped+r.InKernel != len(tids) || r.Guarantee != notify.Strict {
			b.Fatalf("%+v", r)
		}
		arrest.add(r.Elapsed, floor)
		begin = time.Now()
		if err := h.Resume(); err != nil {
			b.Fatal(err)
		}
		resume.add(time.Since(begin), let)
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		time.Sleep(rest)
	}
	arrest.report(b, "ns/arrest")
	whole.ratio(b, "x-raw-call")
	resume.ratio(b, "x-raw-resume")
	if s := account(b, p); s.EINTR != 0 || s.Early != 0 {
		b.Errorf("the target saw %d EINTR, %d early returns", s.EINTR, s.Early)
	}
}

// Arm all threads in notify-resume style, until nobody may run in user mode any
// more, beside two bare BPF programs that walk the same threads.
func BenchmarkNotify(b *testing.B) {
	for _, n := range []int{1_000, 10_000} {
		b.Run(fmt.Sprintf("threads=%d", n), func(b *testing.B) { benchmarkNotify(b, n) })
	}
}

func benchmarkNotify(b *testing.B, n int) {
	p, tids, bare := bareNotify(b, n)
	m, err := notify.Open(p.PID(), notify.TaskWork)
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
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
