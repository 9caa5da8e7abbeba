// The watchdog: a small process that the command starts before it attaches to
// anybody, and that kills the command when it has been stopped for a second, or
// holds threads a second longer than it was to. A stopped tracer keeps every thread
// stopped that gets a signal, and SIGSTOP can't be refused; to be killed harms
// nobody: no signal is lost, and all run on.

package main

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// watchdogName is the name under which the program is the watchdog.
	watchdogName = "massattach-watchdog"
	// watchdogComm is its name for ps and pkill: not ours, or a
	// "pkill -STOP massattach" would stop both.
	watchdogComm = "attach-watchdog"
)

// How often it looks whether the command is stopped: twice a second, more often
// once it is. So it is dead, and its target free, within 1.6 s.
const (
	watchEvery    = 500 * time.Millisecond
	watchClosely  = 100 * time.Millisecond
	watchPatience = time.Second
)

// The descriptors of the watchdog. It keeps none of the command's own: who reads
// the command's output waits for the last of those who could still write to it.
const (
	watchPipe    = 0 // from the command, see guard; its end is the command's
	watchProcess = 3 // a pidfd: no number that could be somebody else's by then
	watchStat    = 4 // the command's /proc/PID/stat
)

const unwatched = "don't stop this program: each thread that gets a signal would stand still with it"

// startWatchdog starts the watchdog. Without one the command works as well.
func (t *tool) startWatchdog() *guard {
	cmd, pipe, err := launchWatchdog(t.program, t.cpus)
	if err != nil {
		t.notes.problem("the watchdog could not be started: "+err.Error(), unwatched)
		return &guard{end: func() {}}
	}
	var ending atomic.Bool
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // and no zombie stays
		if !ending.Load() {
			t.notes.problem("the watchdog has ended: "+cmd.ProcessState.String(), unwatched)
		}
	}()
	return &guard{pipe: pipe, end: sync.OnceFunc(func() {
		ending.Store(true)
		_ = cmd.Process.Kill()
		select {
		case <-ended:
		case <-time.After(time.Second): // nobody waits for a machine that is that busy
		}
	})}
}

// launchWatchdog runs program, or this one when it is "", as the watchdog, which
// hears what is written to the pipe, and may run on cpus.
//
// The thread that happens to start it is a parent then, and no tracer will be
// made of it: attacher.ErrUnfit. So it doesn't end before the process does, which
// Pdeathsig relies on.
func launchWatchdog(program, cpus string) (*exec.Cmd, io.Writer, error) {
	self, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("pidfd_open", err)
	}
	process := os.NewFile(uintptr(self), "pidfd")
	defer process.Close()
	stat, err := os.Open("/proc/self/stat")
	if err != nil {
		return nil, nil, err
	}
	defer stat.Close()
	if program == "" {
		program = "/proc/self/exe"
	}
	cmd := &exec.Cmd{
		Path:       program,
		Args:       []string{watchdogName, cpus},
		Dir:        "/",
		Env:        append(os.Environ(), "GOMAXPROCS=1", "GOGC=off"),
		ExtraFiles: []*os.File{process, stat}, // watchProcess, watchStat
		SysProcAttr: &syscall.SysProcAttr{
			// What stops our process group, as a terminal does, spares it.
			//
			// Not a session of its own: that would be an autogroup as well
			// (sched(7)), and one with little to do beside a busy one may get
			// no CPU for seconds. Measured on Linux 6.18: a sleep of 50 ms
			// took up to 3 s there, and 52 ms in the same session.
			Setpgid: true,
			// It ends by itself, but not while it is stopped.
			Pdeathsig: syscall.SIGKILL,
		},
	}
	// The other end is closed on exec: nobody else keeps it open.
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	return cmd, pipe, cmd.Start()
}

// watchdog is the whole life of the watchdog.
func watchdog() {
	// They are for the command, with which it ends.
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	_ = os.WriteFile("/proc/self/comm", []byte(watchdogComm), 0)
	closeInherited(watchStat)
	if len(os.Args) > 1 {
		// It has begun confined, like the command; whoever keeps that from its
		// CPU must not keep this as well.
		runOn(os.Args[1])
	}
	ends := []unix.PollFd{
		{Fd: watchPipe, Events: unix.POLLIN}, // POLLHUP is always asked for
		{Fd: watchProcess, Events: unix.POLLIN},
	}
	var stopped time.Time // when it was first seen to be; zero: it isn't
	var bound time.Time   // of the hold that is to end first; zero: there is none
	for {
		wait := watchEvery
		if !stopped.IsZero() {
			wait = watchClosely
		}
		if !bound.IsZero() {
			wait = min(wait, max(0, time.Until(bound.Add(watchPatience)))+time.Millisecond)
		}
		switch _, err := unix.Poll(ends, int(wait.Milliseconds())); {
		case err == unix.EINTR:
			continue
		case err != nil, ends[1].Revents != 0:
			return
		case ends[0].Revents != 0 && !hear(&bound):
			return
		}
		if !bound.IsZero() && time.Since(bound) > watchPatience {
			_ = unix.PidfdSendSignal(watchProcess, unix.SIGKILL, nil, 0)
		}
		switch state, err := stateOf(watchStat); {
		case err != nil:
			return
		case state != 'T': // also not in t: a debugger has stopped it
			stopped = time.Time{}
		case stopped.IsZero():
			stopped = time.Now()
		case time.Since(stopped) > watchPatience:
			_ = unix.PidfdSendSignal(watchProcess, unix.SIGKILL, nil, 0)
		}
	}
}

// hear reads what the command has said last about its holds. It answers false when
// it says no more.
func hear(bound *time.Time) bool {
	var b [512]byte
	n, err := unix.Read(watchPipe, b[:])
	if err != nil || n < 8 {
		return err == unix.EINTR
	}
	*bound = time.Time{}
	if left := time.Duration(binary.NativeEndian.Uint64(b[n-8:])); left != unbounded {
		*bound = time.Now().Add(left)
	}
	return true
}

// stateOf is the state of the process whose stat file fd is: the field behind
// the name, which may have a parenthesis of its own.
func stateOf(fd int) (byte, error) {
	var b [256]byte
	n, err := unix.Pread(fd, b[:], 0)
	if err != nil {
		return 0, err
	}
	i := bytes.LastIndexByte(b[:n], ')')
	if i < 0 || i+2 >= n {
		return 0, unix.EINVAL
	}
	return b[i+2], nil
}

// closeInherited closes what the command itself has inherited, and could not but
// pass on: of the descriptors above last those that are not closed on exec,
// which all of Go's are.
func closeInherited(last int) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return
	}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil || fd <= last {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			_ = unix.Close(fd)
		}
	}
}
