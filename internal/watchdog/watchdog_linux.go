package watchdog

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"massattach/internal/affinity"

	"golang.org/x/sys/unix"
)

// The descriptors of the watchdog. It keeps none of the command's own: who reads
// the command's output waits for the last of those who could still write to it.
const (
	pipeFD    = 0 // from the command, see Guard; its end is the command's
	processFD = 3 // a pidfd: no number that could be somebody else's by then
	statFD    = 4 // the command's /proc/PID/stat
)

func init() {
	if os.Args[0] == Name {
		watch()
		os.Exit(0)
	}
}

// watch is the whole life of the watchdog.
func watch() {
	// They are for the command, with which it ends.
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	_ = os.WriteFile("/proc/self/comm", []byte(Comm), 0)
	closeInherited(statFD)
	if len(os.Args) > 1 {
		// It has begun confined, like the command; whoever keeps that from its
		// CPU must not keep this as well.
		affinity.Set(os.Args[1])
	}
	patience := Patience
	if len(os.Args) > 2 {
		if d, err := time.ParseDuration(os.Args[2]); err == nil {
			patience = d
		}
	}
	ends := []unix.PollFd{
		{Fd: pipeFD, Events: unix.POLLIN}, // POLLHUP is always asked for
		{Fd: processFD, Events: unix.POLLIN},
	}
	var stopped time.Time // when it was first seen to be; zero: it isn't
	var bound time.Time   // of the hold that is to end first; zero: there is none
	for {
		wait := Every
		if !stopped.IsZero() {
			wait = closely
		}
		if !bound.IsZero() {
			wait = min(wait, max(0, time.Until(bound.Add(patience)))+time.Millisecond)
		}
		switch _, err := unix.Poll(ends, int(wait.Milliseconds())); {
		case err == unix.EINTR:
			continue
		case err != nil, ends[1].Revents != 0:
			return
		case ends[0].Revents != 0 && !hear(&bound):
			return
		}
		if !bound.IsZero() && time.Since(bound) > patience {
			_ = unix.PidfdSendSignal(processFD, unix.SIGKILL, nil, 0)
		}
		switch state, err := stateOf(statFD); {
		case err != nil:
			return
		case state != 'T': // also not in t: a debugger has stopped it
			stopped = time.Time{}
		case stopped.IsZero():
			stopped = time.Now()
		case time.Since(stopped) > patience:
			_ = unix.PidfdSendSignal(processFD, unix.SIGKILL, nil, 0)
		}
	}
}

// hear reads what the command has said last about its holds. It answers false when
// it says no more.
func hear(bound *time.Time) bool {
	var b [512]byte
	n, err := unix.Read(pipeFD, b[:])
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
