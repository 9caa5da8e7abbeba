//go:build linux && (amd64 || arm64)

package target

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// exec makes one thread of the target exec. It returns only if that fails.
func (in *inner) exec(q request) error {
	tid := q.TID
	if tid == 0 {
		tid = in.pid
	}
	_, t, err := in.find(tid)
	if err != nil {
		return err
	}
	path, argv, mask := "/proc/thread-self/exe", []string{processName}, ^uint64(0)
	env := os.Environ()
	if len(q.Argv) > 0 {
		// A stranger starts with the mask that every process has.
		path, argv, mask = q.Argv[0], q.Argv, t.mask
	} else {
		s := in.spec
		if q.Spec != nil {
			s = *q.Spec
		}
		env, err = innerEnv(env, s, in.images+1, in.sysV())
		if err != nil {
			return err
		}
	}
	m, at := in.mem.alloc(8)
	binary.NativeEndian.PutUint64(m, mask)
	steps, err := in.redirect(t, []step{
		{nr: unix.SYS_RT_SIGPROCMASK, args: [6]uint64{unix.SIG_SETMASK, at, 0, 8}},
		{nr: unix.SYS_EXECVE, args: [6]uint64{in.mem.cstring(path), in.vector(argv), in.vector(env)}},
		{nr: unix.SYS_RT_SIGPROCMASK, args: [6]uint64{unix.SIG_SETMASK, addr(&t.mask), 0, 8}},
	})
	if err != nil {
		return err
	}
	return fmt.Errorf("exec %s: %w", path, syscall.Errno(-steps[1].ret))
}

// vector is a NULL-terminated array of strings.
func (in *inner) vector(list []string) uint64 {
	b, at := in.mem.alloc(8 * (len(list) + 1))
	for i, s := range list {
		binary.NativeEndian.PutUint64(b[8*i:], in.mem.cstring(s))
	}
	return at
}

// innerEnv is the environment of a process that is a target at once.
func innerEnv(env []string, s Spec, image int, left SysV) ([]string, error) {
	spec, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	ids, err := json.Marshal(left)
	if err != nil {
		return nil, err
	}
	return with(env,
		envSpec+"="+string(spec), envRole+"="+roleInner, envImage+"="+strconv.Itoa(image), envSysV+"="+string(ids),
		// What the runtime does by itself would disturb, or be seen.
		"GODEBUG=asyncpreemptoff=1", "GOGC=off", "GOMEMLIMIT=1GiB", "GOMAXPROCS=4", "GOTRACEBACK=single"), nil
}

// with returns env with some variables set anew.
func with(env []string, vars ...string) []string {
	out := make([]string, 0, len(env)+len(vars))
next:
	for _, e := range env {
		for _, v := range vars {
			if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(e, name+"=") {
				continue next
			}
		}
		out = append(out, e)
	}
	return append(out, vars...)
}
