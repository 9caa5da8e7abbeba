package procfs

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
)

// Task is one thread of a process, opened: its directory, and the files that are
// read again and again. It stays with the thread that it was opened for: when that
// has ended everything answers fs.ErrNotExist, whoever has its number by then. But
// after an exec by another thread the leader's is that one's (execve(2)).
//
// Its methods are for one goroutine at a time, and none is to be called after
// Close.
type Task struct {
	pid, tid int
	dir      int
	kept     map[string]int // descriptors of files that stay open
}

// Task opens thread tid, at the price of a descriptor, and of one more for each of
// Schedstat, Syscall and ReadAt when they are first used.
func (p *Process) Task(tid int) (*Task, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	err := fs.ErrClosed
	dir := -1
	if p.open {
		dir, err = openDirAt(p.dir, strconv.Itoa(tid))
	}
	if err != nil {
		return nil, p.fail("open", tid, err)
	}
	return &Task{pid: p.pid, tid: tid, dir: dir, kept: make(map[string]int, 3)}, nil
}

// Close gives the descriptors back. It always returns nil.
func (t *Task) Close() error {
	for _, fd := range t.kept {
		closeFD(fd)
	}
	closeFD(t.dir)
	t.kept, t.dir = nil, -1
	return nil
}

// TID is the number that the thread was opened by.
func (t *Task) TID() int { return t.tid }

// Stat is [Process.Stat].
func (t *Task) Stat() (Stat, error) { return readOnce(t, "stat", parseStat) }

// Status is [Process.Status].
func (t *Task) Status() (Status, error) { return readOnce(t, "status", parseStatus) }

// Wchan is [Process.Wchan].
func (t *Task) Wchan() (string, error) {
	return readOnce(t, "wchan", func(b []byte) (string, error) { return parseWchan(b), nil })
}

// Schedstat is [Process.Schedstat].
func (t *Task) Schedstat() (Schedstat, error) { return readAgain(t, "schedstat", parseSchedstat) }

// Syscall is [Process.Syscall].
func (t *Task) Syscall() (Syscall, error) { return readAgain(t, "syscall", parseSyscall) }

// ReadAt reads len(buf) bytes of the thread's memory at addr, or none, by the file
// mem. It takes the right to trace the thread. The error for an address where there
// is nothing is EIO or, for one that the kernel does not have, EINVAL.
func (t *Task) ReadAt(buf []byte, addr uint64) error {
	fd, err := t.keep("mem")
	for n := 0; err == nil && len(buf) > 0; buf, addr = buf[n:], addr+uint64(n) {
		if n, err = preadFD(fd, buf, int64(addr)); err == nil && n == 0 {
			err = errGone // its memory is gone
		}
	}
	if err != nil {
		return t.fail("mem", err)
	}
	return nil
}

// readOnce reads a file and closes it.
func readOnce[T any](t *Task, name string, parse func([]byte) (T, error)) (v T, err error) {
	buf := files.Get().(*file)
	defer buf.free()
	fd, err := t.openFile(name)
	var b []byte
	if err == nil {
		b, err = buf.readAll(fd)
	}
	if err == nil {
		v, err = parse(b)
	}
	if err != nil {
		return v, t.fail(name, err)
	}
	return v, nil
}

// readAgain reads a file that stays open: read from its beginning the kernel
// writes it anew. It is a short one.
func readAgain[T any](t *Task, name string, parse func([]byte) (T, error)) (v T, err error) {
	buf := files.Get().(*file)
	defer buf.free()
	fd, err := t.keep(name)
	n := 0
	if err == nil {
		n, err = preadFD(fd, buf.b, 0)
	}
	if err == nil {
		v, err = parse(buf.b[:n])
	}
	if err != nil {
		return v, t.fail(name, err)
	}
	return v, nil
}

// keep opens a file, or answers the one that is open.
func (t *Task) keep(name string) (int, error) {
	fd, ok := t.kept[name]
	if !ok {
		var err error
		if fd, err = t.openFile(name); err != nil {
			return -1, err
		}
		t.kept[name] = fd
	}
	return fd, nil
}

func (t *Task) openFile(name string) (int, error) {
	fd, err := openAt(t.dir, name)
	// As in Process.readFile: the thread may be gone, or the file not there.
	if errors.Is(err, fs.ErrNotExist) && existsAt(t.dir, "stat") == nil {
		err = fmt.Errorf("not in this kernel: %w", errors.ErrUnsupported)
	}
	return fd, err
}

func (t *Task) fail(name string, err error) error {
	return &Error{Op: "read " + name, PID: t.pid, TID: t.tid, Err: err}
}
