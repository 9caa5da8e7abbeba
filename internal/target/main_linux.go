//go:build linux && (amd64 || arm64)

package target

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	envSpec  = "MASSATTACH_TARGET"       // the Spec, in JSON; set, the program is a target
	envRole  = "MASSATTACH_TARGET_ROLE"  // which part of starting one it plays
	envImage = "MASSATTACH_TARGET_IMAGE" // how many execs came before
	envSysV  = "MASSATTACH_TARGET_SYSV"  // what the image before left behind

	roleInner  = "inner"
	roleOrphan = "orphan"
	roleParent = "parent"

	processName = "massattach-target" // as ps shows it
)

// The main thread of a target is under test. That has to be known before
// another goroutine runs on it.
func init() {
	if os.Getenv(envSpec) != "" && os.Getenv(envRole) == roleInner {
		runtime.LockOSThread()
	}
}

// Main turns the program into a target, and never returns, if it was started
// as one: by Start, or by hand with the environment variable MASSATTACH_TARGET
// set to a Spec in JSON. Else it does nothing. It is to be called first thing
// in main and TestMain.
func Main() {
	text := os.Getenv(envSpec)
	if text == "" {
		return
	}
	var s Spec
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		fatal(fmt.Errorf("target: %s: %w", envSpec, err))
	}
	if err := s.validate(); err != nil {
		fatal(err)
	}
	switch os.Getenv(envRole) {
	case roleOrphan:
		if _, err := forkTarget(s); err != nil {
			fatal(err)
		}
		os.Exit(0)
	case roleParent:
		parentMain(s)
	case roleInner:
		innerMain(s)
	default:
		prepare(s)
	}
}

// prepare execs the program anew, with all signals blocked, which the threads
// of its Go runtime inherit: no signal is for them. It never returns.
func prepare(s Spec) {
	env, err := innerEnv(os.Environ(), s, 0, SysV{})
	if err != nil {
		fatal(err)
	}
	runtime.LockOSThread()
	setMask(^uint64(0))
	fatal(fmt.Errorf("target: exec itself: %w", unix.Exec("/proc/self/exe", []string{processName}, env)))
}

// innerMain is the target itself. It never returns.
func innerMain(s Spec) {
	defaultSignals()
	var left SysV
	_ = json.Unmarshal([]byte(os.Getenv(envSysV)), &left)
	removeSysV(left)
	if s.MaxProcs > 0 {
		lim := unix.Rlimit{Cur: uint64(s.MaxProcs), Max: uint64(s.MaxProcs)}
		if err := unix.Setrlimit(unix.RLIMIT_NPROC, &lim); err != nil {
			fatal(fmt.Errorf("target: set RLIMIT_NPROC: %w", err))
		}
	}
	if err := checkLimits(s.threads()); err != nil {
		fatal(err)
	}
	in, err := newInner(s)
	if err != nil {
		fatal(fmt.Errorf("target: %w", err))
	}
	in.images, _ = strconv.Atoi(os.Getenv(envImage))
	i, err := in.take()
	if err != nil {
		fatal(err)
	}
	t := &in.mem.tcbs[i]
	t.kind, t.tid, t.mask = leader, uint32(in.pid), in.blocked(leader)
	if err := in.arm(t, leader); err != nil {
		fatal(err)
	}
	setComm("target")
	go func() {
		runtime.LockOSThread()
		if err := in.begin(); err != nil {
			removeSysV(in.sysV())
			fatal(err)
		}
		in.control()
	}()
	becomeThread(in.mem.stack(i), t)
}

// begin makes all threads and says so.
func (in *inner) begin() error {
	s := &in.spec
	var lim unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_SIGPENDING, &lim) == nil {
		lim.Cur = lim.Max
		_ = unix.Setrlimit(unix.RLIMIT_SIGPENDING, &lim)
	}
	for sig, d := range s.Signals {
		if err := setDisposition(sig, d); err != nil {
			return fmt.Errorf("target: %w", err)
		}
	}
	if s.Hot > 0 || s.Recv > 0 {
		if err := setDisposition(HotSignal, SigHandle); err != nil {
			return err
		}
	}
	if s.Recv > 0 {
		in.startSender()
	}
	spareThreads(runtime.GOMAXPROCS(0)) // more never run at a time
	if err := quiesce(); err != nil {
		return err
	}
	if err := in.populate(); err != nil {
		return fmt.Errorf("target: %w", err)
	}
	in.starting = false
	if s.ZombieLeader {
		if err := in.end(in.pid); err != nil {
			return err
		}
	}
	if s.Births.Rate > 0 {
		if err := in.startBirths(); err != nil {
			return err
		}
	}
	setComm("control")
	tids, err := listTasks()
	if err != nil {
		return err
	}
	if s.PIDFile != "" {
		if err := writeFile(s.PIDFile, strconv.Itoa(in.pid)+"\n"); err != nil {
			return fmt.Errorf("target: %w", err)
		}
	}
	in.reset()
	line, err := json.Marshal(hello{Ready: new(true), PID: in.pid, Threads: len(tids), Image: in.images, SysV: in.sysV()})
	if err != nil {
		return err
	}
	return writeAll(1, append(line, '\n'))
}

// populate makes the threads of the Spec.
func (in *inner) populate() error {
	for k, name := range kinds {
		if k == futex && in.spec.Total > 0 {
			continue
		}
		for range in.spec.count(name) {
			if _, err := in.spawn(k); err != nil {
				return err
			}
		}
	}
	for in.spec.Total > 0 {
		if err := in.settle(); err != nil {
			return err
		}
		tids, err := listTasks()
		if err != nil {
			return err
		}
		switch n := len(tids) - in.spec.Total; {
		case n == 0:
			return nil
		case n > 0:
			f := in.tids(futex)
			if len(f) < n {
				return fmt.Errorf("%d threads in all are too few: there are %d", in.spec.Total, len(tids))
			}
			for _, tid := range f[:n] {
				if err := in.end(tid); err != nil {
					return err
				}
			}
		default:
			for range -n {
				if _, err := in.spawn(futex); err != nil {
					return err
				}
			}
		}
	}
	return in.settle()
}

// spareThreads makes the runtime start n threads and keep them idle, so that it
// need not start one later. Goroutines that share no thread are n threads: of
// others one thread runs several, by turns.
func spareThreads(n int) {
	var there, leave atomic.Int32
	for range n {
		go func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread() // or the thread would end
			there.Add(1)
			for leave.Load() == 0 {
				pause(time.Millisecond)
			}
		}()
	}
	for there.Load() < int32(n) {
		pause(time.Millisecond)
	}
	leave.Store(1)
}

// fatal says why there is no target, as its first line, and ends.
func fatal(err error) {
	r := reply{Error: err.Error(), hello: hello{Ready: new(bool), PID: unix.Getpid()}}
	var limit *LimitError
	if errors.As(err, &limit) {
		r.Limit = limit
	}
	var errno unix.Errno
	if errors.As(err, &errno) {
		r.Errno = int(errno)
	}
	b, _ := json.Marshal(r)
	_ = writeAll(1, append(b, '\n'))
	_ = writeAll(2, []byte(err.Error()+"\n"))
	_, _ = call(unix.SYS_EXIT_GROUP, 1)
}
