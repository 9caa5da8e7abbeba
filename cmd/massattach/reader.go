package main

import (
	"errors"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// watchReader calls gone when the other end of the pipe w is closed; nothing
// needs to be written for that. It does nothing for what is no pipe. The result
// ends the watch and waits for its end.
func watchReader(w io.Writer, gone func()) (stop func()) {
	f, ok := isPipe(w)
	if !ok {
		return func() {}
	}
	wake, waker, err := os.Pipe()
	if err != nil {
		return func() {} // no descriptor left: a closed pipe shows at the write
	}
	fds := []unix.PollFd{
		{Fd: int32(f.Fd())}, // POLLERR and POLLHUP are always asked for
		{Fd: int32(wake.Fd()), Events: unix.POLLIN},
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		defer wake.Close()
		for {
			if _, err := unix.Poll(fds, -1); errors.Is(err, unix.EINTR) {
				continue
			} else if err != nil {
				return
			}
			if fds[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0 {
				gone()
			}
			return
		}
	})
	return sync.OnceFunc(func() {
		waker.Close()
		wg.Wait()
	})
}
