//go:build linux

package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"massattach/internal/target"
	"massattach/procfs"
)

var stops = []syscall.Signal{syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU}

// refusal is the line about one of them.
func refusal(s syscall.Signal) string {
	return "massattach: " + unix.SignalName(s) + " does not stop it"
}

var handlers = map[int]target.Disposition{sigHandled: target.SigHandle}

// forwards sends the target a signal, and waits until its handler has run.
func forwards(t *testing.T, tg *target.Target) {
	t.Helper()
	before := account(t, tg).Runs[sigHandled]
	if err := syscall.Kill(tg.PID(), syscall.Signal(sigHandled)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a signal gets to its handler", func() bool {
		return account(t, tg).Runs[sigHandled] == before+1
	})
}

// The command is told to stop, again and again: it says once that it does not.
func TestStopsAreRefused(t *testing.T) {
	tg := startTarget(t, target.Spec{Epoll: 10, Signals: handlers})
	p := attach(t, tg)
	for range 3 {
		for _, s := range stops {
			p.signal(s)
			p.says(refusal(s))
			forwards(t, tg)
		}
	}
	p.signal(syscall.SIGINT)
	p.ends(exitComplete)
	for _, s := range stops {
		if n := strings.Count(p.stderr.String(), refusal(s)); n != 1 {
			t.Errorf("%v: %d lines:\n%s", s, n, p.stderr.String())
		}
	}
	if n := strings.Count(p.stderr.String(), "\nhint: Ctrl-C detaches\n"); n != 1 {
		t.Errorf("%d hints:\n%s", n, p.stderr.String())
	}
}

// What the command was started to ignore it ignores without a word.
func TestStopsStayIgnored(t *testing.T) {
	tg := startTarget(t, target.Spec{Epoll: 10, Signals: handlers})
	p := prepare(t, "sh", "-c", `trap "" TSTP TTIN TTOU; exec massattach attach --phase-fd 3 `+strconv.Itoa(tg.PID()))
	p.start().enters(phaseHold)
	for _, s := range stops {
		if !ignores(t, p.Process.Pid, s) {
			t.Errorf("it does not ignore %v any more", s)
		}
		p.signal(s)
	}
	forwards(t, tg)
	p.signal(syscall.SIGINT)
	p.ends(exitComplete)
	if strings.Contains(p.stderr.String(), "does not stop it") {
		t.Errorf("it says:\n%s", p.stderr.String())
	}
}

func ignores(t *testing.T, pid int, s syscall.Signal) bool {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "\nSigIgn:\t")
	set, err := strconv.ParseUint(rest[:16], 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return set&(1<<(s-1)) != 0
}

// In the background of a terminal that stops those who write from there, the
// command goes on, what it writes is shown, and it doesn't try without end.
func TestBackground(t *testing.T) {
	tg := startTarget(t, target.Spec{Epoll: 10, Signals: handlers})
	shell, pid, _ := onTerminal(t, "bg", "massattach", "attach", "--phase-fd", "3", strconv.Itoa(tg.PID()))
	shell.enters(phaseHold)
	shell.says("attached to all")
	shell.says(refusal(syscall.SIGTTOU))
	forwards(t, tg)
	before := ticks(t, pid)
	time.Sleep(300 * time.Millisecond)
	if used := ticks(t, pid) - before; used > 15 { // of 30
		t.Errorf("it has used %d ticks", used)
	}
	if err := syscall.Kill(pid, syscall.SIGTTIN); err != nil {
		t.Fatal(err)
	}
	shell.says(refusal(syscall.SIGTTIN))
	forwards(t, tg)
	if err := syscall.Kill(pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	shell.ends(exitComplete)
	shell.says("detached in") // the report
	if n := strings.Count(shell.stderr.String(), refusal(syscall.SIGTTOU)); n != 1 {
		t.Errorf("%d lines:\n%s", n, shell.stderr.String())
	}
}

// ticks is the time that a process has used, in clock ticks (1/100 s).
func ticks(t *testing.T, pid int) (n uint64) {
	t.Helper()
	eachThread(t, pid, func(p *procfs.Process, tid int) {
		if st, err := p.Stat(tid); err == nil {
			n += st.UTime + st.STime
		}
	})
	return n
}

// In the foreground: Ctrl-Z, then Ctrl-C.
func TestForeground(t *testing.T) {
	tg := startTarget(t, target.Spec{Epoll: 10, Signals: handlers})
	shell, _, keyboard := onTerminal(t, "fg", "massattach", "attach", "--phase-fd", "3", strconv.Itoa(tg.PID()))
	shell.enters(phaseHold)
	shell.says("Ctrl-C detaches")
	for range 2 {
		if _, err := keyboard.Write([]byte{'Z' & 0x1f}); err != nil {
			t.Fatal(err)
		}
		shell.says(refusal(syscall.SIGTSTP))
		forwards(t, tg)
	}
	if _, err := keyboard.Write([]byte{'C' & 0x1f}); err != nil {
		t.Fatal(err)
	}
	shell.ends(exitComplete)
	shell.says("detached in")
	isFree(t, tg)
}
