//go:build linux

package programs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// A process as /proc/PID/stat shows its leader.
type process struct {
	pid, parent int
	state       byte
}

// look reads one; nil: it is gone.
func look(pid int) *process {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/stat", pid, pid))
	if err != nil {
		return nil
	}
	// The name, in parentheses, may have any in it.
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(f) < 2 {
		return nil
	}
	parent, err := strconv.Atoi(f[1])
	if err != nil {
		return nil
	}
	return &process{pid: pid, parent: parent, state: f[0][0]}
}

// cpuTime is what a process, and those of its children that it has waited for,
// have used, to 10 ms each; 0 when it is gone.
func cpuTime(pid int) time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	var ticks int
	for _, v := range f[min(11, len(f)):min(15, len(f))] { // utime, stime, cutime, cstime
		n, _ := strconv.Atoi(v)
		ticks += n
	}
	return time.Duration(ticks) * (time.Second / 100) // USER_HZ
}

// doing says what a process is at: its name, and its threads by state.
func doing(pid int) string {
	name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	states, threads := make(map[string]int), 0
	_ = eachThread(pid, func(_ string, status []byte) {
		state, _, _ := strings.Cut(field(status, "State:"), " ")
		states[state]++
		threads++
	})
	return fmt.Sprintf("%s[%d] has %d threads %v and has used %v", strings.TrimSpace(string(name)), pid, threads, states, cpuTime(pid))
}

// alive tells whether pid is a process that has not ended.
func alive(pid int) bool {
	p := look(pid)
	return p != nil && p.state != 'Z' && p.state != 'X'
}

// descendants are the processes below root, parents first.
func descendants(root int) (below []process, err error) {
	d, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	children := make(map[int][]process)
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if p := look(pid); p != nil {
			children[p.parent] = append(children[p.parent], *p)
		}
	}
	for parents := []int{root}; len(parents) > 0; parents = parents[1:] {
		for _, p := range children[parents[0]] {
			below = append(below, p)
			parents = append(parents, p.pid)
		}
	}
	return below, nil
}

// free tells who of a process's threads is stopped or traced.
func free(pid int) error {
	var errs []error
	err := eachThread(pid, func(tid string, status []byte) {
		state, tracer := field(status, "State:"), field(status, "TracerPid:")
		if tracer != "0" || strings.HasPrefix(state, "T") || strings.HasPrefix(state, "t") {
			errs = append(errs, fmt.Errorf("thread %s of %s[%d]: state %s, tracer %s", tid, field(status, "Name:"), pid, state, tracer))
		}
	})
	return errors.Join(append(errs, err)...)
}

// eachThread reads the status of each thread of a process; of none that has ended.
func eachThread(pid int, f func(tid string, status []byte)) error {
	dir := fmt.Sprintf("/proc/%d/task", pid)
	tasks, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, task := range tasks {
		if b, err := os.ReadFile(dir + "/" + task.Name() + "/status"); err == nil {
			f(task.Name(), b)
		}
	}
	return err
}

// field is the value of one line of a status file.
func field(status []byte, name string) string {
	_, rest, _ := strings.Cut("\n"+string(status), "\n"+name)
	value, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(value)
}
