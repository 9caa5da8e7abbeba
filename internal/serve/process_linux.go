package serve

import (
	"errors"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"massattach/procfs"
)

// process is one that was found. Its end is noticed by a pidfd that Go's own poller
// waits for: no thread sleeps for it, and no timer runs.
type process struct {
	pid   int
	start uint64
	ended chan struct{} // closed at its end, or at Close
	close func()
}

// openProcess answers the process that has that number now.
func openProcess(pid int) (*process, error) {
	p := &process{pid: pid, ended: make(chan struct{})}
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ENOSYS) { // before Linux 5.3
		return p, p.poll()
	}
	if err != nil {
		return nil, os.NewSyscallError("pidfd_open", err)
	}
	// Not PIDFD_NONBLOCK, which is younger. The poller takes what does not block.
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	f := os.NewFile(uintptr(fd), "pidfd")
	raw, err := f.SyscallConn()
	if err != nil {
		f.Close()
		return nil, err
	}
	p.close = sync.OnceFunc(func() { f.Close() })
	go func() {
		defer close(p.ended)
		// An error says that it was closed.
		_ = raw.Read(func(fd uintptr) bool {
			ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			n, err := unix.Poll(ready, 0)
			return n > 0 || err != nil && err != unix.EINTR
		})
	}()
	return p, nil
}

// poll looks for its end from time to time.
func (p *process) poll() error {
	task, err := procfs.FS{}.Open(p.pid)
	if err != nil {
		return err
	}
	over := make(chan struct{})
	p.close = sync.OnceFunc(func() { close(over) })
	go func() {
		defer close(p.ended)
		defer task.Close()
		for tick := time.NewTicker(findEvery); ; {
			if st, err := task.Stat(p.pid); err != nil || st.State == 'Z' && st.NumThreads <= 1 {
				tick.Stop()
				return
			}
			select {
			case <-tick.C:
			case <-over:
				tick.Stop()
				return
			}
		}
	}()
	return nil
}

// Close gives up waiting for its end. A nil one is closed.
func (p *process) Close() {
	if p != nil {
		p.close()
		<-p.ended
	}
}
