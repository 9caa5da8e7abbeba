//go:build linux

package main

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"massattach/internal/target"
)

// Nobody reads what the command writes: its target feels nothing of that, and
// is let go when it is time. The reader finds everything when he comes.
func TestBlockedOutput(t *testing.T) {
	const signals = 2000
	for _, tc := range []struct {
		name           string
		stdout, stderr bool
		args           []string
		end            func(p *process)
	}{
		{"stdout, Ctrl-C", true, false, nil, func(p *process) { p.signal(syscall.SIGINT) }},
		{"stderr, Ctrl-C", false, true, nil, func(p *process) { p.signal(syscall.SIGINT) }},
		{"both, Ctrl-C and SIGTSTP", true, true, nil, func(p *process) {
			p.signal(syscall.SIGTSTP)
			p.signal(syscall.SIGINT)
		}},
		{"stdout, time", true, false, []string{"--for", "500ms"}, func(*process) {}},
		{"stderr, time", false, true, []string{"--for", "500ms"}, func(*process) {}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tg := startTarget(t, target.Spec{Epoll: 100, Recv: 16})
			free, err := tg.Flood(t.Context(), target.Flood{Count: signals / 16, Window: 8})
			if err != nil {
				t.Fatal(err)
			}
			p := prepare(t, "massattach", append([]string{"attach", "--deadline", "1m", "--phase-fd", "3", strconv.Itoa(tg.PID())}, tc.args...)...)
			var stdout, stderr *clogged
			if tc.stdout {
				stdout = clogPipe(t)
				p.Stdout = stdout.w
			}
			if tc.stderr {
				stderr = clogPipe(t)
				p.Stderr = stderr.w
			}
			p.start().enters(phaseHold)
			f := flood(t, tg, target.Flood{Count: signals / 16, Window: 8})()
			unharmed(t, tg, f)
			t.Logf("%.0f signals a second, %.0f untraced", f.Rate(), free.Rate())
			tc.end(p)
			p.enters(phaseDone)
			isFree(t, tg)
			time.Sleep(20 * time.Millisecond)
			if p.hasEnded() {
				t.Fatal("it has ended before anybody could read its output")
			}
			var out, errs string
			var reading sync.WaitGroup
			if tc.stdout {
				stdout.w.Close()
				reading.Go(func() { out = stdout.clear() })
			}
			if tc.stderr {
				stderr.w.Close()
				reading.Go(func() { errs = stderr.clear() })
			}
			p.ends(exitComplete)
			reading.Wait()
			if out += p.stdout.String(); !strings.Contains(out, "detached in") {
				t.Errorf("the report: %q", out)
			}
			if errs += p.stderr.String(); !strings.Contains(errs, "attached to all") {
				t.Errorf("the notes: %q", errs)
			}
		})
	}
}

// A bar that nobody sees holds nobody up: neither the attach nor its end.
func TestBlockedBar(t *testing.T) {
	for _, early := range []bool{false, true} {
		t.Run(fmt.Sprintf("early=%v", early), func(t *testing.T) { blockBar(t, early) })
	}
}

// blockBar ends the command when it holds its target, or earlier.
func blockBar(t *testing.T, early bool) {
	t.Parallel()
	tg := startTarget(t, target.Spec{Total: 250})
	master, slave, err := openPTY()
	if err != nil {
		t.Fatal(err)
	}
	stderr := clog(t, master, slave)
	p := prepare(t, "massattach-slow", "attach", "--phase-fd", "3", strconv.Itoa(tg.PID()))
	p.Stderr = slave
	code := exitComplete
	if p.start(); early {
		p.enters(phaseAttach)
		time.Sleep(barAfter + 2*barEvery)
		code = exitPartial
	} else {
		p.enters(phaseHold)
	}
	p.signal(syscall.SIGINT)
	p.enters(phaseDone)
	isFree(t, tg)
	slave.Close()
	go func() { stderr.clear() }()
	p.ends(code)
}
