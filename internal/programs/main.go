//go:build linux

package programs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	envRole  = "MASSATTACH_PROGRAMS"       // what the program is to be instead of itself
	envOrder = "MASSATTACH_PROGRAMS_ORDER" // of a supervisor, in JSON

	roleSupervisor = "supervisor"
	roleGoServer   = "goserver"
)

// Main turns the program into a supervisor, or into the Go server, and never
// returns, if it was started as one. Else it does nothing. It is to be called
// first thing in main and TestMain.
func Main() {
	switch role := os.Getenv(envRole); role {
	case "":
	case roleSupervisor:
		code, err := supervise()
		if err != nil {
			fmt.Fprintln(os.Stderr, "programs:", err)
		}
		os.Exit(code)
	case roleGoServer:
		err := serve(os.Args[1])
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// An order says what a supervisor runs, and how it ends that.
type order struct {
	Argv []string
	Env  []string // beside those of this process
	Dir  string
	User *user          `json:",omitempty"` // nil: the same
	Stop syscall.Signal // asks it to end; then it is killed
	TTY  bool           // descriptor 3 is its terminal

	Remove string // a directory, if it is ended
}

type user struct{ UID, GID uint32 }

// How long a program has to end when it is asked to, and all that it started
// when they are killed.
const (
	farewell = 2 * time.Minute // the JVM is slow to end where others are busy
	burying  = time.Minute
)

// supervise runs the program of the order until it ends, or until nobody is at
// the other end of the standard input any more. It answers its exit code.
func supervise() (int, error) {
	// The program's death signal is sent when the thread ends that started it.
	runtime.LockOSThread()
	var o order
	if err := json.Unmarshal([]byte(os.Getenv(envOrder)), &o); err != nil {
		return 1, err
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return 1, fmt.Errorf("become a subreaper: %w", err)
	}
	cmd := exec.Command(o.Argv[0], o.Argv[1:]...)
	cmd.Env = without(os.Environ(), envRole, envOrder)
	cmd.Env = append(cmd.Env, o.Env...)
	cmd.Dir = o.Dir
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	if o.User != nil {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: o.User.UID, Gid: o.User.GID}
	}
	var tty *os.File
	if o.TTY {
		tty = os.NewFile(3, "tty")
		cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
		cmd.SysProcAttr.Setctty = true
	}
	if err := cmd.Start(); err != nil {
		return 127, err
	}
	if tty != nil {
		tty.Close() // its end must show when the program ends
	}
	var told atomic.Bool
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		told.Store(true)
		for end := time.Now().Add(farewell); time.Now().Before(end); time.Sleep(time.Second) {
			// Once more: a shell that is about to read misses one.
			_ = cmd.Process.Signal(o.Stop)
		}
		_ = cmd.Process.Kill()
	}()
	code := reap(cmd.Process.Pid)
	err := bury()
	if told.Load() && o.Remove != "" {
		err = errors.Join(err, os.RemoveAll(o.Remove))
	}
	return code, err
}

// reap waits until pid has ended, and buries the others that end meanwhile.
func reap(pid int) int {
	for {
		var ws unix.WaitStatus
		switch p, err := unix.Wait4(-1, &ws, 0, nil); {
		case err == unix.EINTR:
		case err != nil:
			return 1
		case p == pid && ws.Signaled():
			return 128 + int(ws.Signal())
		case p == pid:
			return ws.ExitStatus()
		}
	}
}

// bury kills all that is left.
func bury() error {
	for end := time.Now().Add(burying); ; time.Sleep(time.Millisecond) {
		left, err := descendants(os.Getpid())
		if err != nil || len(left) == 0 {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("processes %v do not end", left)
		}
		for _, p := range left {
			_ = unix.Kill(p.pid, unix.SIGKILL)
		}
		for {
			if p, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); err != nil || p == 0 {
				break
			}
		}
	}
}
