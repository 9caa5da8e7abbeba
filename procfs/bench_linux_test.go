package procfs

import (
	"fmt"
	"testing"
)

const benchThreads = 1000

// A pass over the list; the second number is per thread.
func BenchmarkList(b *testing.B) {
	parkFor(b, benchThreads, nil)
	p := self(b)
	b.Run(fmt.Sprintf("threads=%d", benchThreads), func(b *testing.B) {
		benchList(b, p)
	})
}

// What the size of the buffer costs: see listBuffer.
func BenchmarkListBuffer(b *testing.B) {
	parkFor(b, benchThreads, nil)
	for size := 1 << 10; size <= 256<<10; size *= 2 {
		b.Run(fmt.Sprintf("bytes=%d", size), func(b *testing.B) {
			p := self(b)
			p.buf = make([]byte, size)
			benchList(b, p)
		})
	}
}

func benchList(b *testing.B, p *Process) {
	tids, err := p.AppendTIDs(nil) // the first pass makes dentries
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if tids, err = p.AppendTIDs(tids[:0]); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(tids)), "ns/thread")
}

func BenchmarkSelect(b *testing.B) {
	parkFor(b, benchThreads, nil)
	p := self(b)
	for name, sel := range map[string]Selection{
		"all": {}, "comm": {Comm: "*"}, "state": {State: "S"}, "syscall": {Syscall: "futex"},
	} {
		b.Run("by="+name, func(b *testing.B) {
			var tids []int
			var err error
			for b.Loop() {
				if tids, err = p.Select(sel, tids[:0]); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*benchThreads), "ns/thread")
		})
	}
}

// One file of one thread among 1,000.
func BenchmarkRead(b *testing.B) {
	tid := parkFor(b, benchThreads, nil).tids[500]
	p := self(b)
	for _, c := range []struct {
		name string
		read func() error
	}{
		{"stat", func() error { _, err := p.Stat(tid); return err }},
		{"status", func() error { _, err := p.Status(tid); return err }},
		{"syscall", func() error { _, err := p.Syscall(tid); return err }},
		{"comm", func() error { _, err := p.Comm(tid); return err }},
		{"wchan", func() error { _, err := p.Wchan(tid); return err }},
		{"schedstat", func() error { _, err := p.Schedstat(tid); return err }},
		{"numthreads", func() error { _, err := p.NumThreads(); return err }},
		{"lastpid", func() error { _, err := FS{}.LastPID(); return err }},
	} {
		b.Run("file="+c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := c.read(); err != nil {
					b.Skip(err)
				}
			}
		})
	}
}

func BenchmarkTop(b *testing.B) {
	for b.Loop() {
		if _, err := (FS{}).Top(10); err != nil {
			b.Fatal(err)
		}
	}
}
