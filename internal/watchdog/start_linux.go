package watchdog

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Start starts the watchdog of this process: program, or this one when it is "". It
// may run on cpus, see package affinity, and has that patience: Patience, but in tests.
// If it ends before it is ended, lost hears how, on another goroutine.
func Start(program, cpus string, patience time.Duration, lost func(error)) (*Guard, error) {
	cmd, pipe, err := launch(program, cpus, patience)
	if err != nil {
		return nil, err
	}
	var ending atomic.Bool
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // and no zombie stays
		if !ending.Load() {
			lost(errors.New(cmd.ProcessState.String()))
		}
	}()
	return &Guard{pipe: pipe, end: sync.OnceFunc(func() {
		ending.Store(true)
		_ = cmd.Process.Kill()
		select {
		case <-ended:
		case <-time.After(time.Second): // nobody waits for a machine that is that busy
		}
	})}, nil
}

// launch starts the process, which hears what is written to the pipe.
//
// The thread that happens to start it is a parent then, and no tracer will be
// made of it: attacher.ErrUnfit. So it doesn't end before the process does, which
// Pdeathsig relies on.
func launch(program, cpus string, patience time.Duration) (*exec.Cmd, io.Writer, error) {
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
		Args:       []string{Name, cpus, patience.String()},
		Dir:        "/",
		Env:        append(os.Environ(), "GOMAXPROCS=1", "GOGC=off"),
		ExtraFiles: []*os.File{process, stat}, // processFD, statFD
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
