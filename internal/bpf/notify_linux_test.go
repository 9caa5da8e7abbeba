//go:build linux && (amd64 || arm64)

package bpf_test

import (
	"errors"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"massattach/internal/bpf"
	"massattach/internal/target"
)

// What it does to threads that are traced the tests of stopper/notify show.

func openNotify(t testing.TB) *bpf.Notify {
	t.Helper()
	need(t, "task_work", bpf.NotifySupported)
	n, err := bpf.OpenNotify()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

// All that are open share what is loaded; the last one unloads it.
func TestNotifyShared(t *testing.T) {
	if bpf.Notifiers() {
		t.Fatal("something is loaded")
	}
	var all []*bpf.Notify
	for range 3 {
		all = append(all, openNotify(t))
	}
	for i, n := range all {
		if !bpf.Notifiers() {
			t.Errorf("%d are closed, and nothing is loaded", i)
		}
		for range 2 {
			if err := n.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	if bpf.Notifiers() {
		t.Error("it is not unloaded")
	}
	n := all[0]
	_, _, look := n.Look()
	_, disarm := n.Disarm(nil)
	for _, err := range []error{n.Add(nil), n.Remove(nil), n.Arm(nil), look, disarm} {
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	}
	if _, merged := n.Merged(1, syscall.SIGURG); merged {
		t.Error("something was merged after Close")
	}
}

// A tracer asks for what was merged while others are armed, and must not wait.
func TestNotifyMerged(t *testing.T) {
	n := openNotify(t)
	goOn := n.Stall()
	if _, merged := n.Merged(1, syscall.SIGURG); merged {
		t.Error("something was merged")
	}
	armed := make(chan error)
	go func() { armed <- n.Arm([]int{1}) }()
	goOn()
	if err := <-armed; err != nil {
		t.Error(err)
	}
}

// A thread that nobody traces is sent no signal: its number may be a stranger's by
// now.
func TestNotifyStranger(t *testing.T) {
	handled := map[int]target.Disposition{}
	for _, sig := range []syscall.Signal{syscall.SIGURG, syscall.SIGWINCH, syscall.SIGCHLD} {
		handled[int(sig)] = target.SigHandle
	}
	p := start(t, target.Spec{Sys: 2, Epoll: 10, Signals: handled})
	n := openNotify(t)
	kinds, err := p.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tids := append(kinds[target.KindSys], kinds[target.KindEpoll]...)
	if err := n.Add(tids); err != nil {
		t.Fatal(err)
	}
	if err := n.Arm(tids); err != nil {
		t.Fatal(err)
	}
	if pending, mute, err := n.Look(); err != nil || len(pending)+len(mute) != 0 {
		t.Errorf("pending %v, mute %v, %v", pending, mute, err)
	}
	if _, err := p.Window(t.Context(), 50*time.Millisecond); err != nil { // for signals to come
		t.Fatal(err)
	}
	calls := func() int64 {
		a, err := p.Account(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return a.Calls
	}
	before := calls()
	eventually(t, "a call: nobody is stopped", func() bool { return calls() > before })
	if reported, err := n.Disarm(tids); err != nil || len(reported) != 0 {
		t.Errorf("reported %v, %v", reported, err)
	}
	a, err := p.Account(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Runs) != 0 || a.EINTR != 0 {
		t.Errorf("signals came: %v; %d EINTR", a.Runs, a.EINTR)
	}
}

// 100,000 threads have room, more than once; of those for whom there is none it says
// how many, and what they leave has room again.
func TestNotifyRoom(t *testing.T) {
	n := openNotify(t)
	tids := make([]int, 200_000)
	for i := range tids {
		tids[i] = i + 1
	}
	if err := n.Add(tids); err != nil {
		t.Fatal(err)
	}
	other := openNotify(t)
	more := make([]int, 100_000)
	for i := range more {
		more[i] = 1_000_000 + i
	}
	err := other.Add(more)
	if !errors.Is(err, syscall.E2BIG) || !strings.Contains(err.Error(), "no room for ") {
		t.Errorf("too many: %v", err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "there is room again", func() bool { return other.Add(more) == nil })
	if err := other.Remove(more); err != nil {
		t.Error(err)
	}
}

// Without the capabilities the error says which.
func TestNotifyUnprivileged(t *testing.T) {
	needRoot(t)
	if out := run(t, "notify", &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}); !strings.Contains(out, "CAP_BPF and CAP_PERFMON") {
		t.Error(out)
	}
}

// What a signal costs its sender: one of the three numbers, and another, while
// nothing is loaded, and while something is.
func BenchmarkNotifySignal(b *testing.B) {
	for _, sig := range []syscall.Signal{syscall.SIGWINCH, syscall.SIGUSR1} {
		signal.Ignore(sig)
		defer signal.Reset(sig)
		send := func(b *testing.B) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			pid, tid := os.Getpid(), syscall.Gettid()
			for b.Loop() {
				if err := unix.Tgkill(pid, tid, sig); err != nil {
					b.Fatal(err)
				}
			}
		}
		b.Run(sig.String()+"/unloaded", send)
		b.Run(sig.String()+"/loaded", func(b *testing.B) {
			openNotify(b)
			send(b)
		})
	}
}
