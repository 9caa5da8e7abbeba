//go:build linux && (amd64 || arm64)

package target

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// margin is what is left of a limit for everybody else.
const margin = 64

// reservedPIDs are not given out again once the numbers have wrapped
// (RESERVED_PIDS in kernel/pid.c).
const reservedPIDs = 300

// checkLimits says which limit is too low for n threads, if one is.
func checkLimits(n int) error {
	there := threadsThere()
	for _, l := range []struct {
		name string
		need int
	}{{"kernel.pid_max", n + there + reservedPIDs + margin}, {"kernel.threads-max", n + there + margin}} {
		if have, ok := sysctl(l.name); ok && have < int64(l.need) {
			return &LimitError{n, l.name, have, int64(l.need), fmt.Sprintf("sysctl -w %s=%d", l.name, 2*l.need)}
		}
	}
	if err := checkNproc(n); err != nil {
		return err
	}
	return checkCgroups(n)
}

// sysctl reads a number by the name that sysctl(8) has for it.
func sysctl(name string) (int64, bool) {
	b := readFile("/proc/sys/"+strings.ReplaceAll(name, ".", "/"), nil)
	n, err := strconv.ParseInt(string(bytes.TrimSpace(b)), 10, 64)
	return n, err == nil
}

// threadsThere is the number of threads of the machine: the last of
// "running/all" in /proc/loadavg.
func threadsThere() int {
	f := strings.Fields(string(readFile("/proc/loadavg", nil)))
	if len(f) < 4 {
		return 0
	}
	_, all, _ := strings.Cut(f[3], "/")
	n, _ := strconv.Atoi(all)
	return n
}

// checkNproc looks at RLIMIT_NPROC, which the kernel lets root and holders of
// two capabilities pass (kernel/fork.c, copy_process).
func checkNproc(n int) error {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NPROC, &lim); err != nil || lim.Cur == unix.RLIM_INFINITY {
		return nil
	}
	status := readFile("/proc/thread-self/status", nil)
	caps, _ := strconv.ParseUint(field(status, "CapEff"), 16, 64)
	if unix.Getuid() == 0 || caps&(1<<unix.CAP_SYS_RESOURCE|1<<unix.CAP_SYS_ADMIN) != 0 {
		return nil
	}
	need := uint64(n + threadsOf(unix.Getuid()) + margin)
	if lim.Cur < need && lim.Max > lim.Cur {
		lim.Cur = min(need, lim.Max)
		_ = unix.Setrlimit(unix.RLIMIT_NPROC, &lim)
	}
	if lim.Cur < need {
		return &LimitError{n, "RLIMIT_NPROC", int64(lim.Cur), int64(need), fmt.Sprintf("prlimit --nproc=%d --pid $$", need)}
	}
	return nil
}

// threadsOf counts the threads of a user.
func threadsOf(uid int) (n int) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, d := range dirs {
		status := readFile(d+"/status", nil)
		if u, _, _ := strings.Cut(field(status, "Uid"), "\t"); u == strconv.Itoa(uid) {
			t, _ := strconv.Atoi(field(status, "Threads"))
			n += t
		}
	}
	return n
}

// field is a line of a status file, without its name.
func field(status []byte, name string) string {
	_, rest, ok := bytes.Cut(status, []byte("\n"+name+":"))
	if !ok {
		return ""
	}
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	return string(bytes.TrimSpace(line))
}

// checkCgroups looks at pids.max of our cgroup and those above it, in both
// versions of cgroups.
func checkCgroups(n int) error {
	for line := range strings.Lines(string(readFile("/proc/thread-self/cgroup", nil))) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 || f[1] != "" && f[1] != "pids" {
			continue
		}
		root := "/sys/fs/cgroup"
		if f[1] == "pids" {
			root += "/pids"
		}
		for dir := filepath.Join(root, f[2]); strings.HasPrefix(dir, root); dir = filepath.Dir(dir) {
			limit, err := number(dir + "/pids.max")
			if err != nil {
				continue
			}
			now, _ := number(dir + "/pids.current")
			if need := now + int64(n) + margin; limit < need {
				return &LimitError{n, "pids.max of " + dir, limit, need, fmt.Sprintf("echo %d > %s/pids.max", need, dir)}
			}
		}
	}
	return nil
}

func number(path string) (int64, error) {
	b := bytes.TrimSpace(readFile(path, nil))
	if string(b) == "max" {
		return math.MaxInt64, nil
	}
	return strconv.ParseInt(string(b), 10, 64)
}

// RaiseLimits raises kernel.pid_max and kernel.threads-max as far as a target
// of n threads needs, and returns a function that puts the old values back. It
// changes nothing that is high enough. Root only.
func RaiseLimits(n int) (restore func() error, err error) {
	old := map[string]int64{}
	set := func(name string, v int64) error {
		path := "/proc/sys/" + strings.ReplaceAll(name, ".", "/")
		if err := os.WriteFile(path, strconv.AppendInt(nil, v, 10), 0); err != nil {
			if errors.Is(err, fs.ErrPermission) {
				return fmt.Errorf("target: raise %s to %d: %w", name, v, fs.ErrPermission)
			}
			return fmt.Errorf("target: raise %s to %d: %w", name, v, err)
		}
		return nil
	}
	restore = func() (err error) {
		for name, v := range old {
			err = errors.Join(err, set(name, v))
			delete(old, name)
		}
		return err
	}
	need := int64(n + threadsThere() + reservedPIDs + 1000)
	for _, name := range []string{"kernel.pid_max", "kernel.threads-max"} {
		have, ok := sysctl(name)
		if !ok || have >= need {
			continue
		}
		if err := set(name, 2*need); err != nil {
			return nil, errors.Join(err, restore())
		}
		old[name] = have
	}
	return restore, nil
}
