//go:build linux && (amd64 || arm64)

package target

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// forkTarget starts the target of s, by the same descriptors, in a process
// group of its own: in that of a starter whose shell is gone, stop signals of
// the terminal would not act.
func forkTarget(s Spec) (*os.Process, error) {
	p, err := os.StartProcess("/proc/self/exe", []string{processName}, &os.ProcAttr{
		Env:   with(os.Environ(), envRole+"="),
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
		Sys:   targetAttr(s),
	})
	if err != nil {
		return nil, fmt.Errorf("target: start: %w", err)
	}
	return p, nil
}

func targetAttr(s Spec) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setpgid: true}
	if s.User != nil {
		a.Credential = &syscall.Credential{Uid: s.User.UID, Gid: s.User.GID}
	}
	if s.Wake {
		a.Pdeathsig = syscall.SIGCONT
	}
	return a
}

// Where a parent finds its own requests.
const parentIn, parentOut = 3, 4

// A watcher is the process between starter and target: the target's parent.
type watcher struct {
	pid  int
	info []byte // a siginfo, and its address
	at   uint64

	mu  sync.Mutex
	log ParentAccount
}

// parentMain is the target's parent. It never returns.
func parentMain(s Spec) {
	unix.CloseOnExec(parentIn)
	unix.CloseOnExec(parentOut)
	p, err := forkTarget(s)
	if err != nil {
		fatal(err)
	}
	// The pipes are the target's now: their ends must show when it ends.
	_ = unix.Close(0)
	_ = unix.Close(1)
	setComm("parent")
	mem, err := newMemory(1)
	if err != nil {
		_ = p.Kill()
		fatal(err)
	}
	w := &watcher{pid: p.Pid, log: ParentAccount{Events: []ParentEvent{}}}
	w.info, w.at = mem.alloc(128)
	if s.Parent == ParentWatch {
		go w.watch()
	}
	serve(parentIn, parentOut, w.obey)
	// The starter is gone. The target has heard it, too: a moment for its
	// farewell.
	if fd, err := unix.PidfdOpen(w.pid, 0); err == nil {
		_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(time.Second/time.Millisecond))
		_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	}
	os.Exit(0)
}

// watch waits for each change of the target, blocked.
func (w *watcher) watch() {
	runtime.LockOSThread()
	for {
		e, err := w.wait(0)
		w.mu.Lock()
		if err != nil {
			w.log.Error = err.Error()
		}
		w.mu.Unlock()
		if err != nil || e.Event == "exited" || e.Event == "killed" {
			return
		}
	}
}

// wait waits once, and logs what it hears; nil: nothing, with WNOHANG.
func (w *watcher) wait(flags uint64) (*ParentEvent, error) {
	for {
		clear(w.info)
		_, err := call(unix.SYS_WAITID, unix.P_PID, uint64(w.pid), w.at, unix.WEXITED|unix.WSTOPPED|unix.WCONTINUED|flags)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("waitid: %w", err)
		}
		if binary.NativeEndian.Uint32(w.info) == 0 { // si_signo
			return nil, nil
		}
		e := &ParentEvent{TimeNS: now(), Status: int(int32(binary.NativeEndian.Uint32(w.info[24:])))}
		w.mu.Lock()
		switch binary.NativeEndian.Uint32(w.info[8:]) { // si_code
		case 1:
			e.Event = "exited"
			w.log.Exited++
		case 2, 3:
			e.Event = "killed"
			w.log.Exited++
		case 4:
			e.Event = "trapped"
		case 5:
			e.Event = "stopped"
			w.log.Stopped++
		case 6:
			e.Event = "continued"
			w.log.Continued++
		}
		w.log.Events = append(w.log.Events, *e)
		w.mu.Unlock()
		return e, nil
	}
}

func (w *watcher) obey(q request) (any, error) {
	switch q.Op {
	case "events":
		w.mu.Lock()
		defer w.mu.Unlock()
		log := w.log
		return log, nil
	case "reset":
		w.mu.Lock()
		defer w.mu.Unlock()
		w.log = ParentAccount{Events: []ParentEvent{}}
		return nil, nil
	case "look":
		e, err := w.wait(unix.WNOHANG)
		if e == nil || err != nil {
			return nil, err
		}
		return e, nil
	}
	return nil, fmt.Errorf("no command %q", q.Op)
}
