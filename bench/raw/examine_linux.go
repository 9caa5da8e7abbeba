package raw

import (
	"bytes"
	"fmt"

	"golang.org/x/sys/unix"
)

// Examine looks at each of the threads tids of pid by /proc, and says of how many
// the look is of one moment: the run count, the system call, and the run count again.
// Nothing is parsed.
func Examine(pid int, tids []int) (coherent int, err error) {
	var before, call, after [512]byte
	for _, tid := range tids {
		runs, err := open(pid, tid, "schedstat")
		if err != nil {
			return coherent, err
		}
		n, err := unix.Pread(runs, before[:], 0)
		if err != nil {
			return coherent, err
		}
		fd, err := open(pid, tid, "syscall")
		if err != nil {
			return coherent, err
		}
		c, err := unix.Read(fd, call[:])
		_ = unix.Close(fd)
		if err != nil {
			return coherent, err
		}
		m, err := unix.Pread(runs, after[:], 0)
		_ = unix.Close(runs)
		if err != nil {
			return coherent, err
		}
		if call[0] != 'r' && c > 0 && bytes.Equal(before[:n], after[:m]) {
			coherent++
		}
	}
	return coherent, nil
}

func open(pid, tid int, name string) (int, error) {
	return unix.Open(fmt.Sprintf("/proc/%d/task/%d/%s", pid, tid, name), unix.O_RDONLY|unix.O_CLOEXEC, 0)
}
