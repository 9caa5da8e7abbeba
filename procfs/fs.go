package procfs

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// FS is a mounted proc file system. The zero value is /proc.
//
// In a container that has the host's /proc mounted at /host/proc,
// FS{Root: "/host/proc"} reads the host's, with the host's numbers.
type FS struct {
	Root string // "" is /proc
}

// path is a path below the root.
func (f FS) path(name string) string {
	root := f.Root
	if root == "" {
		root = "/proc"
	}
	return root + "/" + name
}

// read reads one file below the root. Call free on the buffer when done.
func (f FS) read(name string, buf *file) ([]byte, error) {
	fd, err := openAt(atCWD, f.path(name))
	if err != nil {
		return nil, err
	}
	return buf.readAll(fd)
}

// TGID says which process the thread tid belongs to: for numbers that a user
// gives for a process and that may be those of a thread. The error for one that
// does not exist answers to fs.ErrNotExist.
func (f FS) TGID(tid int) (int, error) {
	buf := files.Get().(*file)
	defer buf.free()
	b, err := f.read(strconv.Itoa(tid)+"/status", buf)
	if err != nil {
		return 0, &Error{Op: "read status", TID: tid, Err: err}
	}
	st, err := parseStatus(b)
	if err == nil && st.Tgid <= 0 {
		err = ErrFormat
	}
	if err != nil {
		return 0, &Error{Op: "read status", TID: tid, Err: err}
	}
	return st.Tgid, nil
}

// LastPID is the number that was last given to a process or thread: the last
// field of loadavg, proc_loadavg(5). While it stands still nobody has been born
// (but by clone3(2) with a number of the caller's choice), so a watcher of births
// need not list anything.
//
// It is about the PID namespace of the *reader*, whatever Root is
// (fs/proc/loadavg.c asks the current task's). Processes of an outer namespace,
// as seen by a container through the host's /proc, do not move it: ask
// [FS.OwnNamespace] first. Those of inner namespaces do.
//
// In LXC containers a FUSE file with old numbers lies over loadavg: the error
// then wraps errors.ErrUnsupported.
func (f FS) LastPID() (int, error) {
	l, err := f.loadavg()
	return l.lastPID, err
}

// Running is how many threads of the whole machine run or wait for a CPU: the
// fourth field of loadavg. It has LastPID's error.
func (f FS) Running() (int, error) {
	l, err := f.loadavg()
	return l.runnable, err
}

// reservedPIDs are not given again once all numbers have been given (RESERVED_PIDS in
// kernel/pid.c).
const reservedPIDs = 300

// Numbers is LastPID, and how many numbers a process or thread may be given that no other
// has: kernel.pid_max counts, and all threads of the machine. Some of the free ones are
// still those of a process group or session whose leader has ended, and are not given.
func (f FS) Numbers() (last, free int, err error) {
	l, err := f.loadavg()
	if err != nil {
		return 0, 0, err
	}
	buf := files.Get().(*file)
	defer buf.free()
	b, err := f.read("sys/kernel/pid_max", buf)
	if err == nil {
		if most, ok := parseInt(bytes.TrimSpace(b)); ok {
			return l.lastPID, max(0, most-reservedPIDs-l.threads), nil
		}
		err = ErrFormat
	}
	return 0, 0, &Error{Op: "read pid_max", Err: err}
}

// loadavg is what this package takes from the file of that name.
type loadavg struct{ runnable, threads, lastPID int }

func (f FS) loadavg() (loadavg, error) {
	l, err := f.readLoadavg()
	if err != nil {
		return loadavg{}, &Error{Op: "read loadavg", Err: err}
	}
	return l, nil
}

func (f FS) readLoadavg() (loadavg, error) {
	fd, err := openAt(atCWD, f.path("loadavg"))
	if err != nil {
		return loadavg{}, err
	}
	if err := notFUSE(fd); err != nil {
		closeFD(fd)
		return loadavg{}, err
	}
	buf := files.Get().(*file)
	defer buf.free()
	b, err := buf.readAll(fd)
	if err != nil {
		return loadavg{}, err
	}
	return parseLoadavg(b)
}

// parseLoadavg reads "0.00 0.01 0.05 1/123 4567\n".
func parseLoadavg(b []byte) (loadavg, error) {
	b, whole := bytes.CutSuffix(b, []byte("\n"))
	fields := bytes.Split(b, []byte(" "))
	if !whole || len(fields) != 5 {
		return loadavg{}, ErrFormat
	}
	running, threads, _ := bytes.Cut(fields[3], []byte("/"))
	var l loadavg
	var ok [3]bool
	l.runnable, ok[0] = parseInt(running)
	l.threads, ok[1] = parseInt(threads)
	l.lastPID, ok[2] = parseInt(fields[4])
	if ok != [3]bool{true, true, true} || min(l.runnable, l.threads, l.lastPID) < 0 {
		return loadavg{}, ErrFormat
	}
	return l, nil
}

// OwnNamespace says whether the numbers in this file system are those of the PID
// namespace that the caller lives in. False for the host's /proc in a container:
// LastPID is of no use there, and the numbers are not for system calls that take
// one, ptrace(2) and kill(2) among them.
//
// Kernels before 4.1 do not tell: errors.ErrUnsupported.
func (f FS) OwnNamespace() (bool, error) {
	buf := files.Get().(*file)
	defer buf.free()
	b, err := f.read("self/status", buf)
	if gone(err) {
		// The link self is empty for a reader whom this mount has no number for.
		return false, nil
	}
	var st Status
	if err == nil {
		st, err = parseStatus(b)
	}
	if err == nil && len(st.NSpid) == 0 {
		err = fmt.Errorf("no NSpid: %w", errors.ErrUnsupported)
	}
	if err != nil {
		return false, &Error{Op: "read self/status", Err: err}
	}
	return len(st.NSpid) == 1, nil
}

// YamaScope is the system's ptrace_scope, 0 to 3
// (Documentation/admin-guide/LSM/Yama.rst). Without Yama it is -1 and an error
// that answers to fs.ErrNotExist: nothing in the way, then.
func (f FS) YamaScope() (int, error) {
	buf := files.Get().(*file)
	defer buf.free()
	b, err := f.read("sys/kernel/yama/ptrace_scope", buf)
	if err == nil {
		if scope, ok := parseInt(bytes.TrimSpace(b)); ok && scope >= 0 {
			return scope, nil
		}
		err = ErrFormat
	}
	return -1, &Error{Op: "read ptrace_scope", Err: err}
}
