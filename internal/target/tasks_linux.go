//go:build linux && (amd64 || arm64)

package target

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Files are read by bare system calls: package os would start its poller.

// readFile appends a small file to b, and returns nil if it cannot.
func readFile(path string, b []byte) []byte {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	for {
		b = slices.Grow(b, 4096)
		n, err := unix.Read(fd, b[len(b):cap(b)])
		if err == unix.EINTR {
			continue
		}
		if n <= 0 || err != nil {
			return b
		}
		b = b[:len(b)+n]
	}
}

// statState is the state in a stat line: the letter behind the last parenthesis.
func statState(b []byte) byte {
	if i := bytes.LastIndexByte(b, ')'); i >= 0 && i+2 < len(b) {
		return b[i+2]
	}
	return 0
}

// listTasks lists the threads of this process, in order.
func listTasks() ([]int, error) {
	fd, err := unix.Open("/proc/self/task", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var tids []int
	var names []string
	buf := make([]byte, 64<<10)
	for {
		n, err := unix.Getdents(fd, buf)
		if err != nil {
			return nil, fmt.Errorf("list threads: %w", err)
		}
		if n == 0 {
			slices.Sort(tids)
			return tids, nil
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names[:0])
		for _, name := range names {
			if tid, err := strconv.Atoi(name); err == nil {
				tids = append(tids, tid)
			}
		}
	}
}

// settle waits until every thread is where it belongs: a blocked one in its
// call, by what the kernel says of it, the others on their way.
func (in *inner) settle() error {
	deadline := now() + int64(time.Minute)
	path := make([]byte, 0, 64)
	var b []byte
	for ; in.settled < in.used; in.settled++ {
		t := &in.mem.tcbs[in.settled]
		for !in.placed(t, &path, &b) {
			if now() > deadline {
				return fmt.Errorf("%s thread %d is not in its place after a minute: %q", kinds[t.kind], t.tid, b)
			}
			pause(200 * time.Microsecond)
		}
	}
	return nil
}

func (in *inner) placed(t *tcb, path, b *[]byte) bool {
	if !t.used || t.tid == 0 {
		return true // the stack of a churn's child
	}
	if atomic.LoadUint32(&t.state) == 0 {
		return false
	}
	switch t.mode {
	case modeSys, modeSpin, modeChurn, modePair:
		return atomic.LoadUint64(&t.calls) > 0
	case modeExit:
		return true
	}
	if *b = taskFile(t, "syscall", path, *b); len(*b) > 0 {
		return inCall(*b, t.nr)
	}
	// A kernel without that file, or one that forbids it.
	*b = taskFile(t, "stat", path, *b)
	return statState(*b) == 'S'
}

// blockedIn tells whether a thread is blocked in a call.
func (in *inner) blockedIn(t *tcb, nr uint64) bool {
	var path []byte
	if b := taskFile(t, "syscall", &path, nil); len(b) > 0 {
		return inCall(b, nr)
	}
	return statState(taskFile(t, "stat", &path, nil)) == 'S'
}

// inCall reads a syscall file: "NR 0xARG ..." when blocked in a call, "running"
// when not.
func inCall(b []byte, want uint64) bool {
	nr, _, _ := bytes.Cut(b, []byte(" "))
	got, err := strconv.ParseUint(string(nr), 10, 64)
	return err == nil && got == want
}

// taskFile reads a file of a thread's own directory, into b.
func taskFile(t *tcb, name string, path *[]byte, b []byte) []byte {
	*path = strconv.AppendInt(append((*path)[:0], "/proc/self/task/"...), int64(t.tid), 10)
	*path = append(append(*path, '/'), name...)
	return readFile(string(*path), b[:0])
}

// quiesce waits until no thread has been born for a while.
func quiesce() error {
	was, err := listTasks()
	if err != nil {
		return err
	}
	for range 500 {
		pause(20 * time.Millisecond)
		is, err := listTasks()
		if err != nil {
			return err
		}
		if slices.Equal(was, is) {
			return nil
		}
		was = is
	}
	return fmt.Errorf("threads are still being born after 10 s")
}
