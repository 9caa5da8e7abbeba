package procfs

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
)

// The readers of one thread. A thread that is gone, or that belongs to another
// process, is an error that answers to fs.ErrNotExist. All may be called
// concurrently.

// Stat reads what the scheduler knows of thread tid: name, state, times.
// Anybody may, but for hidepid mounts (proc(5)). About 8 µs.
func (p *Process) Stat(tid int) (Stat, error) { return read(p, tid, "stat", parseStat) }

// Status reads the thread's ids, signal masks and capabilities. Anybody may.
// About 11 µs.
func (p *Process) Status(tid int) (Status, error) { return read(p, tid, "status", parseStatus) }

// Syscall reads what the thread does in the kernel. It takes the right to trace
// the thread (ptrace(2), PTRACE_MODE_ATTACH_FSCREDS): without it the error
// answers to fs.ErrPermission. A kernel without the file: errors.ErrUnsupported.
// About 7 µs. It waits while the thread is inside execve(2).
func (p *Process) Syscall(tid int) (Syscall, error) { return read(p, tid, "syscall", parseSyscall) }

// Comm reads the thread's name, as it is: any bytes but NUL. About 5 µs.
func (p *Process) Comm(tid int) (string, error) {
	return read(p, tid, "comm", func(b []byte) (string, error) { return parseComm(b), nil })
}

// Wchan reads the name of the kernel function that the thread waits in; "" if it
// does not wait. It takes the right to look into the thread
// (PTRACE_MODE_READ_FSCREDS), but the kernel does not say so: who may not look
// gets "" (fs/proc/base.c, proc_pid_wchan). A kernel without the file:
// errors.ErrUnsupported.
func (p *Process) Wchan(tid int) (string, error) {
	return read(p, tid, "wchan", func(b []byte) (string, error) { return parseWchan(b), nil })
}

// Schedstat reads how long the thread ran and how often. Anybody may. A kernel
// without the file: errors.ErrUnsupported.
func (p *Process) Schedstat(tid int) (Schedstat, error) {
	return read(p, tid, "schedstat", parseSchedstat)
}

// Identify reads what tells thread tid from another one that is given its number
// later.
func (p *Process) Identify(tid int) (ID, error) {
	st, err := p.Stat(tid)
	if err != nil {
		return ID{}, err
	}
	return st.ID(), nil
}

// read reads one file of one thread into a buffer of the pool and parses it; the
// result must not point into the bytes.
func read[T any](p *Process, tid int, name string, parse func([]byte) (T, error)) (T, error) {
	var zero T
	buf := files.Get().(*file)
	defer buf.free()
	b, err := p.readFile(tid, name, buf)
	if err == nil {
		var v T
		if v, err = parse(b); err == nil {
			return v, nil
		}
	}
	return zero, p.fail("read "+name, tid, err)
}

// readFile reads task/TID/name into buf.
func (p *Process) readFile(tid int, name string, buf *file) ([]byte, error) {
	fd, err := p.openFile(strconv.Itoa(tid) + "/" + name)
	if err != nil {
		// Two things look alike: no such thread, and a kernel that was
		// configured without this file.
		if errors.Is(err, fs.ErrNotExist) && p.exists(tid) == nil {
			err = fmt.Errorf("not in this kernel: %w", errors.ErrUnsupported)
		}
		return nil, err
	}
	return buf.readAll(fd)
}

// openFile holds the lock only while the directory is in use, not for the read,
// which can take its time.
func (p *Process) openFile(path string) (int, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if !p.open {
		return -1, fs.ErrClosed
	}
	return openAt(p.dir, path)
}

// exists says whether the process has a thread tid (nil), at the price of a stat.
func (p *Process) exists(tid int) error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if !p.open {
		return fs.ErrClosed
	}
	return existsAt(p.dir, strconv.Itoa(tid))
}
