package attachertest_test

import (
	"errors"
	"fmt"
	"strconv"
	"syscall"

	"massattach/attacher"
	"massattach/internal/sys"
)

// outcome spells a request's result: the errno, or what was read.
func outcome(err error, v ...any) string {
	if err == nil {
		if len(v) == 0 {
			return "ok"
		}
		return fmt.Sprint(v...)
	}
	for name, e := range map[string]syscall.Errno{"ESRCH": syscall.ESRCH, "EPERM": syscall.EPERM, "EIO": syscall.EIO, "ECHILD": syscall.ECHILD, "EINTR": syscall.EINTR} {
		if errors.Is(err, e) {
			return name
		}
	}
	return err.Error()
}

// report spells a wait status; of a wait for any with the thread's name.
func (s *scene) report(who string, ws attacher.WaitStatus, err error) string {
	if err != nil {
		return outcome(err)
	}
	if ws.TID == 0 {
		return "none"
	}
	what := describe(ws)
	if who == "any" {
		what = s.name(ws.TID) + " " + what
	}
	return what
}

func describe(ws attacher.WaitStatus) string {
	sig := signalName(syscall.Signal(ws.Status & 0x7f))
	switch {
	case ws.Code == sys.CodeExited:
		return fmt.Sprintf("exited %d", ws.Status)
	case ws.Code == sys.CodeKilled, ws.Code == sys.CodeDumped:
		return "killed " + sig
	}
	switch ws.Status >> 8 {
	case 0:
		return "signal " + sig
	case sys.EventStop:
		if sig == "TRAP" {
			return "trap"
		}
		return "group " + sig
	case sys.EventClone:
		return "clone"
	case sys.EventExec:
		return "exec"
	case sys.EventExit:
		return "exit-stop"
	}
	return fmt.Sprintf("status %#x", ws.Status)
}

const rt = syscall.Signal(39)

var signals = map[string]syscall.Signal{
	"USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2, "CHLD": syscall.SIGCHLD, "WINCH": syscall.SIGWINCH,
	"STOP": syscall.SIGSTOP, "CONT": syscall.SIGCONT, "KILL": syscall.SIGKILL, "TERM": syscall.SIGTERM,
	"TRAP": syscall.SIGTRAP, "RT": rt, "BAD": 65,
}

func signalName(sig syscall.Signal) string {
	for name, v := range signals {
		if v == sig {
			return name
		}
	}
	return strconv.Itoa(int(sig))
}
