package bench

import (
	"fmt"
	"testing"
	"time"

	"massattach/attacher"
	"massattach/bench/raw"
	"massattach/internal/target"
	"massattach/procfs"
	"massattach/stopper"
)

// Arrest all threads, from the first INTERRUPT to the last that has stopped;
// read the registers of each; and let them run: beside one bare thread that
// interrupts all and then waits for each by its number.
func BenchmarkArrest(b *testing.B) {
	for _, n := range []int{1_000, 10_000} {
		b.Run(fmt.Sprintf("threads=%d", n), func(b *testing.B) { benchmarkArrest(b, n) })
	}
}

func benchmarkArrest(b *testing.B, n int) {
	spec := target.Mix(n)
	spec.Orphan = true
	p := start(b, spec)
	const rest = 50 * time.Millisecond // until they sleep again
	var arrest, whole, regs, resume pairs
	for b.Loop() {
		tids, err := raw.List(p.PID())
		if err != nil {
			b.Fatal(err)
		}
		a, err := raw.Arresting(tids)
		if err != nil {
			b.Fatal(err)
		}
		bare := make([]time.Duration, 3)
		for i, f := range []func() (time.Duration, error){a.Arrest, a.Regs, a.Resume} {
			if bare[i], err = f(); err != nil {
				b.Fatal(err)
			}
		}
		time.Sleep(rest)
		a.Release()
		time.Sleep(rest)

		s := attach(b, p.PID(), nil)
		st := newStopper(b, s)
		time.Sleep(rest)
		begin := time.Now()
		h := hold(b, st, stopper.Request{})
		called := time.Since(begin)
		if r := h.Report(); r.Stopped < len(tids) {
			b.Fatalf("%d of %d have stopped", r.Stopped, len(tids))
		} else {
			arrest.add(r.Elapsed, bare[0])
		}
		whole.add(called, bare[0])
		begin = time.Now()
		err = h.Each(func(t stopper.Thread) error {
			var r attacher.Regs
			return t.Regs(&r)
		})
		regs.add(time.Since(begin), bare[1])
		if err != nil {
			b.Fatal(err)
		}
		begin = time.Now()
		if err := h.Resume(); err != nil {
			b.Fatal(err)
		}
		resume.add(time.Since(begin), bare[2])
		time.Sleep(rest)
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		time.Sleep(rest)
	}
	arrest.report(b, "ns/arrest")
	whole.ratio(b, "x-raw-call")
	regs.ratio(b, "x-raw-regs")
	resume.ratio(b, "x-raw-resume")
}

func newStopper(b *testing.B, s *attacher.Session) *stopper.Stopper {
	b.Helper()
	st, err := stopper.New(s, nil)
	if err != nil {
		b.Fatal(err)
	}
	return st
}

func hold(b *testing.B, st *stopper.Stopper, r stopper.Request) *stopper.Held {
	b.Helper()
	h, err := st.Arrest(b.Context(), r)
	if err != nil {
		b.Fatal(err)
	}
	return h
}

// Arrest 50 of 10,000 threads by their name: the scan that selects, by /proc and then
// by the iterator, and the arrest. The others run on: beside it stands the longest gap
// that one of them saw which never sleeps, by turns in windows with arrests, with
// scans alone, which take it a CPU where all are busy, and with nothing.
func BenchmarkArrestSome(b *testing.B) {
	const some, times, rest = 50, 10, 5 * time.Millisecond
	spec := target.Mix(10_000)
	spec.Orphan = true
	p := start(b, spec)
	kinds, err := p.List(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	for _, tid := range kinds[target.KindEpoll][:some] {
		if err := p.SetComm(b.Context(), tid, "chosen"); err != nil {
			b.Fatal(err)
		}
	}
	s := attach(b, p.PID(), nil)
	defer s.Close()
	st := newStopper(b, s)
	chosen := procfs.Selection{Comm: "chosen"}
	var arrest, selecting, gap, gapSelect, gapFree []float64
	for b.Loop() {
		begin := time.Now()
		gap = append(gap, gapOf(b, p, func() {
			for range times {
				h := hold(b, st, stopper.Request{Selection: chosen})
				r := h.Report()
				if r.Stopped != some {
					b.Fatalf("%d of %d have stopped", r.Stopped, some)
				}
				arrest, selecting = append(arrest, float64(r.Elapsed)), append(selecting, float64(r.Selecting))
				if err := h.Resume(); err != nil {
					b.Fatal(err)
				}
				time.Sleep(rest)
			}
		}))
		window := time.Since(begin)
		gapSelect = append(gapSelect, gapOf(b, p, func() {
			for range times {
				if tids, err := s.Select(chosen); err != nil || len(tids) != some {
					b.Fatalf("%d selected: %v", len(tids), err)
				}
				time.Sleep(rest)
			}
		}))
		gapFree = append(gapFree, gapOf(b, p, func() { time.Sleep(window) }))
	}
	b.ReportMetric(median(arrest), "ns/arrest")
	b.ReportMetric(median(selecting), "ns/select")
	// Who has examined all has it loaded.
	if err := st.ExamineAll(b.Context(), procfs.Selection{}, func(*stopper.Exam) error { return nil }); err != nil {
		b.Fatal(err)
	}
	selecting = nil
	for range 10 {
		h := hold(b, st, stopper.Request{Selection: procfs.Selection{Comm: "chosen"}})
		r := h.Report()
		if r.Stopped != 50 {
			b.Fatalf("%d of 50 have stopped", r.Stopped)
		}
		selecting = append(selecting, float64(r.Selecting))
		if err := h.Resume(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(median(selecting), "ns/select-again")
	b.ReportMetric(median(gap), "ns/others-gap")
	b.ReportMetric(median(gapSelect), "ns/others-gap-select")
	b.ReportMetric(median(gapFree), "ns/others-gap-free")
}

// gapOf is the longest hole that the target's spinning thread sees while f runs,
// which nobody else may notice.
func gapOf(b *testing.B, p *target.Target, f func()) float64 {
	b.Helper()
	if err := p.Reset(b.Context()); err != nil {
		b.Fatal(err)
	}
	f()
	a := account(b, p)
	if attacher.CanRepair && (a.EINTR != 0 || a.Early != 0) {
		b.Errorf("the target saw %d EINTR, %d early returns", a.EINTR, a.Early)
	}
	return float64(a.MaxGapNS)
}
