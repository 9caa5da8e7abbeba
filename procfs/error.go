package procfs

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
)

// ErrFormat is what a file of /proc that makes no sense is reported with: empty,
// cut off before what was asked for, or not in the form that proc(5) describes.
var ErrFormat = errors.New("not in the format of proc(5)")

// Error says what could not be done, and to which process and thread.
//
// It wraps the errno, so errors.Is(err, fs.ErrPermission) and the like work. It
// matches fs.ErrNotExist for both of the ways in which the kernel says that
// somebody is gone, ENOENT and ESRCH.
type Error struct {
	Op  string // "open", "list threads", "read status", ...
	PID int    // the process, or 0 where the call names none
	TID int    // the thread, or 0 where the call is about the process
	Err error
}

func (e *Error) Error() string {
	s := "procfs: " + e.Op
	if e.TID != 0 {
		s += " of thread " + strconv.Itoa(e.TID)
	}
	switch {
	case e.PID == 0:
	case e.Op == "open":
		s += " process " + strconv.Itoa(e.PID)
	default:
		s += " of process " + strconv.Itoa(e.PID)
	}
	return s + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// Is makes ESRCH an fs.ErrNotExist, which syscall.Errno.Is does for ENOENT only.
func (e *Error) Is(target error) bool {
	return target == fs.ErrNotExist && isGone(e.Err)
}

// NotLeaderError is given where a process is asked for and the number is that of
// one of its threads.
//
// The kernel takes any thread number for a process (/proc/TID is not listed, but
// there), and whoever believes it loses the process when that thread ends.
type NotLeaderError struct {
	TID  int // the number that was given
	TGID int // the process that it belongs to
}

func (e *NotLeaderError) Error() string {
	return fmt.Sprintf("%d is a thread of process %d", e.TID, e.TGID)
}

// gone says whether err is about a thread or a process that does not exist (any
// more). Not the same as ErrNotExist on a bare errno: see Error.Is.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || isGone(err)
}

// unreadable says whether err is one that another thread may well not give:
// denied to us, or not there in this kernel.
func unreadable(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, errors.ErrUnsupported)
}
