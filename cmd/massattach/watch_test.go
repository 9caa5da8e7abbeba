//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"massattach/internal/target"
)

// watchArgs are the arguments of a watch that a test reads.
func watchArgs(tg *target.Target, args ...string) []string {
	return append([]string{"watch", "--format", "json", "--deadline", "1m", "--phase-fd", "3", strconv.Itoa(tg.PID())}, args...)
}

// line is one of those that watch prints.
type line struct {
	TimeNS              int64 `json:"time_ns"`
	PID, TID, Code      int
	N, Events, Lost     int
	Event, Comm, Signal string
	Ended               bool
}

// told are the events of one process, as far as they were printed.
type told struct {
	lines  []line
	events int // printed
	lost   int
	end    *line
}

// readEvents fails the test if something is no event, or comes after the end.
func readEvents(t testing.TB, output string) (all told) {
	t.Helper()
	if output != "" && !strings.HasSuffix(output, "\n") {
		t.Errorf("half a line: %q", output[strings.LastIndexByte(output, '\n')+1:])
	}
	for lines := bufio.NewScanner(strings.NewReader(output)); lines.Scan(); {
		var l line
		dec := json.NewDecoder(strings.NewReader(lines.Text()))
		if err := dec.Decode(&l); err != nil || l.TimeNS == 0 || all.end != nil {
			t.Fatalf("line %d: %q: %v", len(all.lines)+1, lines.Text(), err)
		}
		all.lines = append(all.lines, l)
		switch l.Event {
		case "lost":
			all.lost += l.N
		case "end":
			all.end = &l
		default:
			all.events++
		}
	}
	return all
}

func (a told) count(event, signal string) (n int) {
	for _, l := range a.lines {
		if l.Event == event && l.Signal == signal {
			n++
		}
	}
	return n
}

// ended fails the test if the end doesn't say what was told.
func (a told) ended(t testing.TB, wasEnded bool) {
	t.Helper()
	if a.end == nil || a.end.Events != a.events || a.end.Lost != a.lost || a.end.Ended != wasEnded {
		t.Errorf("the end is %+v after %d events and %d lost", a.end, a.events, a.lost)
	}
}

const hotName = "SIGRTMIN+5" // target.HotSignal

// Signals at full rate, births and exits meanwhile: each is printed.
func TestWatchCounts(t *testing.T) {
	const receivers, each, born = 16, 500, 200 // fewer than the queue has room for
	tg := startTarget(t, target.Spec{Epoll: 40, Recv: receivers})
	p := prepare(t, "massattach", watchArgs(tg, "--follow", "clone")...)
	p.start().enters(phaseHold)
	result := flood(t, tg, target.Flood{Count: each, Window: 16})
	ctx, cancel := bounded()
	defer cancel()
	tids, err := tg.Spawn(ctx, target.KindFutex, born)
	if err != nil {
		t.Fatal(err)
	}
	for _, tid := range tids {
		if err := tg.End(ctx, tid); err != nil {
			t.Fatal(err)
		}
	}
	unharmed(t, tg, result())
	eventually(t, "all who were born have been reaped", func() bool {
		return !slices.ContainsFunc(tids, func(tid int) bool {
			return unix.Access(fmt.Sprintf("/proc/%d/task/%d", tg.PID(), tid), unix.F_OK) == nil
		})
	})
	p.signal(syscall.SIGINT)
	p.ends(exitComplete)
	isFree(t, tg)

	all := readEvents(t, p.stdout.String())
	all.ended(t, false)
	if n := all.count("signal", hotName); n != receivers*each || all.lost != 0 {
		t.Errorf("%d signals of %d, %d events lost", n, receivers*each, all.lost)
	}
	for _, tid := range tids {
		var life []string
		for _, l := range all.lines {
			if l.TID == tid {
				life = append(life, l.Event)
			}
		}
		if !slices.Equal(life, []string{"birth", "exit"}) {
			t.Errorf("thread %d: %v", tid, life)
		}
	}
	if want := fmt.Sprintf("%s events, stayed", commas(all.events)); !strings.Contains(p.stderr.String(), want) {
		t.Errorf("no %q in the summary:\n%s", want, p.stderr.String())
	}
}

// commas is a number as summaries write it.
func commas(n int) string {
	s := strconv.Itoa(n)
	if len(s) > 3 {
		s = s[:len(s)-3] + "," + s[len(s)-3:]
	}
	return s
}

// The target ends in the middle of it: its last thread's exit is told, too.
func TestWatchEnd(t *testing.T) {
	tg := startTarget(t, target.Spec{Total: 200})
	p := prepare(t, "massattach", watchArgs(tg)...)
	p.start().enters(phaseHold)
	if err := tg.Kill(); err != nil {
		t.Fatal(err)
	}
	p.ends(exitComplete)
	all := readEvents(t, p.stdout.String())
	all.ended(t, true)
	if n := all.count("exit", "SIGKILL"); n != 200 || all.lost != 0 {
		t.Errorf("%d exits of 200, %d lost", n, all.lost)
	}
}

// A reader who comes late finds how much he has missed where it is missing, and
// what is left adds up. The target has felt nothing of that.
func TestWatchSlowReader(t *testing.T) {
	const receivers, later = 16, 10
	each := queue/receivers + 200
	tg := startTarget(t, target.Spec{Epoll: 40, Recv: receivers})
	stdout := clogPipe(t)
	p := prepare(t, "massattach", watchArgs(tg, "--event", "signal")...)
	p.Stdout = stdout.w
	p.start().enters(phaseHold)
	stdout.w.Close()
	unharmed(t, tg, flood(t, tg, target.Flood{Count: each, Window: 16})())
	read, missed := make(chan string, 1), make(chan struct{})
	go func() {
		read <- stdout.clearUntil(func(s string) bool { return strings.Contains(s, `"event":"lost"`) }, func() { close(missed) })
	}()
	// What is lost is told behind all that was in the queue: it is empty then.
	select {
	case <-missed:
	case <-time.After(patience):
		t.Fatal("nothing was lost")
	}
	unharmed(t, tg, flood(t, tg, target.Flood{Count: later, Window: 16})())
	p.signal(syscall.SIGINT)
	p.ends(exitComplete)

	all := readEvents(t, <-read)
	all.ended(t, false)
	if n := (each + later) * receivers; all.events+all.lost != n || all.events < queue || all.lost == 0 {
		t.Errorf("%d events and %d lost of %d", all.events, all.lost, n)
	}
	if !strings.Contains(p.stderr.String(), " lost, stayed ") {
		t.Errorf("the summary:\n%s", p.stderr.String())
	}
	gap := slices.IndexFunc(all.lines, func(l line) bool { return l.Event == "lost" })
	if after := len(all.lines) - gap - 2; after < later*receivers { // it and the end
		t.Errorf("%d events after the first loss, in %d lines", after, len(all.lines))
	}
}

// summed are the numbers of a summary that tells of a loss, without its commas.
var summed = regexp.MustCompile(`: (\d+) events? (\d+) lost `)

// blockedWatch is a watch of whose output nobody reads anything.
type blockedWatch struct {
	name   string
	pty    bool
	timed  bool // it has a time
	ctrlC  bool
	late   bool // when the time is over
	stderr bool // it is blocked as well
}

// Nobody reads at all. The target feels nothing of that; after a Ctrl-C it is let
// go at once, and nobody is waited for. When the time is over the reader is.
func TestWatchBlocked(t *testing.T) {
	for _, w := range []blockedWatch{
		{name: "pipe, Ctrl-C", ctrlC: true},
		{name: "terminal, Ctrl-C", ctrlC: true, pty: true},
		{name: "pipe, time", timed: true},
		{name: "pipe, time, Ctrl-C", timed: true, ctrlC: true, late: true},
		{name: "both, time", timed: true, stderr: true},
	} {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			tg := startTarget(t, target.Spec{Epoll: 100, Recv: 16})
			for hold := 3 * time.Second; !w.run(t, tg, hold); hold *= 2 {
				t.Logf("%v were over before all signals had come", hold)
			}
		})
	}
}

// run is one watch. It answers false when its time was over before all signals had come,
// as it may be on a machine that is busy.
func (w blockedWatch) run(t *testing.T, tg *target.Target, hold time.Duration) (inTime bool) {
	const receivers, each = 16, 100
	var stdout, stderr *clogged
	if stdout = clogPipe(t); w.pty {
		master, slave, err := openPTY()
		if err != nil {
			t.Fatal(err)
		}
		stdout = clog(t, master, slave)
	}
	var args []string
	if w.timed {
		args = []string{"--for", hold.String()}
	}
	p := prepare(t, "massattach", watchArgs(tg, args...)...)
	p.Stdout = stdout.w
	if w.stderr {
		stderr = clogPipe(t)
		p.Stderr = stderr.w
	}
	p.start().enters(phaseHold)
	stdout.w.Close()
	unharmed(t, tg, flood(t, tg, target.Flood{Count: each, Window: 8})())
	came := time.Now()
	if w.ctrlC && !w.late {
		p.signal(syscall.SIGINT)
	}
	if p.enters(phaseDetach).Before(came) {
		_ = p.Process.Kill()
		p.died()
		return false
	}
	p.enters(phaseDone)
	isFree(t, tg)
	if w.late {
		p.signal(syscall.SIGINT)
	}
	if w.ctrlC {
		p.ends(exitComplete)
		var events, lost int
		summary := summed.FindStringSubmatch(strings.ReplaceAll(p.stderr.String(), ",", ""))
		if summary != nil {
			events, _ = strconv.Atoi(summary[1])
			lost, _ = strconv.Atoi(summary[2])
		}
		// A terminal still finds room for some, when it has shifted
		// what is in it.
		if events+lost != receivers*each || lost == 0 || events > 0 && !w.pty {
			t.Errorf("not %d events in all:\n%s", receivers*each, p.stderr.String())
		}
		if left := stdout.clear(); left != "" && !w.pty {
			t.Errorf("it has written: %.200q", left)
		}
		return true
	}
	time.Sleep(20 * time.Millisecond)
	if p.hasEnded() {
		t.Fatal("it has ended before anybody could read its output")
	}
	if w.stderr {
		stderr.w.Close()
		go func() { stderr.clear() }()
	}
	all := readEvents(t, stdout.clear())
	all.ended(t, false)
	if n := all.count("signal", hotName); n != receivers*each || all.lost != 0 {
		t.Errorf("%d signals of %d, %d lost", n, receivers*each, all.lost)
	}
	p.ends(exitComplete)
	return true
}

// What others do is no loss to who asks for one thread.
func TestWatchOneThread(t *testing.T) {
	const receivers = 16
	each := queue/receivers + 100
	tg := startTarget(t, target.Spec{Recv: receivers})
	kinds, err := tg.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tid := kinds[target.KindRecv][3]
	stdout := clogPipe(t)
	p := prepare(t, "massattach", watchArgs(tg, "--tid", strconv.Itoa(tid))...)
	p.Stdout = stdout.w
	p.start().enters(phaseHold)
	stdout.w.Close()
	unharmed(t, tg, flood(t, tg, target.Flood{Count: each, Window: 16})())
	end := sync.OnceFunc(func() { p.signal(syscall.SIGTERM) })
	defer time.AfterFunc(patience, end).Stop()
	all := readEvents(t, stdout.clearUntil(func(s string) bool { return strings.Count(s, "\n") >= each }, end))
	p.ends(exitComplete)
	all.ended(t, false)
	if all.events != each || all.lost != 0 {
		t.Errorf("%d events of %d, %d lost", all.events, each, all.lost)
	}
	for _, l := range all.lines[:all.events] {
		if l.TID != tid {
			t.Errorf("thread %d in %+v", tid, l)
		}
	}
}
