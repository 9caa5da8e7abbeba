//go:build linux

package main

import (
	"io"
	"math"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"massattach/internal/target"
	"massattach/procfs"
)

// It watches three targets for a while: between the probes it costs next to nothing, it
// does not grow, one that is killed and comes back is found again, and the targets notice
// nothing.
func TestServeEndure(t *testing.T) {
	threads, lasts, every := 200, 6*time.Second, time.Second
	if campaign() {
		threads, lasts, every = 5_000, 5*time.Minute, 20*time.Second
	}
	dir := t.TempDir()
	args := []string{"--every", every.String(), "--arrest", bothStyles(t)}
	var targets []*target.Target
	var specs []target.Spec
	for i := range 3 {
		spec := target.Mix(threads)
		spec.Spin = 0 // or they have the machine for themselves
		spec.Orphan = true
		spec.PIDFile = dir + "/" + strconv.Itoa(i)
		specs, targets = append(specs, spec), append(targets, startTarget(t, spec))
		args = append(args, "--pidfile", spec.PIDFile)
	}
	name := func(i int) string { return "pidfile=" + specs[i].PIDFile }
	d := startServe(t, args...)
	d.probes(name(0), 1)
	d.probes(name(2), 1)

	var all []sample
	again := lasts / 2 // when one is killed, and comes back
	enough := func() bool { _, rest := atRest(all); return rest > 0 && len(all) >= 8 }
	// A busy machine may have it probe nearly all the time.
	for begin := time.Now(); time.Since(begin) < lasts || !enough() && time.Since(begin) < patience; time.Sleep(every / 20) {
		all = append(all, d.sample())
		if again != 0 && time.Since(begin) > again {
			again = 0
			if err := targets[1].Kill(); err != nil {
				t.Fatal(err)
			}
			targets[1] = startTarget(t, specs[1])
			back := time.Now()
			eventually(t, "it is found again", func() bool { return d.targets()[name(1)].PID == targets[1].PID() })
			took := time.Since(back)
			t.Logf("found again within %v of its return", took)
			if campaign() && took > 2*time.Second {
				t.Error("that is over 2 s")
			}
			all = append(all, sample{}) // what lies between is no rest
		}
	}
	before := d.cpu()
	d.gauge("massattach_build_info") // a scrape
	scrape := d.cpu() - before
	t.Logf("a scrape costs %v of CPU", scrape)

	busy, rest := atRest(all)
	share := 100 * busy.Seconds() / rest.Seconds()
	t.Logf("%v of CPU in %v between probes: %.2f %%", busy, rest.Round(time.Second), share)
	if rest == 0 {
		t.Error("there was no time between the probes")
	}
	if campaign() && share >= 1 {
		t.Error("that is 1 % or more")
	}
	all = slices.DeleteFunc(all, func(s sample) bool { return s.at.IsZero() })
	first, last := all[len(all)/4:len(all)/2], all[3*len(all)/4:]
	more := 30 // the runtime keeps threads that it has needed once
	if campaign() {
		more = 10
	}
	for _, of := range []struct {
		what string
		get  func(sample) int
		more int // than before, at least: in the midst of a probe there are others
	}{
		{"OS threads", func(s sample) int { return s.threads }, more},
		{"goroutines", func(s sample) int { return s.goroutines }, 10},
		{"resident KiB", func(s sample) int { return s.rss }, 16 << 10},
	} {
		early, late := least(first, of.get), least(last, of.get)
		t.Logf("%s: %d in the second quarter, %d in the last", of.what, early, late)
		if late > early+of.more {
			t.Errorf("%s have grown", of.what)
		}
	}

	d.signal(syscall.SIGTERM)
	d.ends(exitComplete)
	for _, tg := range targets {
		isFree(t, tg)
		if a := account(t, tg); a.EINTR != 0 || a.Early != 0 {
			t.Errorf("disturbed: EINTR %d, early %d", a.EINTR, a.Early)
		}
	}
}

// sample is how the daemon is at a moment: it was asked, with so much CPU spent before,
// and had answered.
type sample struct {
	asked, at                time.Time
	before, cpu              time.Duration
	probes                   int
	threads, goroutines, rss int
}

func (d *daemon) sample() sample {
	d.t.Helper()
	s := sample{asked: time.Now(), before: d.cpu()}
	s.goroutines = int(d.gauge("go_goroutines"))
	for _, st := range d.targets() {
		for _, n := range st.Probes {
			s.probes += n
		}
	}
	s.threads, s.rss = d.size()
	s.at, s.cpu = time.Now(), d.cpu()
	return s
}

func least(all []sample, get func(sample) int) int {
	n := math.MaxInt
	for _, s := range all {
		n = min(n, get(s))
	}
	return n
}

// atRest is how long there was no probe, and what CPU it took.
func atRest(all []sample) (busy, rest time.Duration) {
	for i := 1; i < len(all); i++ {
		a, b := all[i-1], all[i]
		next := all[min(i+1, len(all)-1)] // knows of a probe that had begun by b
		if a.at.IsZero() || b.at.IsZero() || next.at.IsZero() || a.probes != next.probes {
			continue
		}
		rest += b.asked.Sub(a.at)
		busy += b.before - a.cpu
	}
	return busy, rest
}

// cpu is how much of it the daemon has had.
func (d *daemon) cpu() (sum time.Duration) {
	d.t.Helper()
	b, err := os.ReadFile("/proc/" + strconv.Itoa(d.Process.Pid) + "/stat")
	if err != nil {
		d.t.Fatal(err)
	}
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	for _, f := range fields[11:13] { // utime, stime
		n, _ := strconv.Atoi(f)
		sum += time.Duration(n) * 10 * time.Millisecond
	}
	return sum
}

// size is how many OS threads it has, and its resident memory in KiB.
func (d *daemon) size() (threads, rss int) {
	d.t.Helper()
	p, err := procfs.FS{}.Open(d.Process.Pid)
	if err != nil {
		d.t.Fatal(err)
	}
	defer p.Close()
	threads, _ = p.NumThreads()
	b, err := os.ReadFile("/proc/" + strconv.Itoa(d.Process.Pid) + "/statm")
	if err != nil {
		d.t.Fatal(err)
	}
	pages, _ := strconv.Atoi(strings.Fields(string(b))[1])
	return threads, pages * os.Getpagesize() >> 10
}

// gauge is one value of a scrape.
func (d *daemon) gauge(name string) float64 {
	d.t.Helper()
	answer, err := http.Get(d.base + "/metrics")
	if err != nil {
		d.t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if base, _, _ := strings.Cut(key, "{"); base == name {
			v, _ := strconv.ParseFloat(value, 64)
			return v
		}
	}
	d.t.Fatalf("there is no %s", name)
	return 0
}
