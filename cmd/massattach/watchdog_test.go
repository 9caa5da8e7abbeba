//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"massattach/internal/sys"
	"massattach/internal/target"
	"massattach/internal/watchdog"
	"massattach/procfs"
	"massattach/stopper"
)

// Somebody stops the command, with all of its process group, while signals are
// under way: it is killed, and the target has lost nothing.
func TestWatchdogKillsTheStopped(t *testing.T) {
	t.Parallel()
	tg := startTarget(t, target.Spec{Epoll: 200, Recv: 16})
	p := prepare(t, "massattach-watched", "attach", "--phase-fd", "3", strconv.Itoa(tg.PID()))
	p.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.start().enters(phaseHold)
	dog, _ := child(t, p.Process.Pid, watchdog.Name)
	result := flood(t, tg, target.Flood{For: 2 * time.Second, Window: 64})
	time.Sleep(100 * time.Millisecond)
	begin := time.Now()
	if err := syscall.Kill(-p.Process.Pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	p.died()
	took := time.Since(begin)
	isFree(t, tg)
	t.Logf("free after %v", took)
	if took < watchdog.Patience {
		t.Errorf("killed after %v", took)
	}
	if !gone(dog) {
		t.Error("the watchdog is still there")
	}
	unharmed(t, tg, result())
}

// The command is stopped in the middle of a hold, which has all of the target
// stand still.
func TestWatchdogFreesTheHeld(t *testing.T) {
	for _, style := range []stopper.Style{stopper.Interrupt, stopper.Notify} {
		t.Run(style.String(), func(t *testing.T) {
			t.Parallel()
			tg := startTarget(t, target.Spec{Epoll: 200, Spin: 1})
			p := prepare(t, "massattach-watched", "stop", "--phase-fd", "3", "--style", style.String(), "--for", "1h", strconv.Itoa(tg.PID()))
			p.start().enters(phaseHold)
			if !slices.ContainsFunc(captives(t, tg), func(c string) bool { return strings.Contains(c, "state t,") }) {
				t.Error("nobody is held")
			}
			p.signal(syscall.SIGSTOP)
			begin := time.Now()
			p.died()
			t.Logf("free after %v", time.Since(begin))
			isFree(t, tg)
			lives(t, tg, false)
			if a := account(t, tg); a.EINTR+a.Early != 0 {
				t.Errorf("disturbed: %+v", a)
			}
		})
	}
}

// A command that does not let go when it is to is killed a second later, and one
// that holds for long is not before.
func TestWatchdogBoundsAHold(t *testing.T) {
	t.Parallel()
	tg := startTarget(t, target.Spec{Epoll: 20, Spin: 1})
	p := prepare(t, "massattach-stuck", "stop", "--phase-fd", "3", "--for", "1500ms", strconv.Itoa(tg.PID()))
	begin := p.start().enters(phaseHold)
	p.died()
	took := time.Since(begin)
	t.Logf("killed after %v", took)
	if took < 2400*time.Millisecond || p.ProcessState.Exited() {
		t.Errorf("%v after %v:\n%s", p.ProcessState, took, p.stderr.String())
	}
	isFree(t, tg)
	lives(t, tg, false)
}

// Neither a short stop nor a debugger is a reason to kill.
func TestWatchdogSpares(t *testing.T) {
	t.Parallel()
	tg := startTarget(t, target.Spec{Epoll: 20, Recv: 4})
	start := func() *process {
		p := prepare(t, "massattach-watched", "attach", "--phase-fd", "3", strconv.Itoa(tg.PID()))
		p.start().enters(phaseHold)
		return p
	}
	p := start()
	result := flood(t, tg, target.Flood{For: 4 * time.Second, Window: 64})
	for short := 0; short < 2; {
		begin := time.Now()
		p.signal(syscall.SIGSTOP)
		time.Sleep(watchdog.Every / 2)
		_ = p.Process.Signal(syscall.SIGCONT)
		if took := time.Since(begin); took > watchdog.Patience/2 {
			// On a machine that is busy: that may be one to kill for.
			t.Logf("the stop took %v", took)
			_ = p.Process.Kill()
			p.died()
			p, short = start(), 0
			continue
		}
		short++
		time.Sleep(2 * watchdog.Patience) // it must not take both for one
	}
	other := prepare(t, "debugger", strconv.Itoa(p.Process.Pid))
	leave, err := other.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	other.start()
	eventually(t, "it is stopped", func() bool { return p.state() == 't' })
	time.Sleep(2 * watchdog.Patience)
	leave.Close()
	other.ends(0)
	p.signal(syscall.SIGINT)
	p.ends(exitComplete)
	isFree(t, tg)
	unharmed(t, tg, result())
}

// debugger is one, a program of its own: it stops the main thread of the
// process that its argument names for as long as it has no end of input.
func debugger() {
	pid, err := strconv.Atoi(os.Args[1])
	runtime.LockOSThread()
	err = errors.Join(err, sys.Seize(pid, 0), sys.Interrupt(pid))
	if err == nil {
		_, err = io.Copy(io.Discard, os.Stdin)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// However the command ends, the watchdog ends with it.
func TestWatchdogEnds(t *testing.T) {
	tg := startTarget(t, target.Spec{Epoll: 20})
	pid := strconv.Itoa(tg.PID())
	for _, end := range []struct {
		name string
		how  func(p *process, dog int)
	}{
		{"detach", func(p *process, _ int) { p.signal(syscall.SIGINT); p.ends(exitComplete) }},
		{"kill", func(p *process, _ int) { p.signal(syscall.SIGKILL) }},
		{"crash", func(p *process, _ int) { p.signal(syscall.SIGQUIT) }},
		{"stopped itself", func(p *process, dog int) {
			if err := syscall.Kill(dog, syscall.SIGSTOP); err != nil {
				t.Error(err)
			}
			p.signal(syscall.SIGKILL)
		}},
		{"stopped itself, detach", func(p *process, dog int) {
			if err := syscall.Kill(dog, syscall.SIGSTOP); err != nil {
				t.Error(err)
			}
			p.signal(syscall.SIGINT)
			p.ends(exitComplete)
		}},
		{"not by a signal to both", func(p *process, dog int) {
			for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
				if err := syscall.Kill(dog, sig); err != nil {
					t.Error(err)
				}
			}
			time.Sleep(20 * time.Millisecond)
			if err := syscall.Kill(dog, 0); err != nil {
				t.Error("the watchdog has ended before the command")
			}
			p.signal(syscall.SIGTERM)
			p.ends(exitComplete)
		}},
	} {
		t.Run(end.name, func(t *testing.T) {
			p := attach(t, tg)
			fd, dog := child(t, p.Process.Pid, watchdog.Name)
			watching(t, dog)
			end.how(p, dog)
			p.died()
			if !gone(fd) {
				t.Error("the watchdog is still there")
			}
			isFree(t, tg)
		})
	}
	t.Run("panic", func(t *testing.T) {
		p := prepare(t, "massattach-panic", "attach", "--phase-fd", "3", pid)
		input, err := p.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		p.start()
		fd, _ := child(t, p.Process.Pid, watchdog.Name)
		input.Close()
		p.ends(2)
		if !gone(fd) {
			t.Error("the watchdog is still there")
		}
		isFree(t, tg)
	})
}

// watching waits until the watchdog has come so far that it watches.
func watching(t *testing.T, dog int) {
	t.Helper()
	eventually(t, "the watchdog watches", func() bool {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", dog))
		return err == nil && strings.TrimSpace(string(b)) == watchdog.Comm
	})
}

// The watchdog keeps nothing of the command's: no output, which somebody may
// read to its end, nothing that the command has inherited, no directory, and not
// its process group.
func TestWatchdogKeepsNothing(t *testing.T) {
	tg := startTarget(t, target.Spec{Epoll: 20})
	p := attach(t, tg)
	_, dog := child(t, p.Process.Pid, watchdog.Name)
	watching(t, dog)
	proc := fmt.Sprintf("/proc/%d/", dog)
	var kept []string
	eventually(t, "it has closed what it inherited", func() bool {
		kept = nil
		links, err := filepath.Glob(proc + "fd/*")
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range links {
			to, _ := os.Readlink(link)
			fd, _ := strconv.Atoi(filepath.Base(link))
			switch {
			case fd == 0 && strings.HasPrefix(to, "pipe:"):
			case (fd == 1 || fd == 2) && to == os.DevNull:
			case fd == 3 && strings.Contains(to, "pidfd"):
			case fd == 4 && to == fmt.Sprintf("/proc/%d/stat", p.Process.Pid):
			case fd > 4 && (strings.HasPrefix(to, "anon_inode:[event") || strings.HasPrefix(to, "/sys/fs/cgroup/")): // the runtime's
			default:
				kept = append(kept, link+" -> "+to)
			}
		}
		return len(kept) == 0
	})
	if cwd, err := os.Readlink(proc + "cwd"); cwd != "/" {
		t.Errorf("it runs in %s, %v", cwd, err)
	}
	pr, err := procfs.FS{}.Open(dog)
	if err != nil {
		t.Fatal(err)
	}
	defer pr.Close()
	st, err := pr.Stat(dog)
	if err != nil {
		t.Fatal(err)
	}
	if st.PGRP != dog {
		t.Errorf("it is in process group %d, the command in %d", st.PGRP, syscall.Getpgrp())
	}
	p.signal(syscall.SIGINT)
	p.ends(exitComplete)
}

// A command whose watchdog can't be started, or ends, says so and goes on, and
// leaves no zombie.
func TestWithoutWatchdog(t *testing.T) {
	tg := startTarget(t, target.Spec{Epoll: 20})
	p := prepare(t, "massattach-unwatched", "attach", "--for", "1ms", strconv.Itoa(tg.PID())).start()
	p.ends(exitComplete)
	if n := strings.Count(p.stderr.String(), "massattach: the watchdog could not be started: "); n != 1 {
		t.Errorf("%d lines:\n%s", n, p.stderr.String())
	}
	p = attach(t, tg)
	fd, _ := child(t, p.Process.Pid, watchdog.Name)
	if err := unix.PidfdSendSignal(fd, syscall.SIGKILL, nil, 0); err != nil {
		t.Fatal(err)
	}
	p.says("massattach: the watchdog has ended: signal: killed")
	if left := childrenOf(t, p.Process.Pid); len(left) > 0 {
		t.Errorf("a zombie stays: %v", left)
	}
	p.signal(syscall.SIGINT)
	p.ends(exitComplete)
	isFree(t, tg)
}

// The thread that has started the watchdog can't be a tracer. Another is always
// found, also when there is but one P, and for several processes at once.
func TestWatchdogsParentIsNoTracer(t *testing.T) {
	var pids []string
	for range 3 {
		tg := startTarget(t, target.Spec{Total: 1_100})
		pids = append(pids, strconv.Itoa(tg.PID()))
	}
	rounds := 5
	if campaign() {
		rounds = 300
	}
	for i := range 2 * rounds {
		p := prepare(t, "massattach-plain", append([]string{"attach", "--for", "0s", "--format", "json"}, pids...)...)
		p.Env = append(p.Env, "GOMAXPROCS="+strconv.Itoa(1+i%2))
		p.start().ends(exitComplete)
		if n := strings.Count(p.stdout.String(), `"attached":1100`); n != 3 {
			t.Fatalf("%d of 3 were attached to:\n%s", n, p.stdout.String())
		}
	}
}

// The watchdog has begun before most packages of the command have: that is what makes
// it quick to start.
func TestWatchdogStartsEarly(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd := exec.Cmd{Path: exe, Args: []string{watchdog.Name}, Env: append(os.Environ(), "GODEBUG=inittrace=1"), Stderr: &stderr}
	if err := cmd.Run(); err != nil { // its pipe is at its end: it ends
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	began := stderr.String()
	if !strings.Contains(began, "init os @") {
		t.Fatalf("no trace of the packages:\n%s", began)
	}
	for _, late := range []string{"regexp", "net/http", "massattach/bench"} {
		if strings.Contains(began, "init "+late+" @") {
			t.Errorf("%s comes before the watchdog:\n%s", late, began)
		}
	}
}
