//go:build linux

package programs

// Children are the processes that the tests have started, and theirs.
func Children(pid int) (pids []int, err error) {
	below, err := descendants(pid)
	for _, p := range below {
		pids = append(pids, p.pid)
	}
	return pids, err
}
